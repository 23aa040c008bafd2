/**
 * The long run of crashes in a sharded database: proxies, workers and shards die while money is moved between shards.
 * Needs a build.
 *
 *     node scripts/crashes.mjs                       500 rounds, from a seed that is printed
 *     SEED=7 ROUNDS=50 node scripts/crashes.mjs      those deaths again, or others
 *
 * Who dies follows from the seed; at which statement of whose commit depends on timing, so a rare failure may need several
 * replays. Exit code 1 when money was made, lost, or left in doubt.
 */
import { randomInt } from 'node:crypto';
import { ShardCrashes } from '../test/dist/chaos/shard-crashes.js';

const { env } = process;
const seed = Number(env.SEED ?? randomInt(1_000_000_000));
const rounds = Number(env.ROUNDS ?? 500);

console.log(`seed ${seed}, ${rounds} rounds`);
const bank = await ShardCrashes.start(seed);
try {
  await bank.run(rounds, (report) => console.log(JSON.stringify(report)));
} catch (error) {
  console.log(`after ${JSON.stringify(bank.report)}`);
  console.error(error);
  process.exitCode = 1;
}
await bank.stop();
process.exit();
