/** A server connection counts until the server has let go of it, however it came to its end here. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { answer, startFakePostgres } from '../support/fake-postgres.js';
import { int32 } from '../support/frames.js';
import { startProxy } from '../support/proxy.js';
import { clientOf } from '../support/wire.js';

/** How long the server takes to notice. */
const SLOW_MS = 150;
const ROUNDS = 8;
/** Of which a part is sent: it is passed on as it comes. */
const LONG_BYTES = 1_000_000;

forEachDriver('a connection that broke off in the middle of a statement', (driver) => {
  it('keeps its place until the server has closed it', async () => {
    const events: string[] = [];
    const fake = await startFakePostgres({
      onFrame(connection, frame) {
        const { socket, index } = connection;
        if (frame.type === 'Q' && !socket.allowHalfOpen) {
          events.push(`${index} open`);
          socket.allowHalfOpen = true;
          socket.on('end', () => {
            setTimeout(() => {
              events.push(`${index} let go`);
              socket.end();
            }, SLOW_MS);
          });
        }
        answer(connection, frame);
      },
    });
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [{ name: 'postgres', host: fake.host, port: fake.port, pool_size: 1 }],
      users: [{ name: 'postgres', password: 'postgres' }],
    });
    try {
      const head = Buffer.concat([Buffer.from('Q'), int32(LONG_BYTES), Buffer.from('SELECT ')]);
      for (let round = 0; round < ROUNDS; round++) {
        const leaver = await clientOf(proxy);
        await leaver.query('SELECT 1');
        // In one turn of the proxy: more to pass on, and nobody there any more.
        leaver.socket.end(Buffer.concat([head, Buffer.alloc(100_000 + round * 10_000, 'x')]));
        await once(leaver.socket, 'close');
        const next = await clientOf(proxy);
        await next.query('SELECT 2');
        await next.end();
      }
      const opened = events.filter((event) => event.endsWith('open')).length;
      assert.ok(opened >= ROUNDS, events.join(', '));
      for (const [at, event] of events.entries()) {
        if (event.endsWith('open') && at > 0) assert.match(events[at - 1] ?? '', /let go/, events.join(', '));
      }
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });
});
