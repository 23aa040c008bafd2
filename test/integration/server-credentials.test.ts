/** What a pool shows its server: several passwords, hashes in their place, keys that clients have proven. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { enter, tryLogin } from '../support/login.js';
import { databaseOf, type ProxyUser, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import type { TomlTable } from '../support/toml-text.js';
import { eventually, sleep, untilNoServers } from '../support/wire.js';

const OLD = secret('the old password');
const NEW = secret('the new password');

/** What pg_authid has of a role. */
async function hashOf(server: TestPostgres, role: string): Promise<string> {
  const [row] = await server.query<{ rolpassword: string }>(
    'SELECT rolpassword FROM pg_authid WHERE rolname = $1',
    [role],
  );
  return secret(row?.rolpassword ?? '');
}

let scram: TestPostgres;
let md5: TestPostgres;
before(async () => {
  scram = await startPostgres({ users: [{ name: 'alice', password: OLD }] });
  md5 = await startPostgres({
    auth: 'md5',
    initSql: "SET password_encryption = 'md5'; CREATE ROLE alice LOGIN PASSWORD 'x'",
  });
  await md5.query(`SET password_encryption = 'md5'; ALTER ROLE alice PASSWORD '${OLD}'`);
});
after(async () => {
  await scram.stop();
  await md5.stop();
});

