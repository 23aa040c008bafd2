/** Users who are not in users.toml, found by auth_query: who gets in, who does not, and what nobody can tell apart. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { decisionsOn, forEachDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { enter, tryLogin } from '../support/login.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import type { TomlTable } from '../support/toml-text.js';
import { eventually, sleep, spread } from '../support/wire.js';

const ALICE = secret('alices long password');
const ASKER = secret('askers long password');
const MD5 = secret('password behind md5');

/** Rows of a function for each way an answer can be wrong. */
const ANSWERS = `
  CREATE ROLE asker LOGIN PASSWORD '${ASKER}';
  CREATE ROLE expired LOGIN PASSWORD '${ALICE}' VALID UNTIL '2020-01-01';
  CREATE ROLE later LOGIN PASSWORD '${ALICE}' VALID UNTIL 'infinity';
  CREATE ROLE barred NOLOGIN PASSWORD '${ALICE}';
  CREATE ROLE bare LOGIN;
  SET password_encryption = 'md5';
  CREATE ROLE hashed LOGIN PASSWORD '${MD5}';
  SET password_encryption = 'scram-sha-256';
  CREATE TABLE public.asked (name text, path text, application text);
  CREATE TABLE public.odd (name text, alias text, secret text);
  CREATE FUNCTION public.find(wanted text) RETURNS TABLE (found text, hash text)
    LANGUAGE plpgsql SECURITY DEFINER AS $body$
    BEGIN
      INSERT INTO public.asked VALUES ($1, current_setting('search_path'), current_setting('application_name'));
      IF $1 = 'raises' THEN RAISE EXCEPTION 'no answer'; END IF;
      RETURN QUERY SELECT o.alias, o.secret FROM public.odd o WHERE o.name = $1
        UNION ALL SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = $1;
    END $body$;
`;

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ users: [{ name: 'alice', password: ALICE }], initSql: ANSWERS });
  const [row] = await server.query<{ rolpassword: string }>(
    "SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'",
  );
  const hash = row?.rolpassword ?? '';
  const insert = (name: string, alias: string | null, value: string | null): Promise<unknown> =>
    server.query('INSERT INTO public.odd VALUES ($1, $2, $3)', [name, alias, value]);
  // Two rows; somebody else's name; no name; no password; words instead of a hash; a broken verifier.
  await insert('twice', 'twice', hash);
  await insert('twice', 'twice', hash);
  await insert('alias', 'alice', hash);
  await insert('nameless', null, hash);
  await insert('null', 'null', null);
  await insert('words', 'words', ALICE);
  await insert('bang', 'bang', '!');
  await insert('broken', 'broken', `${hash}x`);
});
after(() => server.stop());

const start = (driver: TestDriver, general: TomlTable = {}, database: TomlTable = {}): Promise<TestProxy> =>
  startProxy({
    workers: 1,
    ioDriver: driver,
    databases: [databaseOf(server, database)],
    users: [{ name: 'listed', password: secret('password of listed'), database: 'postgres' }],
    general: {
      min_pool_size: 0,
      log_level: 'trace',
      auth_user: 'postgres',
      auth_password: 'postgres',
      auth_failures_max: 0,
      ...general,
    },
  });

/** A proxy for the length of `body`. */
async function withProxy(
  driver: TestDriver,
  body: (proxy: TestProxy) => Promise<void>,
  general: TomlTable = {},
  database: TomlTable = {},
): Promise<void> {
  const proxy = await start(driver, general, database);
  try {
    await body(proxy);
  } finally {
    await proxy.stop();
  }
}

const BY_FUNCTION = { auth_query: 'SELECT * FROM public.find($1)' };
const askedFor = async (name: string): Promise<number> => {
  const rows = await server.query('SELECT 1 FROM public.asked WHERE name = $1', [name]);
  return rows.length;
};

