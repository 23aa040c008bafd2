/** Who a client's certificate stands for: as Postgres itself has it, certificate by certificate. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { type SubjectParts, testAuthority } from '../support/certificates.js';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { tryLogin } from '../support/login.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { secret } from '../support/secrets.js';
import { TlsFolder } from '../support/tls-folder.js';

const authority = testAuthority('client authority');
const own = authority.issue({ subject: [['CN', 'localhost']], names: ['localhost'] });
const folder = new TlsFolder();
const CA = folder.write('ca.pem', authority.certificate);
const PASSWORD = secret('beside the certificate');
const USERS = ['alice', 'bob', 'mallory'];

const names = (...texts: string[]): SubjectParts => texts.map((text) => ['CN', text]);
const SUBJECTS: Record<string, SubjectParts> = {
  one: names('alice'),
  'two, the first first': names('alice', 'bob'),
  'two, the other way round': names('bob', 'alice'),
  three: names('mallory', 'alice', 'bob'),
  'between others': [
    ['O', 'alice'],
    ['CN', 'bob'],
    ['OU', 'alice'],
    ['CN', 'alice'],
    ['C', 'AT'],
  ],
  none: [['O', 'alice']],
  empty: names(''),
  'empty, then a name': names('', 'alice'),
  'a zero byte behind the name': names('alice\0.evil'),
  'a zero byte ahead': names('\0alice'),
  'nothing but a zero byte': names('\0'),
  'a zero byte in the second': names('alice', 'bob\0'),
  'another case': names('Alice'),
  'blanks around': names(' alice '),
  'a name that is longer than any user': names(`alice${'x'.repeat(500)}`),
};

let server: TestPostgres;
before(async () => {
  const rules = [
    'certificates all 127.0.0.1/32 cert',
    'beside all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca',
  ];
  server = await startPostgres({
    users: USERS.map((name) => ({ name, password: PASSWORD })),
    settings: {
      ...folder.forPostgres(own, authority.certificate),
      hba_file: folder.write(
        'hba.conf',
        [...rules.map((rule) => `hostssl ${rule}`), 'host postgres all 127.0.0.1/32 scram-sha-256', ''].join(
          '\n',
        ),
      ),
    },
  });
  for (const name of ['certificates', 'beside']) await server.query(`CREATE DATABASE ${name}`);
});
after(() => server.stop());

forEachDriver('names in certificates', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: ['certificates', 'beside'].map((name) => ({
        ...databaseOf(server),
        name,
        database_name: 'postgres',
      })),
      users: USERS.map((name) => ({ name, password: PASSWORD, all_databases: true })),
      files: {
        rules:
          'hostssl certificates all all cert\nhostssl beside all all scram-sha-256 clientcert=verify-ca\n',
      },
      general: {
        min_pool_size: 0,
        auth_failures_max: 0,
        auth_type: 'hba',
        auth_hba_file: 'rules',
        tls_client_ca_certificate: CA,
        ...folder.forClients(own),
      },
    });
  });
  after(() => proxy.stop());

  /** SQLSTATE of the refusal; 'cut': not even one. */
  async function outcome(to: { port: number }, database: string, user: string, tls: object): Promise<string> {
    const client = await RawClient.open({ port: to.port, database, user, password: PASSWORD, tls });
    try {
      return (await client.login()).error?.['C'] ?? '';
    } catch {
      return 'cut';
    } finally {
      client.destroy();
    }
  }

  for (const [what, subject] of Object.entries(SUBJECTS)) {
    it(`as with Postgres: ${what}`, async () => {
      const { certificate: cert, privateKey: key } = authority.issue({ subject });
      const tls = { rejectUnauthorized: false, cert, key };
      for (const database of ['certificates', 'beside']) {
        for (const user of USERS) {
          const wanted = await outcome(server, database, user, tls).catch(() => 'cut');
          const found = await outcome(proxy, database, user, tls).catch(() => 'cut');
          assert.equal(found, wanted, `${user} of ${database}`);
        }
      }
    });
  }
});

forEachDriver('names in certificates of servers', (driver) => {
  for (const [what, subject, isLetIn] of [
    ['first', names('localhost', 'other.example'), true],
    ['second', names('other.example', 'localhost'), false],
  ] as const) {
    it(`for questions of our own as for pools: the name that is wanted comes ${what}`, async () => {
      const shown = authority.issue({ subject });
      const named = await startPostgres({
        users: [{ name: 'alice', password: PASSWORD }],
        settings: folder.forPostgres(shown, '', `named-${what}`),
      });
      const proxy = await startProxy({
        workers: 1,
        ioDriver: driver,
        databases: [{ ...databaseOf(named), host: 'localhost' }],
        users: [],
        general: {
          min_pool_size: 0,
          passthrough_auth: 'enabled_plain',
          tls_verify: 'verify_full',
          tls_server_ca_certificate: CA,
        },
      });
      try {
        const { sqlstate, asked, client } = await tryLogin(proxy, 'alice', PASSWORD);
        // The supervisor tries the password, before there is any pool.
        assert.deepEqual([sqlstate, asked], isLetIn ? ['', [3, 0]] : ['08001', [3]]);
        client.destroy();
      } finally {
        await proxy.stop();
        await named.stop();
      }
    });
  }
});
