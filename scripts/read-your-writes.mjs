/**
 * The long run of sessions that write and then read, on real standbys that lag and whose replay stops and goes on. Needs a build.
 *
 *     node scripts/read-your-writes.mjs                    100,000 pairs in each mode that promises it, from a seed that is printed
 *     SEED=7 PAIRS=5000 MODES=lsn node scripts/read-your-writes.mjs
 *
 * The first line is of `read_your_writes = off`, which promises nothing: the same load must meet the past there, or it would prove
 * nothing. What each client does follows from the seed; what it meets depends on timing. DRIVER picks the I/O driver. Exit code 1
 * when a read was stale.
 */
import { randomInt } from 'node:crypto';
import { runPairs, startLaggingCluster, startPairsProxy } from '../test/dist/chaos/write-read-pairs.js';
import { driverOfSeed } from '../test/dist/support/drivers.js';

const { env } = process;
const seed = Number(env.SEED ?? randomInt(1_000_000));
const driver = env.DRIVER ?? driverOfSeed(seed);
const pairCount = Number(env.PAIRS ?? 100_000);
const modes = (env.MODES ?? 'session,lsn').split(',');

const cluster = await startLaggingCluster();
let isGood = true;

async function runMode(mode) {
  const isPromised = mode !== 'off';
  const proxy = await startPairsProxy(cluster, driver, mode);
  const startMs = Date.now();
  try {
    const count = isPromised ? pairCount : Math.min(pairCount, 1000);
    const { stale, pairs, onStandbys, stops } = await runPairs(cluster, proxy.port, count, seed);
    console.log(
      `SEED=${seed} ${driver} read_your_writes = ${mode}: ${pairs} pairs, ${stale.length} stale, ${onStandbys} read on standbys, ` +
        `replay stopped ${stops} times, ${Math.round((Date.now() - startMs) / 1000)} s`,
    );
    if (isPromised === (stale.length === 0)) return;
    console.log(isPromised ? stale.slice(0, 20).join('\n') : 'the load met nothing of the past');
  } catch (error) {
    console.log(
      `SEED=${seed} ${driver} read_your_writes = ${mode}: ${error.stack}\n${proxy.output.slice(-4000)}`,
    );
  } finally {
    await proxy.stop();
  }
  isGood = false;
}

for (const mode of ['off', ...modes]) await runMode(mode);
await cluster.stop();
process.exit(isGood ? 0 : 1);
