/**
 * After an error in a batch Postgres reads past everything up to the next Sync, whatever it is. So what comes once the
 * error is there is owed no answer: neither the client nor the pool may wait for one.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { C, c, d, E, F, type Frame, f, H, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import {
  assertSameAsDirect,
  clientOf,
  eventually,
  firstValue,
  type Script,
  startWireProxy,
} from '../support/wire.js';

const ROLLBACK_TIMEOUT_MS = 20_000;

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE t (x text)' });
});
after(() => server.stop());

const FAILING: Record<string, Buffer> = {
  'an Execute of no portal': E('none'),
  'a Parse of no SQL': P('', 'SELEC'),
};
const SKIPPED: Record<string, Buffer[]> = {
  'a Query': [Q('SELECT 1')],
  'a Query that changes settings': [Q("SET application_name = 'x'")],
  'DISCARD ALL': [Q('DISCARD ALL')],
  'a COPY with its data': [Q('COPY t FROM STDIN'), d('row\n'), c()],
  'a function call': [F(1299, [])],
  'EXPLAIN (PGDOG)': [Q('EXPLAIN (PGDOG) SELECT 1')],
  'LISTEN and a Flush': [Q('LISTEN news'), H()],
};

forOneDriver('what comes behind an error in a batch', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, {
      workers: 1,
      database: { pool_size: 1 },
      general: { rollback_timeout: ROLLBACK_TIMEOUT_MS },
    });
  });
  after(() => proxy.stop());

  const isFreeAtOnce = (): Promise<void> =>
    eventually('the only server connection is free, long before rollback_timeout', async () => {
      const rows = await proxy.adminQuery<{ state: string }>('SHOW SERVERS');
      return rows.every(({ state }) => state === 'idle');
    });

  for (const [what, frame] of Object.entries(FAILING)) {
    for (const [behind, skipped] of Object.entries(SKIPPED)) {
      it(`${what}, then ${behind}: as on a direct connection`, async () => {
        const script: Script = async (client) => {
          client.send(frame, H());
          const frames: Frame[] = [await client.readFrame()];
          client.send(...skipped);
          await client.expectSilence(30);
          client.send(S());
          frames.push(...(await client.readUntilReady()).frames);
          client.send(Q("SELECT current_setting('application_name'), 2"));
          frames.push(...(await client.readUntilReady()).frames);
          return frames;
        };
        await assertSameAsDirect(proxy, server, script);
        // The same again, and the client goes before it has sent its Sync.
        const client = await clientOf(proxy);
        client.send(frame, H());
        assert.equal((await client.readFrame()).type, 'E');
        client.send(...skipped);
        await client.expectSilence(30);
        client.destroy();
        await isFreeAtOnce();
        const next = await clientOf(proxy);
        assert.equal(await firstValue(next, 'SELECT 3'), '3');
        await next.end();
      });
    }
  }

  it('what waits until the batch has been answered is read past too, when that ends in an error', async () => {
    const client = await clientOf(proxy);
    for (const waiting of ['SHOW pgdog.shards', 'EXPLAIN (PGDOG) SELECT 1']) {
      client.send(E('none'), Q(waiting), S(), Q('SELECT 4'));
      const { frames } = await client.readUntilReady(2);
      assert.equal(frames.map(({ type }) => type).join(''), 'EZTDCZ', waiting);
    }
    client.destroy();
    await isFreeAtOnce();
  });

  it('a Close that the proxy answers itself, and a Sync, behind a COPY that has not begun: the Sync is owed no answer', async () => {
    const client = await clientOf(proxy);
    client.send(Q('COPY t FROM STDIN'), C('S', 'unknown'), S());
    assert.equal((await client.readFrame()).type, 'G');
    client.send(f('enough'));
    const { frames } = await client.readUntilReady();
    assert.equal(frames.map(({ type }) => type).join(''), 'EZ');
    client.destroy();
    await isFreeAtOnce();
  });
});
