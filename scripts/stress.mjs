/**
 * The long stress run of pools that are far too small, over shards and without: round after round with settings, clients and faults of
 * its own, until the time is over or something fails. Needs a build.
 *
 *     node scripts/stress.mjs                       ten minutes, the driver by the seed
 *     MINUTES=60 node scripts/stress.mjs            longer
 *     SEED=123 node scripts/stress.mjs              that round again (or DRIVER=epoll|io_uring)
 *
 * Also PHASES per round (5), PHASE_MS (6000), FAULTS=name,name (see stress-faults.ts; cancels is one, none is none) and
 * ACTIONS=name,name to narrow a failure down, USER_LIMIT=number for a max_user_connections of that. What is drawn follows from the seed; what meets what depends on timing, so a rare failure
 * may need several replays. What everybody was doing when something failed is printed. Exit code 1 when something failed.
 */
import { randomInt } from 'node:crypto';
import { formatStress, runStress } from '../test/dist/chaos/stress/stress-run.js';
import { StressServers } from '../test/dist/chaos/stress/stress-world.js';
import { driverOfSeed } from '../test/dist/support/drivers.js';

const { env } = process;
const number = (name, fallback) => Number(env[name] ?? fallback);
const endMs = Date.now() + number('MINUTES', 10) * 60_000;
const servers = await StressServers.start();
let isGood = true;
do {
  const seed = number('SEED', randomInt(1_000_000_000));
  const driver = env.DRIVER ?? driverOfSeed(seed);
  console.log(`seed ${seed}, ${driver}`);
  const report = await runStress({
    servers,
    driver,
    seed,
    phases: number('PHASES', 5),
    phaseMs: number('PHASE_MS', 6000),
    faults: env.FAULTS?.split(','),
    actions: env.ACTIONS?.split(','),
    userLimit: env.USER_LIMIT === undefined ? undefined : Number(env.USER_LIMIT),
    onPhase: (text) => console.log(`  ${text}`),
  });
  console.log(formatStress(report));
  isGood = report.failures.length === 0;
} while (isGood && env.SEED === undefined && Date.now() < endMs);
await servers.stop();
process.exit(isGood ? 0 : 1);
