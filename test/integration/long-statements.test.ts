/** A list of 10 MB in one statement: it is answered, and the worker's other clients do not wait for it to be read. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, P, Q, S } from '../support/frames.js';
import { PATIENCE_MS } from '../support/patience.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { clientOf, run, sleep, WIRE_USER, withClients } from '../support/wire.js';

const STALL_MS_MAX = 50;
const ITEM = '123456789, ';
const LONG_SQL = `SELECT count(*) FROM item WHERE id IN (${ITEM.repeat(10_000_000 / ITEM.length)}1)`;

const WAYS: Record<string, Buffer[]> = {
  'a Query': [Q(LONG_SQL)],
  'a Parse': [P('', LONG_SQL), B('', ''), E(''), S()],
  'a named Parse': [P('long', LONG_SQL), B('', 'long'), E(''), S()],
};

let servers: TestPostgres[] = [];
before(async () => {
  const initSql = 'CREATE TABLE item (id int); INSERT INTO item VALUES (1), (2)';
  servers = await Promise.all([startPostgres({ initSql }), startPostgres({ initSql })]);
});
after(() => Promise.all(servers.map((server) => server.stop())));

/** The longest that another client of the same worker waits for an answer meanwhile. */
async function longestWaitMs(proxy: TestProxy, parts: Buffer[]): Promise<number> {
  let longestMs = 0;
  await withClients(proxy, 2, async (long, other) => {
    await run(other, 'SELECT 1');
    let isOver = false;
    const asking = (async () => {
      while (!isOver) {
        const startMs = performance.now();
        await run(other, 'SELECT 1');
        longestMs = Math.max(longestMs, performance.now() - startMs);
        await sleep(1);
      }
    })();
    long.send(...parts);
    const { rows, error } = await long.readUntilReady();
    isOver = true;
    await asking;
    assert.deepEqual([rows, error], [[['1']], null]);
  });
  return longestMs;
}

forOneDriver('a statement of 10 MB', (driver) => {
  for (const [kind, roles] of Object.entries({ 'one host': ['primary'], routed: ['primary', 'replica'] })) {
    for (const [way, parts] of Object.entries(WAYS)) {
      it(`${way}, ${kind}: nobody else waits for ${STALL_MS_MAX} ms`, async () => {
        const proxy = await startProxy({
          workers: 1,
          ioDriver: driver,
          users: [WIRE_USER],
          databases: roles.map((role, index) => databaseOf(servers[index], { role })),
          general: { min_pool_size: 0 },
        });
        try {
          // Connections, the catalog, compiled code.
          await run(await clientOf(proxy), 'SELECT 1', 'SELECT 1');
          // Others share the machine: once without them is enough, for reading takes its time each time.
          const endMs = performance.now() + PATIENCE_MS;
          let waitMs = await longestWaitMs(proxy, parts);
          let boundMs = STALL_MS_MAX;
          while (waitMs > boundMs && performance.now() < endMs) {
            // Who waits here anyway, as long as such a statement takes, waits then too.
            const anywayMs = await longestWaitMs(proxy, [Q('SELECT 1 FROM pg_sleep(0.5)')]);
            boundMs = STALL_MS_MAX + 2 * Math.min(anywayMs, STALL_MS_MAX);
            waitMs = await longestWaitMs(proxy, parts);
          }
          assert.ok(waitMs <= boundMs, `another client waited for ${Math.round(waitMs)} ms`);
        } finally {
          await proxy.stop();
        }
      });
    }
  }
});
