/** No secret of anybody is ever seen again: not in logs of any level, SHOW output, errors or metrics. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, it } from 'node:test';
import { promisify } from 'node:util';
import { deriveVerifier, formatVerifier, md5Hash } from '@pgdog-cluster/core';
import pg from 'pg';
import postgres from 'postgres';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { tryLogin } from '../support/login.js';
import { findProgram } from '../support/programs.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { findSecret, secret } from '../support/secrets.js';

const exec = promisify(execFile);
const psql = findProgram('psql');

const LISTED = secret('listed: correct horse');
const ROTATED = secret('rotated: battery staple');
const FOUND = secret('found by auth_query');
const PASSED = secret('passed through to it');
const ADMIN = secret('admin of all this');
const GUESS = secret('guessed, and wrong');
const VERIFIER = formatVerifier(deriveVerifier(ROTATED, 4096));
for (const key of VERIFIER.split('$')[2]?.split(':') ?? []) secret(key);
const MD5 = secret(md5Hash(LISTED, 'hashed'));

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    users: [
      { name: 'listed', password: LISTED },
      { name: 'found', password: FOUND },
      { name: 'passed', password: PASSED },
    ],
  });
  const rows = await server.query<{ rolpassword: string | null }>('SELECT rolpassword FROM pg_authid');
  for (const { rolpassword } of rows) if (rolpassword !== null) secret(rolpassword);
});
after(() => server.stop());

const SHOWS = [
  'CLIENTS',
  'CONFIG',
  'HELP',
  'LISTS',
  'POOLS',
  'SERVERS',
  'SHARED_MEMORY',
  'STATS',
  'VERSION',
  'WORKERS',
  'pgdog.shards',
];

/** Everything the proxy will say about itself. */
async function everythingSaid(proxy: TestProxy): Promise<string> {
  const said: string[] = [];
  const admin = new pg.Client({
    host: '127.0.0.1',
    port: proxy.port,
    user: 'admin',
    password: ADMIN,
    database: 'admin',
  });
  await admin.connect();
  const listed = (await admin.query('SHOW HELP')).rows.map((row) => String(row.command));
  // What is added later is searched too.
  const shows = new Set(SHOWS.map((name) => `SHOW ${name}`));
  for (const command of listed) if (command.startsWith('SHOW ') && !command.includes('[')) shows.add(command);
  for (const command of [...shows, 'SHOW NOTHING', `SELECT '${'x'.repeat(10)}'`]) {
    said.push(
      await admin.query(command).then(
        (result) => JSON.stringify(result.rows),
        (error: Error) => inspectAll(error),
      ),
    );
  }
  await admin.end();
  return [...said, ...listed, await proxy.metrics()].join('\n');
}

const inspectAll = (error: Error): string => JSON.stringify(error, Object.getOwnPropertyNames(error));

