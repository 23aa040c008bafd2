// The snapshot that comes out of the routing table is the one that went in, whatever neighbours share.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSharedMemory, openSharedMemory, SeededRandom } from '@pgdog-cluster/core';
import { buildSnapshot } from 'pgdog-cluster';
import { load } from '../support/load-configuration.js';

const USERS =
  '[[users]]\nname = "app"\nall_databases = true\npassword = "hunter2"\n' +
  '[[users]]\nname = "ops"\nall_databases = true\npasswords = ["a", "b"]\nstatement_timeout = 5\n';

async function snapshotOf(seed: number) {
  const random = new SeededRandom(seed);
  const entries = Array.from({ length: 1 + random.below(20) }, (_, number) => {
    const host = `127.0.0.${random.below(3)}`;
    const more = ['', 'read_only = true\n', 'lock_timeout = 7\n', 'database_name = "other"\n'][
      random.below(4)
    ];
    return `[[databases]]\nname = "d${number}"\nhost = "${host}"\n${more}`;
  });
  return buildSnapshot(load({ config: entries.join(''), users: USERS }), 1);
}

test('what goes in comes out, for every thread that reads', async () => {
  const { handles, routing } = createSharedMemory({
    workers: 1,
    poolsMax: 8,
    fdMax: 64,
    routingAreaBytes: 1 << 20,
  });
  for (let seed = 0; seed < 40; seed++) {
    const snapshot = await snapshotOf(seed);
    // A host that moves has other addresses than its pools for a moment, and one may have none.
    if (seed % 3 === 0) snapshot.pools[0] = { ...snapshot.pools[0], addresses: [] };
    if (seed % 4 === 0) snapshot.pools.at(-1)!.serverVerifiers = [snapshot.mockVerifier];
    routing.publish({ ...snapshot, epoch: seed + 1 });
    const read = openSharedMemory(handles).routing.read();
    const plain = (value: object) =>
      JSON.stringify(value, (_, each) =>
        each instanceof Uint8Array ? Buffer.from(each).toString('hex') : each,
      );
    assert.deepEqual(
      JSON.parse(plain(read)),
      JSON.parse(plain({ ...snapshot, epoch: seed + 1 })),
      `seed ${seed}`,
    );
  }
});

test('pools of one host share its addresses, and nothing that differs', async () => {
  const { routing } = createSharedMemory({ workers: 1, poolsMax: 8, fdMax: 64, routingAreaBytes: 1 << 20 });
  const config =
    '[[databases]]\nname = "a"\nhost = "127.0.0.1"\n[[databases]]\nname = "b"\nhost = "127.0.0.1"\n';
  routing.publish(await buildSnapshot(load({ config, users: USERS }), 1));
  const [appA, opsA, appB, opsB] = routing.read().pools;
  for (const pool of [opsA, appB, opsB]) assert.equal(pool.addresses, appA.addresses);
  assert.deepEqual(appA.serverPasswords, ['hunter2']);
  assert.deepEqual(opsB.serverPasswords, ['a', 'b']);
  assert.deepEqual([appB.serverParameters, opsB.serverParameters], [{}, { statement_timeout: '5' }]);
});