forEachDriver('auth_query', (driver) => {
  const decides = decisionsOn(driver);
  it('lets roles in that may log in, under each method, and serves them', async () => {
    await withProxy(driver, async (proxy) => {
      assert.equal(await enter(proxy, 'alice', ALICE), '');
      assert.equal(await enter(proxy, 'alice', ALICE), '');
      assert.equal(await enter(proxy, 'later', ALICE), '');
      const [pool] = await proxy
        .adminQuery<{ user: string }>('SHOW POOLS')
        .then((rows) => rows.filter(({ user }) => user === 'alice'));
      assert.equal(pool?.user, 'alice');
    });
    // Scram for who has a verifier only; md5 hashes serve md5.
    await withProxy(
      driver,
      async (proxy) => {
        assert.deepEqual((await tryLogin(proxy, 'alice', ALICE)).asked, [10, 11, 12, 0]);
        assert.equal(await enter(proxy, 'alice', ALICE), '');
        assert.deepEqual((await tryLogin(proxy, 'hashed', MD5)).asked, [5, 0]);
      },
      { auth_type: 'md5' },
    );
    await withProxy(
      driver,
      async (proxy) => {
        assert.equal(await enter(proxy, 'alice', ALICE), '');
        assert.deepEqual((await tryLogin(proxy, 'alice', ALICE)).asked, [3, 0]);
        assert.equal((await tryLogin(proxy, 'alice', `${ALICE}x`)).sqlstate, '28P01');
      },
      { auth_type: 'plain', plain_auth_without_tls: true },
    );
  });

  const nobodies = ['nobody', 'expired', 'barred', 'bare', 'asker', 'pg_monitor'];
  decides(
    'CVE-2025-2291: roles that may not log in, and none at all, look like a wrong password',
    async () => {
      await withProxy(driver, async (proxy) => {
        const wrong = await tryLogin(proxy, 'alice', 'not the password');
        assert.equal(wrong.sqlstate, '28P01');
        const shape = Object.keys(wrong.error ?? {});
        for (const name of nobodies) {
          for (const password of name === 'asker' ? [ALICE] : [ALICE, '']) {
            const { asked, sqlstate, message, error } = await tryLogin(proxy, name, password);
            assert.deepEqual([asked, sqlstate], [wrong.asked, '28P01'], name);
            assert.equal(message, `password authentication failed for user "${name}"`);
            assert.deepEqual(Object.keys(error ?? {}), shape);
          }
        }
        const { sqlstate, asked } = await tryLogin(proxy, 'alice', ALICE, { database: 'nowhere' });
        assert.deepEqual([sqlstate, asked], ['28P01', wrong.asked]);
      });
    },
  );

  decides('answers that are none let nobody in: two rows, other names, NULL, words, errors', async () => {
    await withProxy(
      driver,
      async (proxy) => {
        assert.equal(await enter(proxy, 'alice', ALICE), '');
        for (const name of ['twice', 'alias', 'nameless', 'null', 'words', 'bang', 'broken', 'raises']) {
          for (const password of [ALICE, '!', '']) {
            const { sqlstate, asked, message } = await tryLogin(proxy, name, password);
            assert.deepEqual([sqlstate, asked], ['28P01', [10, 11]], name);
            assert.equal(message, `password authentication failed for user "${name}"`);
          }
        }
        // The one who asks is not who gets in.
        assert.equal((await tryLogin(proxy, 'postgres', ALICE)).sqlstate, '28P01');
      },
      BY_FUNCTION,
    );
  });

  it('od#149: names are data, whatever they hold', async () => {
    await withProxy(
      driver,
      async (proxy) => {
        const names = [
          "x'; DROP TABLE public.asked; --",
          'a"b',
          '$1',
          'é✓',
          'n'.repeat(63),
          'n'.repeat(64),
          'n'.repeat(1000),
          'n'.repeat(9000),
        ];
        for (const name of names) {
          const { sqlstate } = await tryLogin(proxy, name, ALICE);
          assert.equal(sqlstate, '28P01', name.slice(0, 70));
          assert.equal(await askedFor(name), 1, name.slice(0, 70));
        }
        // Longer than a start-up packet may be: nothing is asked and nothing waits.
        const { RawClient } = await import('../support/raw-client.js');
        const client = await RawClient.open({ port: proxy.port, user: 'n'.repeat(65_536) });
        await assert.rejects(client.login());
        client.destroy();
      },
      BY_FUNCTION,
    );
  });

  decides('nothing of the client reaches the connection that asks', async () => {
    await server.query('TRUNCATE public.asked');
    await withProxy(
      driver,
      async (proxy) => {
        const parameters = {
          search_path: 'evil, public',
          application_name: 'evil',
          options: '-c search_path=evil -c session_preload_libraries=x',
        };
        const { client } = await tryLogin(proxy, 'alice', ALICE, { parameters });
        client.destroy();
        const rows = await server.query('SELECT * FROM public.asked');
        assert.deepEqual(rows, [{ name: 'alice', path: 'pg_catalog', application: 'pgdog-cluster auth' }]);
      },
      BY_FUNCTION,
    );
  });

  decides(
    'an answer is used for its time, a failure for a short one, a wrong password asks again',
    async () => {
      await server.query('TRUNCATE public.asked');
      await withProxy(
        driver,
        async (proxy) => {
          for (let round = 0; round < 5; round++) assert.equal(await enter(proxy, 'alice', ALICE), '');
          assert.equal(await askedFor('alice'), 1);
          await Promise.all(
            Array.from({ length: 10 }, async () =>
              assert.equal((await tryLogin(proxy, 'stranger', ALICE)).sqlstate, '28P01'),
            ),
          );
          assert.equal(await askedFor('stranger'), 1, 'one question for ten logins');
          // The password is changed on the server: the new one is let in once the answer is doubted.
          const fresh = secret('alices new password');
          await server.query(`ALTER ROLE alice PASSWORD '${fresh}'`);
          try {
            assert.equal((await tryLogin(proxy, 'alice', fresh)).sqlstate, '28P01');
            await eventually('the new one lets in', async () => (await enter(proxy, 'alice', fresh)) === '');
            assert.equal((await tryLogin(proxy, 'alice', ALICE)).sqlstate, '28P01');
          } finally {
            await server.query(`ALTER ROLE alice PASSWORD '${ALICE}'`);
          }
        },
        { ...BY_FUNCTION, auth_query_cache_ttl: 60_000, auth_query_failure_ttl: 2_000 },
      );
    },
  );

  decides('a dropped role is out when its answer is too old', async () => {
    await server.query(`CREATE ROLE leaving LOGIN PASSWORD '${ALICE}'`);
    await withProxy(
      driver,
      async (proxy) => {
        assert.equal(await enter(proxy, 'leaving', ALICE), '');
        await server.query('ALTER ROLE leaving NOLOGIN');
        await sleep(150);
        assert.equal((await tryLogin(proxy, 'leaving', ALICE)).sqlstate, '28P01');
      },
      { auth_query_cache_ttl: 100 },
    );
    await server.query('DROP ROLE leaving');
  });

  decides(
    'an asker who cannot ask is no wrong password: it is said so, and listed users are not concerned',
    async () => {
      const broken: (TomlTable & { code?: string })[] = [
        { auth_user: 'asker', auth_password: ASKER },
        { auth_user: 'asker', auth_password: 'not its password' },
        { auth_user: 'nobody' },
        { auth_query: 'SELECT 1' },
        { auth_query: 'this is no SQL $1' },
        { auth_query: 'SELECT * FROM no_such_function($1)' },
        // It answers, of this user alone perhaps.
        { auth_query: 'SELECT rolname FROM pg_catalog.pg_authid WHERE rolname = $1', code: '28P01' },
        { auth_query: 'SELECT rolname, rolpassword FROM pg_authid WHERE oid = $1::regrole', code: '28P01' },
      ];
      const names = broken.map((_, index) => `broken${index}`);
      const proxy = await startProxy({
        workers: 1,
        ioDriver: driver,
        databases: broken.map(({ code: _, ...settings }, index) =>
          databaseOf(server, { ...settings, name: `broken${index}`, database_name: 'postgres' }),
        ),
        users: [{ name: 'listed', password: secret('password of listed'), databases: names }],
        general: { min_pool_size: 0, log_level: 'trace', auth_user: 'postgres', auth_password: 'postgres' },
      });
      try {
        for (const [index, database] of names.entries()) {
          const user = index === names.length - 1 ? 'nobody' : 'alice';
          const { sqlstate, asked, message } = await tryLogin(proxy, user, ALICE, { database });
          const { code = '08001', ...what } = broken[index] ?? {};
          assert.deepEqual([sqlstate, asked], [code, [10, 11]], JSON.stringify(what));
          if (code === '08001') assert.match(message, /^who may log in could not be found out/);
          const listed = await tryLogin(proxy, 'listed', 'password of listed', { database });
          assert.deepEqual(listed.asked.slice(0, 4), [10, 11, 12, 0]);
          listed.client.destroy();
          const failures = (): number => proxy.output.split('auth_query failed').length - 1;
          await eventually(`told of ${database}`, async () => failures() === index + 1);
        }
      } finally {
        await proxy.stop();
      }
    },
  );

  decides('is asked in auth_dbname, with the password of its own entry in users.toml', async () => {
    const proxy = await startProxy({
      workers: 2,
      ioDriver: driver,
      databases: [
        {
          ...databaseOf(server),
          name: 'first',
          database_name: 'template1',
          auth_dbname: 'second',
          auth_user: 'asker',
        },
        { ...databaseOf(server), name: 'second', database_name: 'postgres' },
      ],
      users: [{ name: 'asker', password: ASKER, database: 'second' }],
      general: { min_pool_size: 0, ...BY_FUNCTION },
    });
    try {
      assert.equal(await enter(proxy, 'alice', ALICE, { database: 'first' }), '');
      assert.equal((await tryLogin(proxy, 'alice', ALICE, { database: 'second' })).sqlstate, '28P01');
    } finally {
      await proxy.stop();
    }
  });

  decides('a listed user without a password is asked for, and keeps the settings of the list', async () => {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [databaseOf(server)],
      users: [{ name: 'alice', database: 'postgres', pool_size: 3, pooler_mode: 'session' }],
      general: { min_pool_size: 0, auth_user: 'postgres', auth_password: 'postgres' },
    });
    try {
      assert.equal(await enter(proxy, 'alice', ALICE), '');
      const rows = await proxy.adminQuery<{ user: string; pool_mode: string; sv_limit: string }>(
        'SHOW POOLS',
      );
      assert.equal(rows.length, 1);
      assert.deepEqual([rows[0]?.pool_mode, String(rows[0]?.sv_limit)], ['session', '3']);
    } finally {
      await proxy.stop();
    }
  });

  decides('more users than dynamic_users_max: the next one is refused by name of the limit', async () => {
    await withProxy(
      driver,
      async (proxy) => {
        assert.equal(await enter(proxy, 'alice', ALICE), '');
        const { sqlstate, error } = await tryLogin(proxy, 'later', ALICE);
        assert.equal(sqlstate, '53300');
        assert.match(error?.['H'] ?? '', /dynamic_users_max/);
        assert.equal(await enter(proxy, 'alice', ALICE), '', 'those who are there stay');
      },
      { dynamic_users_max: 1 },
    );
  });
});

it('several workers share what was found out, and server connections of such users move between them', async () => {
  await server.query('TRUNCATE public.asked');
  const proxy = await startProxy({
    workers: 3,
    databases: [databaseOf(server, spread(3, 2).database)],
    users: [],
    general: {
      min_pool_size: 0,
      ...spread(3, 2).general,
      auth_user: 'postgres',
      auth_password: 'postgres',
      ...BY_FUNCTION,
    },
  });
  try {
    const outcomes = await Promise.all(Array.from({ length: 30 }, () => enter(proxy, 'alice', ALICE)));
    assert.deepEqual(new Set(outcomes), new Set(['']));
    assert.equal(await askedFor('alice'), 1);
  } finally {
    await proxy.stop();
  }
});
