/** Clients whose password only the server knows: checked there each time it counts, and never because a pool exists. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { enter, tryLogin } from '../support/login.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import type { TomlTable } from '../support/toml-text.js';
import { sleep } from '../support/wire.js';

const ALICE = secret('alices own password');
const FRESH = secret('alices second password');
const LONG = secret('long '.repeat(4_000));

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    users: [
      { name: 'alice', password: ALICE },
      { name: 'listed', password: secret('listed on the server') },
      { name: 'long', password: LONG },
    ],
  });
});
after(() => server.stop());

const setPassword = (password: string): Promise<unknown> =>
  server.query(`ALTER ROLE alice PASSWORD '${password}'`);

forEachDriver('passthrough', (driver) => {
  const decides = decisionsOn(driver);
  async function withProxy(
    general: TomlTable,
    body: (proxy: TestProxy) => Promise<void>,
    databases = [databaseOf(server)],
  ): Promise<void> {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases,
      users: [{ name: 'listed', password: 'listed on the server', database: 'postgres' }],
      general: { min_pool_size: 0, log_level: 'trace', auth_failures_max: 0, ...general },
    });
    try {
      await body(proxy);
    } finally {
      // Not in the place of what the body met: the server may be down then.
      await setPassword(ALICE).catch(() => undefined);
      await proxy.stop();
    }
  }
  const PLAIN = { passthrough_auth: 'enabled_plain', auth_query_cache_ttl: 200 };

  it('the password that the server takes lets in; strangers, wrong ones and unknown databases look alike', async () => {
    await withProxy(PLAIN, async (proxy) => {
      assert.deepEqual((await tryLogin(proxy, 'alice', ALICE)).asked, [3, 0]);
      assert.equal(await enter(proxy, 'alice', ALICE), '');
      const told = await Promise.all([
        tryLogin(proxy, 'alice', 'wrong'),
        tryLogin(proxy, 'nobody', ALICE),
        tryLogin(proxy, 'alice', ''),
        tryLogin(proxy, 'alice', ALICE, { database: 'nowhere' }),
        tryLogin(proxy, 'alice', 'x'.repeat(32_000)),
      ]);
      for (const { asked, sqlstate, message, error } of told) {
        assert.deepEqual([asked, sqlstate], [[3], '28P01']);
        assert.match(message, /^password authentication failed for user "(alice|nobody)"$/);
        assert.deepEqual(Object.keys(error ?? {}), Object.keys(told[0]?.error ?? {}));
      }
    });
  });

  decides('a pool that is there does not let anybody in', async () => {
    await withProxy({ ...PLAIN, auth_query_cache_ttl: 60_000 }, async (proxy) => {
      const { client } = await tryLogin(proxy, 'alice', ALICE);
      assert.equal((await client.query('SELECT 1')).error, null);
      for (const password of ['', 'wrong', `${ALICE} `, ALICE.slice(1)]) {
        assert.equal((await tryLogin(proxy, 'alice', password)).sqlstate, '28P01', password);
      }
      assert.equal((await client.query('SELECT 1')).error, null);
      await client.end();
    });
  });

  decides('what was accepted is asked for again when its time is over', async () => {
    await withProxy(PLAIN, async (proxy) => {
      assert.equal(await enter(proxy, 'alice', ALICE), '');
      await setPassword(FRESH);
      await sleep(250);
      assert.equal((await tryLogin(proxy, 'alice', ALICE)).sqlstate, '28P01', 'the old one is dead');
      // The pool was made with the old one, and nobody said that it may change.
      assert.equal((await tryLogin(proxy, 'alice', FRESH)).sqlstate, '28P01');
      await proxy.waitForOutput('passthrough_auth without allow_change');
    });
  });

  decides('allow_change: another password that the server takes is used from then on', async () => {
    await withProxy({ ...PLAIN, passthrough_auth: 'enabled_plain_allow_change' }, async (proxy) => {
      assert.equal(await enter(proxy, 'alice', ALICE), '');
      await setPassword(FRESH);
      await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'");
      assert.equal(await enter(proxy, 'alice', FRESH), '');
      await sleep(250);
      assert.equal((await tryLogin(proxy, 'alice', ALICE)).sqlstate, '28P01');
      assert.equal(await enter(proxy, 'alice', FRESH), '');
    });
  });

  decides('enabled: nobody is asked for a password in clear without TLS', async () => {
    await withProxy({ passthrough_auth: 'enabled' }, async (proxy) => {
      for (const [user, password] of [
        ['alice', ALICE],
        ['nobody', 'x'],
      ] as const) {
        const { asked, sqlstate } = await tryLogin(proxy, user, password);
        assert.deepEqual([asked, sqlstate], [[], '28000']);
      }
      // Those who are listed log in as ever.
      assert.equal(await enter(proxy, 'listed', 'listed on the server'), '');
    });
  });

  decides('the admin database is never passed through', async () => {
    await withProxy(PLAIN, async (proxy) => {
      for (const [user, password] of [
        ['alice', ALICE],
        ['admin', 'wrong'],
        ['admin', ''],
      ] as const) {
        const { asked, sqlstate } = await tryLogin(proxy, user, password, { database: 'admin' });
        assert.deepEqual([asked.slice(0, 2), sqlstate], [[10, 11], '28P01'], user);
      }
    });
  });

  it('a long password (a token) works, one beyond the limit ends the connection and nothing else', async () => {
    await withProxy(PLAIN, async (proxy) => {
      assert.equal(await enter(proxy, 'long', LONG), '');
      const { sqlstate } = await tryLogin(proxy, 'alice', 'x'.repeat(65_000));
      assert.equal(sqlstate, '08P01');
      assert.equal(await enter(proxy, 'alice', ALICE), '');
    });
  });

  decides(
    'a server that lets us in without asking has not checked the password: nobody gets in',
    async () => {
      const trusting = await startPostgres({ auth: 'trust', users: [{ name: 'alice', password: ALICE }] });
      try {
        const databases = [
          databaseOf(server),
          databaseOf(trusting, { name: 'trusting', database_name: 'postgres' }),
        ];
        await withProxy(
          PLAIN,
          async (proxy) => {
            for (const [user, password] of [
              ['alice', 'wrong'],
              ['alice', ALICE],
              ['postgres', 'x'],
            ] as const) {
              const { asked, sqlstate } = await tryLogin(proxy, user, password, { database: 'trusting' });
              assert.deepEqual([asked, sqlstate], [[3], '28P01'], `${user} ${password}`);
            }
            await proxy.waitForOutput('did not ask for the password');
            assert.equal(await enter(proxy, 'alice', ALICE), '');
          },
          databases,
        );
      } finally {
        await trusting.stop();
      }
    },
  );

  decides('a server that is down lets nobody in, and everybody again when it is back', async () => {
    await withProxy({ ...PLAIN, auth_query_cache_ttl: 0 }, async (proxy) => {
      await server.kill();
      assert.equal((await tryLogin(proxy, 'alice', ALICE)).sqlstate, '08001');
      await server.restart();
      assert.equal(await enter(proxy, 'alice', ALICE), '');
    });
  });
});