forEachDriver('secrets', (driver) => {
  const decides = decisionsOn(driver);
  for (const [authType, more] of [
    ['scram', {}],
    ['md5', {}],
    ['plain', { plain_auth_without_tls: true }],
  ] as const) {
    const test = authType === 'scram' ? it : decides;
    test(`are nowhere to be seen (${authType})`, async () => {
      const proxy = await startProxy({
        workers: 2,
        ioDriver: driver,
        databases: [
          databaseOf(server),
          {
            ...databaseOf(server),
            name: 'asked',
            database_name: 'postgres',
            auth_user: 'postgres',
            auth_password: 'postgres',
          },
        ],
        users: [
          { name: 'listed', passwords: [ROTATED, LISTED] },
          { name: 'hashed', password: `md5${MD5}`, auth_type: 'md5' },
          { name: 'verified', password_hash: VERIFIER, server_user: 'listed', server_password: LISTED },
          {
            name: 'refused',
            password: ROTATED,
            server_user: 'listed',
            server_password: secret('refused by the server'),
          },
        ],
        admin: { password: ADMIN },
        general: {
          log_level: 'trace',
          log_format: 'json',
          auth_type: authType,
          passthrough_auth: 'enabled_plain_allow_change',
          min_pool_size: 0,
          checkout_timeout: 500,
          ...more,
        },
        metrics: true,
      });
      const errors: string[] = [];
      try {
        const attempts: [user: string, password: string, database: string][] = [
          ['listed', ROTATED, 'postgres'],
          ['listed', LISTED, 'asked'],
          ['hashed', LISTED, 'postgres'],
          ['verified', ROTATED, 'postgres'],
          ['refused', ROTATED, 'postgres'],
          ['found', FOUND, 'asked'],
          ['passed', PASSED, 'postgres'],
          ['nobody', GUESS, 'postgres'],
          ['nobody', GUESS, 'nowhere'],
          ['admin', GUESS, 'admin'],
        ];
        for (const [user, password, database] of attempts) {
          for (const given of [password, GUESS]) {
            const { client, error } = await tryLogin(proxy, user, given, { database });
            if (error !== null) errors.push(JSON.stringify(error));
            else {
              const result = await client.query(`SELECT 1/0 /* ${'x'.repeat(20)} */`);
              errors.push(JSON.stringify(result.error));
              await client.end();
            }
          }
        }
        assert.equal(errors.length, 2 * attempts.length);
        assert.equal(findSecret(errors.join('\n')), null);
        assert.equal(findSecret(await everythingSaid(proxy)), null);
      } finally {
        // Throws when the output shows one.
        await proxy.stop();
      }
    });
  }

  decides('the search itself finds what is there', () => {
    for (const text of [
      LISTED,
      `x${GUESS}y`,
      Buffer.from(PASSED).toString('base64'),
      Buffer.from(ADMIN).toString('hex'),
      MD5,
    ]) {
      assert.notEqual(findSecret(text), null, text);
    }
    assert.equal(findSecret('nothing of interest'), null);
  });

  decides('drivers log in by each method: node-postgres, postgres.js, psql', async () => {
    for (const general of [
      { auth_type: 'scram' },
      { auth_type: 'md5' },
      { auth_type: 'plain', plain_auth_without_tls: true },
    ]) {
      const proxy = await startProxy({
        workers: 1,
        ioDriver: driver,
        databases: [databaseOf(server)],
        users: [{ name: 'listed', passwords: [LISTED], database: 'postgres' }],
        general: { min_pool_size: 0, auth_user: 'postgres', auth_password: 'postgres', ...general },
      });
      try {
        for (const [user, password] of [
          ['listed', LISTED],
          ['found', FOUND],
        ] as const) {
          const client = new pg.Client({
            host: '127.0.0.1',
            port: proxy.port,
            user,
            password,
            database: 'postgres',
          });
          await client.connect();
          assert.equal((await client.query('SELECT current_user AS me')).rows[0].me, user);
          await client.end();
          const sql = postgres({
            host: '127.0.0.1',
            port: proxy.port,
            user,
            password,
            database: 'postgres',
            max: 2,
          });
          assert.equal((await sql`SELECT current_user AS me`)[0]?.me, user);
          await sql.end();
          if (psql.path === null) continue;
          const { stdout } = await exec(
            psql.path,
            [
              '-h',
              '127.0.0.1',
              '-p',
              String(proxy.port),
              '-U',
              user,
              '-Atc',
              'SELECT current_user',
              'postgres',
            ],
            { env: { ...process.env, PGPASSWORD: password } },
          );
          assert.equal(stdout.trim(), user);
        }
        const wrong = new pg.Client({
          host: '127.0.0.1',
          port: proxy.port,
          user: 'listed',
          password: GUESS,
          database: 'postgres',
        });
        await assert.rejects(wrong.connect(), { code: '28P01' });
      } finally {
        await proxy.stop();
      }
    }
  });
});
