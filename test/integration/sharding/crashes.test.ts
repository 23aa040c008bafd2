/**
 * Proxies, workers and shards that die in the middle of transfers between shards, a few times. PGDOG_CRASH_SEED and
 * PGDOG_CRASH_ROUNDS: others, or more; `node scripts/crashes.mjs` runs 500 rounds.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, it } from 'node:test';
import { ShardCrashes } from '../../chaos/shard-crashes.js';

const { PGDOG_CRASH_SEED, PGDOG_CRASH_ROUNDS } = process.env;
const SEED = Number(PGDOG_CRASH_SEED ?? randomInt(1_000_000_000));
const ROUNDS = Number(PGDOG_CRASH_ROUNDS ?? 8);

let bank: ShardCrashes;
before(async () => {
  bank = await ShardCrashes.start(SEED);
});
after(() => bank?.stop());

it(`${ROUNDS} deaths from seed ${SEED}: money stays, transfers are whole`, {
  timeout: 280_000,
}, async (t) => {
  const report = await bank.run(ROUNDS);
  t.diagnostic(JSON.stringify(report));
  assert.ok(report.recovered > 0, 'nobody who died has left anything to recovery');
});
