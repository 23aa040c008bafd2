/** Connections on which hosts are checked go the way that a pool's do: TLS where there is any, abstract sockets, peers. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { after, before, it } from 'node:test';
import { knock, ProbeConnection } from 'pgdog-cluster';
import { testAuthority } from '../support/certificates.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { TlsFolder } from '../support/tls-folder.js';

const own = testAuthority().issue({ subject: [['CN', 'localhost']] });
const NAME = `@pgdog-probe-${process.pid}`;
const TIMEOUTS = { connectMs: 20_000, queryMs: 20_000 };
const PREFER = { ssl: { rejectUnauthorized: false }, isOptional: true };
const CLEAR = { ssl: false as const, isOptional: false };

let encrypted: TestPostgres;
let clear: TestPostgres;
before(async () => {
  encrypted = await startPostgres({ settings: new TlsFolder().forPostgres(own) });
  clear = await startPostgres({ settings: { unix_socket_directories: NAME } });
});
after(async () => {
  await encrypted.stop();
  await clear.stop();
});

const terms = (timeouts: typeof TIMEOUTS) => ({
  timeouts,
  nowMs: Date.now,
  signal: new AbortController().signal,
});
const login = { database: 'postgres', user: 'postgres', password: 'postgres', requirePeer: undefined };

async function probe(server: TestPostgres, target: object): Promise<boolean | undefined> {
  const { host, ...where } = { ...login, host: server.host, port: server.port, tls: PREFER, ...target };
  const connection = await ProbeConnection.open(host, where, terms(TIMEOUTS), () => {});
  try {
    assert.equal((await connection.measure()).isInRecovery, false);
    const [row] = await server.query<{ ssl: boolean }>(
      "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'pgdog-cluster health'",
    );
    return row?.ssl;
  } finally {
    connection.close();
  }
}

it('prefer: encrypted where the server can, in the clear where it cannot', async () => {
  assert.equal(await probe(encrypted, {}), true);
  assert.equal(await probe(clear, {}), false);
});

it('abstract sockets: measured and knocked at; nobody but the required peer is told anything', async () => {
  const host = `${NAME}/.s.PGSQL.${clear.port}`;
  assert.equal(await probe(clear, { host, tls: CLEAR }), false);
  assert.deepEqual(await knock(host, clear.port, 5000), { isAnswered: true });
  const requirePeer = { name: 'somebody else', uid: 54_321 };
  await assert.rejects(probe(clear, { host, tls: CLEAR, requirePeer }), /is not to be trusted/);
});

it('a server that says nothing is given up in time', async () => {
  const server: Server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const open = ProbeConnection.open(
    '127.0.0.1',
    { ...login, port, tls: PREFER },
    terms({ connectMs: 300, queryMs: 300 }),
    () => {},
  );
  await assert.rejects(open, /timeout/);
  server.close();
});
