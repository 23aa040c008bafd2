/** Every kind of exchange with its bytes cut in two at each offset, and into single bytes. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { everySplit, sendInPieces, singleBytes } from '../support/every-split.js';
import {
  B,
  C,
  c,
  cancelRequest,
  D,
  d,
  E,
  errorFields,
  f,
  H,
  int32,
  P,
  Q,
  S,
  startupPacket,
} from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import {
  clientOf,
  describeFrames,
  eventually,
  firstValue,
  sqlstateOf,
  startWireProxy,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE sink (x text); CREATE TABLE numbers (n int)' });
});
after(() => server.stop());

const EXCHANGES: Record<string, [readyCount: number, ...parts: Buffer[]]> = {
  'a query': [1, Q("SELECT 1, 'text'")],
  'a query with an effect': [2, Q("SET work_mem = '5MB'"), Q('RESET work_mem')],
  'an extended batch': [
    1,
    P('s', 'SELECT $1::text'),
    D('S', 's'),
    B('p', 's', { values: ['value'] }),
    D('P', 'p'),
    E('p', 1),
    H(),
    C('P', 'p'),
    C('S', 's'),
    S(),
  ],
  'a pipeline with an error': [2, P('', 'SELECT 1/0'), B('', ''), E(''), S(), Q('SELECT 1')],
  'COPY in': [2, Q('TRUNCATE sink'), Q('COPY sink FROM STDIN'), d('a\nb\n'), c()],
  'COPY in as libpq sends it': [
    2,
    Q('TRUNCATE sink'),
    P('', 'COPY sink FROM STDIN'),
    B('', ''),
    E(''),
    S(),
    d('abc\n'),
    c(),
    S(),
  ],
  'COPY in as libpq sends it, given up': [
    2,
    P('', 'COPY sink FROM STDIN'),
    B('', ''),
    E(''),
    S(),
    d('abc\n'),
    f('stop'),
    S(),
    Q('SELECT 1'),
  ],
  'COPY in of bad data as libpq sends it': [
    2,
    P('', 'COPY numbers FROM STDIN'),
    B('', ''),
    E(''),
    S(),
    d('bad\n'),
    c(),
    S(),
    Q('SELECT 1'),
  ],
  'SQL-level PREPARE': [1, Q('PREPARE q (int) AS SELECT $1; EXECUTE q(3); DEALLOCATE q')],
};

forEachDriver('bytes split at each offset', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { general: { auth_type: 'trust' } });
  });
  after(() => proxy.stop());

  for (const [name, [readyCount, ...parts]] of Object.entries(EXCHANGES)) {
    it(name, async () => {
      const bytes = Buffer.concat(parts);
      const direct = await clientOf(server);
      direct.send(bytes);
      const wanted = describeFrames((await direct.readUntilReady(readyCount)).frames);
      await direct.end();
      const client = await clientOf(proxy);
      const check = async (pieces: Buffer[]): Promise<void> => {
        await sendInPieces(client, pieces);
        assert.deepEqual(describeFrames((await client.readUntilReady(readyCount)).frames), wanted);
      };
      await everySplit(bytes, check);
      await check(singleBytes(bytes));
      await client.end();
    });
  }

  const startups: Record<string, { requests: Buffer[]; version: number }> = {
    'the startup packet': { requests: [], version: 196608 },
    'SSLRequest, GSSENCRequest, then protocol 3.2': {
      requests: [Buffer.concat([int32(8), int32(80877103)]), Buffer.concat([int32(8), int32(80877104)])],
      version: 196610,
    },
  };
  for (const [name, { requests, version }] of Object.entries(startups)) {
    it(name, async () => {
      const packet = startupPacket(
        { user: 'postgres', database: 'postgres', options: '-c work_mem=3MB' },
        version,
      );
      const login = async (pieces: Buffer[]): Promise<void> => {
        const client = await RawClient.open({ port: proxy.port });
        const startupEnd = requests.reduce((sum, { length }) => sum + length, 0);
        for (const request of requests)
          await encryptionRequest(client, pieces.length > 2 ? singleBytes(request) : [request]);
        await sendInPieces(client, pieces);
        const frames = await client.readUntil('Z');
        assert.equal(
          frames.some(({ type }) => type === 'E'),
          false,
          `startup of ${startupEnd} bytes before`,
        );
        assert.equal(await firstValue(client, 'SHOW work_mem'), '3MB');
        await client.end();
      };
      await everySplit(packet, login);
      await login(singleBytes(packet));
    });
  }

  /** One untyped byte answers: 'N'. */
  async function encryptionRequest(client: RawClient, pieces: Buffer[]): Promise<void> {
    const { received } = client;
    received.length = 0;
    // The answer is no frame; the collector must not see it.
    const answered = new Promise<Buffer>((resolve) => {
      const listeners = client.socket.listeners('data') as ((chunk: Buffer) => void)[];
      client.socket.removeAllListeners('data');
      client.socket.once('data', (chunk: Buffer) => {
        for (const listener of listeners) client.socket.on('data', listener);
        resolve(chunk);
      });
    });
    await sendInPieces(client, pieces);
    assert.equal((await answered).toString(), 'N');
  }

  /** A cancel that comes before its statement ends nothing, as on Postgres. */
  const statementRuns = () =>
    eventually('a statement that sleeps', async () => {
      const rows = await server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
      return rows.length > 0;
    });

  it('a CancelRequest', async () => {
    const client = await clientOf(proxy);
    const request = cancelRequest(client.pid, client.secret);
    await everySplit(request, async (pieces) => {
      client.send(Q('SELECT pg_sleep(200)'));
      await statementRuns();
      const second = await RawClient.open({ port: proxy.port });
      await sendInPieces(second, pieces);
      await second.expectClosed();
      second.destroy();
      assert.equal(sqlstateOf(await client.readUntilReady()), '57014');
    });
    await client.end();
  });

  it('a CancelRequest for a session of another worker', async () => {
    const wide = await startWireProxy(server, driver, { workers: 2, general: { auth_type: 'trust' } });
    try {
      for (let round = 0; round < 6; round++) {
        const client = await clientOf(wide);
        client.send(Q('SELECT pg_sleep(200)'));
        await statementRuns();
        await client.cancel();
        assert.equal(sqlstateOf(await client.readUntilReady()), '57014');
        await client.end();
      }
    } finally {
      await wide.stop();
    }
  });

  it('an answer that comes in pieces', async () => {
    const client = await clientOf(proxy);
    // Rows of every length around a buffer's size: frames end at every offset of one.
    client.send(Q("SELECT n, repeat('x', n) FROM generate_series(16300, 16420) AS n"));
    const { rows } = await client.readUntilReady();
    for (const [n, text] of rows) assert.equal(text?.length, Number(n));
    client.send(Q('SELEC'));
    assert.equal(errorFields((await client.readUntil('E')).at(-1)?.body ?? Buffer.alloc(0))['C'], '42601');
    await client.end();
  });
});
