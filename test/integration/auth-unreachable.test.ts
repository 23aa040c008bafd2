/** While the server that knows the users cannot be asked: that is no wrong password, and nobody learns who exists. */
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before } from 'node:test';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { enter, tryLogin } from '../support/login.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import type { TomlTable } from '../support/toml-text.js';
import { eventually, sleep } from '../support/wire.js';

const ALICE = secret('alices password while all is well');
const LISTED = secret('password of the one who is listed');
const FAILURE_TTL_MS = 300;

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    users: [
      { name: 'alice', password: ALICE },
      { name: 'bob', password: ALICE },
      { name: 'listed', password: LISTED },
    ],
  });
});
after(() => server.stop());

const start = (
  driver: Parameters<Parameters<typeof forEachDriver>[1]>[0],
  general: TomlTable,
  to = server as { host: string; port: number },
): Promise<TestProxy> =>
  startProxy({
    workers: 2,
    ioDriver: driver,
    databases: [databaseOf(to, {})],
    users: [{ name: 'listed', password: LISTED, database: 'postgres' }],
    general: {
      min_pool_size: 0,
      ...(general['passthrough_auth'] === undefined && {
        auth_user: 'postgres',
        auth_password: 'postgres',
      }),
      auth_failures_max: 3,
      ...general,
    },
  });

/** Takes connections and says nothing. */
async function silentServer(): Promise<{ port: number; count(): number; close(): void }> {
  const sockets = new Set<Socket>();
  let count = 0;
  const silent: Server = createServer((socket) => {
    count++;
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  return {
    port: (silent.address() as { port: number }).port,
    count: () => count,
    close() {
      for (const socket of sockets) socket.destroy();
      silent.close();
    },
  };
}

forEachDriver('a server of auth_query that cannot be asked', (driver) => {
  const decides = decisionsOn(driver);

  for (const [method, general] of Object.entries<TomlTable>({
    scram: {},
    md5: { auth_type: 'md5' },
    plain: { auth_type: 'plain', plain_auth_without_tls: true },
  })) {
    decides(`${method}: all whose password is not right are told the same, whoever exists`, async () => {
      const proxy = await start(driver, { ...general, auth_query_failure_ttl: FAILURE_TTL_MS });
      try {
        // Known, and remembered.
        assert.equal(await enter(proxy, 'alice', ALICE), '');
        assert.equal((await tryLogin(proxy, 'alice', 'wrong')).sqlstate, '28P01');
        assert.equal((await tryLogin(proxy, 'listed', 'wrong')).sqlstate, '28P01');
        await server.kill('SIGKILL');
        // What was known a moment ago is too old.
        await sleep(FAILURE_TTL_MS + 100);
        const told: unknown[] = [];
        for (const name of ['alice', 'bob', 'nobody', 'listed']) {
          for (let i = 0; i < 4; i++) {
            const { sqlstate, message, asked, error } = await tryLogin(proxy, name, 'wrong');
            // Under md5 strangers look like users with verifiers.
            const demands = method === 'md5' ? null : asked;
            told.push(JSON.stringify([sqlstate, message, demands, Object.keys(error ?? {})]));
          }
        }
        assert.equal(new Set(told).size, 1, String([...new Set(told)]));
        assert.match(String(told[0]), /08001.*who may log in could not be found out/);
        // Right passwords of those whose are known are right; they come to the server's own failure.
        const { asked } = await tryLogin(proxy, 'listed', LISTED);
        assert.equal(asked.at(-1), 0);
        await server.restart();
        // None of it counted as a failure: the third would have been the last.
        for (const [name, password] of [
          ['alice', ALICE],
          ['bob', ALICE],
          ['listed', LISTED],
        ] as const) {
          await eventually(`${name} is in`, async () => (await enter(proxy, name, password)) === '');
        }
        await eventually('it is asked again', async () => {
          return (await tryLogin(proxy, 'nobody', ALICE)).sqlstate === '28P01';
        });
      } finally {
        await proxy.stop();
      }
    });
  }

  decides('passthrough: a server that cannot be asked has not refused the password', async () => {
    const proxy = await start(driver, { passthrough_auth: 'enabled_plain' });
    try {
      assert.equal(await enter(proxy, 'alice', ALICE), '');
      assert.equal((await tryLogin(proxy, 'bob', 'wrong')).sqlstate, '28P01');
      await server.kill('SIGKILL');
      for (const name of ['bob', 'nobody']) {
        assert.equal((await tryLogin(proxy, name, ALICE)).sqlstate, '08001', name);
      }
      await server.restart();
      assert.equal(await enter(proxy, 'bob', ALICE), '');
    } finally {
      await proxy.stop();
    }
  });

  decides('a server that says nothing is waited for once, and not by each login anew', async () => {
    const silent = await silentServer();
    const proxy = await start(
      driver,
      { connect_timeout: 1_000, auth_failures_max: 0, client_login_timeout: 20_000 },
      { host: '127.0.0.1', port: silent.port },
    );
    try {
      const startMs = performance.now();
      const logins = await Promise.all(
        Array.from({ length: 40 }, (_, i) => tryLogin(proxy, `stranger${i}`, 'wrong')),
      );
      for (const { sqlstate } of logins) assert.equal(sqlstate, '08001');
      const tookMs = performance.now() - startMs;
      assert.ok(tookMs < 10_000, `${tookMs} ms`);
    } finally {
      silent.close();
      await proxy.stop();
    }
  });
});