forEachDriver('credentials towards servers', (driver) => {
  const decides = decisionsOn(driver);
  interface Setting {
    server?: TestPostgres;
    users: ProxyUser[];
    database?: TomlTable;
    general?: TomlTable;
    workers?: number;
  }
  async function withProxy(setting: Setting, body: (proxy: TestProxy) => Promise<void>): Promise<void> {
    const proxy = await startProxy({
      workers: setting.workers ?? 1,
      ioDriver: driver,
      databases: [databaseOf(setting.server ?? scram, setting.database)],
      users: setting.users,
      general: { min_pool_size: 0, log_level: 'trace', ...setting.general },
    });
    try {
      await body(proxy);
    } finally {
      await proxy.stop();
    }
  }
  const alice = (settings: Omit<ProxyUser, 'name'>): ProxyUser => ({
    name: 'alice',
    database: 'postgres',
    ...settings,
  });

  const endServers = async (proxy: TestProxy): Promise<void> => {
    await scram.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'");
    await untilNoServers(proxy);
  };

  it('rotation: either password lets clients in, and the one the server takes is found and remembered', async () => {
    await withProxy({ users: [alice({ passwords: [NEW, OLD] })] }, async (proxy) => {
      try {
        for (const password of [NEW, OLD]) assert.equal(await enter(proxy, 'alice', password), '');
        await proxy.waitForOutput('the next one is tried');
        assert.equal(proxy.output.split('server_password_refused').length - 1, 1, 'tried once');
        await scram.query(`ALTER ROLE alice PASSWORD '${NEW}'`);
        await endServers(proxy);
        assert.equal(await enter(proxy, 'alice', OLD), '');
        await scram.query(`ALTER ROLE alice PASSWORD 'neither of them'`);
        await endServers(proxy);
        const { client } = await tryLogin(proxy, 'alice', NEW);
        assert.equal((await client.query('SELECT 1')).error?.['C'], '58000', 'all refused: said at once');
        client.destroy();
      } finally {
        await scram.query(`ALTER ROLE alice PASSWORD '${OLD}'`);
      }
    });
  });

  decides('a verifier alone: the key that a client proves opens the server', async () => {
    const verifier = await hashOf(scram, 'alice');
    for (const key of ['password', 'password_hash']) {
      await withProxy({ users: [alice({ [key]: verifier })] }, async (proxy) => {
        assert.equal((await tryLogin(proxy, 'alice', NEW)).sqlstate, '28P01');
        assert.equal(await enter(proxy, 'alice', OLD), '');
        assert.equal(await enter(proxy, 'alice', OLD), '');
      });
    }
  });

  decides('a verifier alone, asked for in clear: the same', async () => {
    const verifier = await hashOf(scram, 'alice');
    const general = { auth_type: 'plain', plain_auth_without_tls: true };
    await withProxy({ users: [alice({ password: verifier })], general }, async (proxy) => {
      assert.equal((await tryLogin(proxy, 'alice', NEW)).sqlstate, '28P01');
      assert.equal(await enter(proxy, 'alice', OLD), '');
      assert.equal(await enter(proxy, 'alice', OLD), '');
    });
  });

  decides('min_pool_size waits for the key, and is kept once there is one', async () => {
    const verifier = await hashOf(scram, 'alice');
    const count = async (): Promise<number> =>
      (await scram.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'alice'")).length;
    await withProxy(
      { users: [alice({ password: verifier, min_pool_size: 3 })], general: { auth_failures_max: 0 } },
      async (proxy) => {
        await sleep(200);
        assert.equal(await count(), 0);
        assert.equal(proxy.output.includes('only a verifier is known'), false, 'nothing was tried in vain');
        assert.equal(await enter(proxy, 'alice', OLD), '');
        await eventually('three connections', async () => (await count()) === 3);
      },
    );
  });

  decides('another verifier than the server has: said so, and nobody waits', async () => {
    const verifier = await hashOf(scram, 'alice');
    await scram.query(`CREATE ROLE twin LOGIN PASSWORD '${OLD}'`);
    try {
      await withProxy(
        { users: [{ name: 'twin', password: verifier, database: 'postgres' }] },
        async (proxy) => {
          const { sqlstate, message } = await tryLogin(proxy, 'twin', OLD);
          assert.deepEqual(sqlstate, '58000');
          assert.match(message, /only a verifier is known: the server has another verifier/);
        },
      );
    } finally {
      await scram.query('DROP ROLE twin');
    }
  });

  decides('a forced user has its own password; hashes of the client are not shown for it', async () => {
    const verifier = await hashOf(scram, 'alice');
    const database = { user: 'postgres', password: 'postgres' };
    await withProxy({ users: [alice({ password: verifier })], database }, async (proxy) => {
      assert.equal(await enter(proxy, 'alice', OLD), 'entered as postgres');
    });
    await withProxy(
      { users: [alice({ password: verifier })], database: { user: 'postgres' } },
      async (proxy) => {
        const { sqlstate, message } = await tryLogin(proxy, 'alice', OLD);
        assert.equal(sqlstate, '58000');
        assert.match(message, /asks for a password of "postgres", and none is configured/);
      },
    );
  });

  decides('an md5 hash opens a server that asks for md5', async () => {
    const hash = await hashOf(md5, 'alice');
    assert.ok(hash.startsWith('md5'));
    for (const key of ['password', 'password_hash']) {
      await withProxy(
        { server: md5, users: [alice({ [key]: hash })], general: { auth_type: 'md5' } },
        async (proxy) => {
          assert.equal((await tryLogin(proxy, 'alice', NEW)).sqlstate, '28P01');
          assert.deepEqual((await tryLogin(proxy, 'alice', OLD)).asked, [5, 0]);
          assert.equal(await enter(proxy, 'alice', OLD), '');
        },
      );
    }
  });

  decides('an md5 hash and a server that asks for the password: what a client sent in clear', async () => {
    const clear = await startPostgres({ auth: 'password', users: [{ name: 'alice', password: OLD }] });
    try {
      const hash = await hashOf(md5, 'alice');
      const general = { auth_type: 'plain', plain_auth_without_tls: true };
      await withProxy({ server: clear, users: [alice({ password: hash })], general }, async (proxy) => {
        assert.equal(await enter(proxy, 'alice', OLD), '');
      });
      await withProxy(
        { server: clear, users: [alice({ password: hash })], general: { auth_type: 'md5' } },
        async (proxy) => {
          const { sqlstate, message } = await tryLogin(proxy, 'alice', OLD);
          assert.deepEqual(sqlstate, '58000');
          assert.match(message, /none is configured/);
        },
      );
    } finally {
      await clear.stop();
    }
  });

  it('many workers: each learns the key from its own clients', async () => {
    const verifier = await hashOf(scram, 'alice');
    await withProxy({ users: [alice({ password: verifier, pool_size: 12 })], workers: 3 }, async (proxy) => {
      const outcomes = await Promise.all(Array.from({ length: 24 }, () => enter(proxy, 'alice', OLD)));
      assert.deepEqual(new Set(outcomes), new Set(['']));
    });
  });
});
