/** What comes before anybody has said who it is: lengths that cannot be, and what the log says of them. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { int32 } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { startWireProxy } from '../support/wire.js';

const V3 = 196608;

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

forEachDriver('first packets', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver);
  });
  after(() => proxy.stop());

  it('of impossible length: closed without a word, a line with the limit, at most ten a second', async () => {
    for (const [length, code] of [
      [7, V3],
      [10_005, V3],
      [0x4745_5420, V3],
      [9, 80877103],
      [11, 80877102],
    ] as const) {
      const client = await RawClient.open({ port: proxy.port });
      client.send(Buffer.concat([int32(length), int32(code), Buffer.alloc(8)]));
      const { error, frames } = await client.expectClosed().finally(() => client.destroy());
      assert.deepEqual([error, frames.length], [null, 0]);
    }
    for (const said of [
      'invalid length of startup packet: 7 bytes, 8 to 10004 are allowed',
      'invalid length of startup packet: 10005 bytes, 8 to 10004 are allowed',
      'invalid length of startup packet: 1195725856 bytes',
      'invalid length of encryption request: 9 bytes, it has 8',
      'invalid length of cancel request: 11 bytes, 16 to 268 are allowed',
    ])
      await proxy.waitForOutput(said);
    const linesOf = () => proxy.output.split('startup_packet_refused').length;
    const before = linesOf();
    const startMs = performance.now();
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const client = await RawClient.open({ port: proxy.port });
        client.send(Buffer.concat([int32(3), int32(V3)]));
        await client.expectClosed().finally(() => client.destroy());
      }),
    );
    const seconds = Math.ceil((performance.now() - startMs) / 1000) + 1;
    assert.ok(linesOf() - before <= seconds * 10, `${linesOf() - before} lines in ${seconds} s`);
  });
});
