/** HBA rules about members of a role (`+role`): who is one, what is asked when, and what happens when nobody says. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { enter, tryLogin } from '../support/login.js';
import { databaseOf, type StartProxyOptions, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import { sleep } from '../support/wire.js';

const PASSWORD = secret('everybodys password');
/** Directly, through two others, by no inheritance, as superuser of nothing but its own memberships. */
const ROLES = `
  CREATE ROLE staff;
  CREATE ROLE crew;
  CREATE ROLE night IN ROLE crew;
  CREATE ROLE left_us;
  CREATE ROLE direct LOGIN PASSWORD '${PASSWORD}' IN ROLE staff;
  CREATE ROLE deep LOGIN PASSWORD '${PASSWORD}' IN ROLE night;
  GRANT crew TO staff;
  CREATE ROLE dormant LOGIN NOINHERIT PASSWORD '${PASSWORD}' IN ROLE staff;
  CREATE ROLE super LOGIN SUPERUSER PASSWORD '${PASSWORD}';
  CREATE ROLE gone LOGIN PASSWORD '${PASSWORD}' IN ROLE staff, left_us;
  CREATE ROLE "${'n'.repeat(63)}" LOGIN PASSWORD '${PASSWORD}' IN ROLE staff;
`;
const RULES = [
  'host all +left_us all reject',
  'host postgres +crew all scram-sha-256',
  'host postgres direct all reject',
  'host all super all scram-sha-256',
  'host admin,other all all scram-sha-256',
].join('\n');

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ users: [{ name: 'alice', password: PASSWORD }], initSql: ROLES });
});
after(() => server.stop());

const NO_RULE = /^no pg_hba.conf entry for host "127.0.0.1", user/;
const UNKNOWN = "the rules depend on the user's groups, which could not be found out";

forEachDriver('hba groups', (driver) => {
  const decides = decisionsOn(driver);
  async function withProxy(
    options: StartProxyOptions,
    body: (proxy: TestProxy) => Promise<void>,
  ): Promise<void> {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [databaseOf(server)],
      users: [],
      files: { rules: RULES },
      ...options,
      general: {
        min_pool_size: 0,
        log_level: 'trace',
        auth_type: 'hba',
        auth_hba_file: 'rules',
        auth_user: 'postgres',
        auth_password: 'postgres',
        ...options.general,
      },
    });
    try {
      await body(proxy);
    } finally {
      await proxy.stop();
    }
  }

  it('members get in, directly or not; others, strangers and cut names do not; members of a rejected role neither', async () => {
    await withProxy({}, async (proxy) => {
      for (const name of ['direct', 'deep', 'dormant', 'super', 'n'.repeat(63)]) {
        assert.equal(await enter(proxy, name, PASSWORD), '', name);
        assert.equal((await tryLogin(proxy, name, 'wrong')).sqlstate, '28P01', name);
      }
      for (const name of ['alice', 'nobody', 'n'.repeat(64), "x' OR true --"]) {
        const { asked, sqlstate, message } = await tryLogin(proxy, name, PASSWORD);
        assert.deepEqual([asked, sqlstate], [[], '28000'], name);
        assert.match(message, NO_RULE, name);
      }
      const { asked, message } = await tryLogin(proxy, 'gone', PASSWORD);
      assert.deepEqual(asked, []);
      assert.match(message, /^pg_hba.conf rejects connection for host .*, user "gone"/);
      // The operator is no role of a server, and is not asked about.
      assert.equal((await proxy.adminQuery('SHOW VERSION')).length, 1);
    });
  });

  it('samerole: members of the role that is called as the database get in there, and nobody else', async () => {
    const names = ['staff', 'crew', 'direct', 'super'];
    const databases = names.map((name) => ({ ...databaseOf(server), name, database_name: 'postgres' }));
    const files = { rules: 'host samerole all all scram-sha-256\nhost admin all all scram-sha-256' };
    await withProxy({ databases, files }, async (proxy) => {
      const entered: string[] = [];
      for (const database of names) {
        for (const name of ['direct', 'deep', 'dormant', 'super', 'alice']) {
          const { sqlstate, asked, message, client } = await tryLogin(proxy, name, PASSWORD, { database });
          if (sqlstate === '') entered.push(`${name} ${database}`);
          else {
            assert.deepEqual([asked, sqlstate], [[], '28000'], name);
            assert.match(message, NO_RULE, name);
          }
          client.destroy();
        }
      }
      // As is_member_of_role_nosuper() has it: by memberships alone, and each role in itself.
      const wanted = await server.query<{ pair: string }>(
        "SELECT m.rolname || ' ' || g.rolname AS pair FROM pg_roles m, pg_roles g WHERE g.rolname = ANY ($1) AND " +
          "m.rolname = ANY ($2) AND (m.oid = g.oid OR (NOT m.rolsuper AND pg_has_role(m.oid, g.oid, 'MEMBER')))",
        [names, ['direct', 'deep', 'dormant', 'super', 'alice']],
      );
      assert.deepEqual(entered.sort(), wanted.map(({ pair }) => pair).sort());
    });
  });

  decides('an answer is good for auth_query_cache_ttl, also when that is nothing', async () => {
    await server.query(`CREATE ROLE moving LOGIN PASSWORD '${PASSWORD}'`);
    try {
      await withProxy({ general: { auth_query_cache_ttl: 0 } }, async (proxy) => {
        assert.equal((await tryLogin(proxy, 'moving', PASSWORD)).sqlstate, '28000');
        await server.query('GRANT crew TO moving');
        assert.equal(await enter(proxy, 'moving', PASSWORD), '');
        await server.query('GRANT left_us TO moving');
        assert.match((await tryLogin(proxy, 'moving', PASSWORD)).message, /rejects/);
        await server.query('REVOKE left_us FROM moving');
      });
      await withProxy({ general: { auth_query_cache_ttl: 700 } }, async (proxy) => {
        assert.equal(await enter(proxy, 'moving', PASSWORD), '');
        await server.query('REVOKE crew FROM moving');
        await sleep(750);
        assert.match((await tryLogin(proxy, 'moving', PASSWORD)).message, NO_RULE);
      });
    } finally {
      await server.query('DROP ROLE moving');
    }
  });

  decides('is asked in auth_dbname, without rights on the catalog of passwords', async () => {
    await server.query(`CREATE ROLE asker LOGIN PASSWORD '${PASSWORD}'`);
    const databases = [
      { ...databaseOf(server), name: 'other', auth_dbname: 'postgres', auth_user: 'asker' },
      { ...databaseOf(server), name: 'postgres', auth_user: 'asker' },
    ];
    const users = [
      { name: 'gone', password: PASSWORD },
      { name: 'deep', password: PASSWORD },
      { name: 'asker', password: PASSWORD },
    ];
    const general = { auth_password: PASSWORD };
    try {
      await withProxy({ databases, users, general }, async (proxy) => {
        for (const database of ['other', 'postgres']) {
          assert.match((await tryLogin(proxy, 'gone', PASSWORD, { database })).message, /rejects/);
          assert.deepEqual(
            (await tryLogin(proxy, 'deep', PASSWORD, { database })).asked.slice(0, 2),
            [10, 11],
          );
        }
      });
    } finally {
      await server.query('DROP ROLE asker');
    }
  });

  decides(
    'no answer: whoever the rules are about is refused, not let in by a later rule; those named before get in',
    async () => {
      const general = { auth_user: 'nobody', auth_failures_max: 1 };
      const users = [
        { name: 'alice', password: PASSWORD },
        { name: 'super', password: PASSWORD },
      ];
      const files = {
        rules: 'host all super all scram-sha-256\nhost all +crew all reject\nhost all all all trust\n',
      };
      await withProxy({ general, users, files }, async (proxy) => {
        for (let round = 0; round < 3; round++) {
          const { asked, sqlstate, message } = await tryLogin(proxy, 'alice', PASSWORD);
          assert.deepEqual([asked, sqlstate, message], [[], '28000', UNKNOWN]);
        }
        await proxy.waitForOutput('groups_failed');
        assert.equal(
          await enter(proxy, 'super', PASSWORD),
          '',
          'and nothing was counted as a failure of the client',
        );
      });
    },
  );

  decides(
    'nobody to ask in one database: it warns, lets in by no such rule, and keeps out by one that rejects',
    async () => {
      const databases = [
        { ...databaseOf(server), auth_user: 'postgres', auth_password: 'postgres' },
        { ...databaseOf(server), name: 'silent', database_name: 'postgres' },
        { ...databaseOf(server), name: 'third', database_name: 'postgres' },
      ];
      const rules = [
        'host third +crew all reject',
        'host all +crew all trust',
        'host all all all scram-sha-256',
      ];
      const general = { auth_user: undefined, auth_password: undefined };
      const users = [{ name: 'deep', password: PASSWORD }];
      await assert.rejects(
        withProxy({ databases, users, general, files: { rules: rules.join('\n') } }, async () => {}),
        /rules:1: "\+crew": auth_user is not set/,
      );
      const files = { rules: rules.join('\n').replace('host third', 'host postgres,third') };
      await withProxy({ databases, users, general, files }, async (proxy) => {
        assert.match(
          proxy.output,
          /rules:1: "\+crew": auth_user is not set.* in "third": there it rejects everybody/,
        );
        assert.match(proxy.output, /rules:2: .* in "silent", "third": there it does not match/);
        const asked = async (database: string) =>
          (await tryLogin(proxy, 'deep', PASSWORD, { database })).asked;
        assert.deepEqual(await asked('silent'), [10, 11, 12, 0]);
        assert.deepEqual(await asked('third'), []);
        assert.deepEqual(await asked('postgres'), []);
      });
    },
  );
});
