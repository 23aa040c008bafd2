/**
 * Many reloads by chance, good and bad ones, under load: no client error, the same server connections, figures that only
 * grow, and how much memory the proxy has: in the middle of each quarter of the time, so that a leak is told from garbage. Needs a build.
 *
 *     ROUNDS=1000 node scripts/reloads.mjs
 *
 * ROUNDS (300), SEED (of the clock), WORKERS (2), DRIVER (both). Exit code 1 when something was not as it should be.
 *
 *     DATABASES=10000 node scripts/reloads.mjs
 *
 * measures instead what it takes to change one of so many databases: time and CPU of a reload, and the longest that a client of
 * another database waits for an answer meanwhile, beside what it waits without a reload.
 */
import { measureOneOfMany } from '../test/dist/chaos/one-of-many.js';
import { runRandomReloads } from '../test/dist/chaos/random-reloads.js';
import { DRIVERS, driverProblem } from '../test/dist/support/drivers.js';
import { startPostgres } from '../test/dist/support/embedded-postgres.js';
import { databaseOf, startProxy } from '../test/dist/support/proxy.js';

const { env } = process;
const number = (name, fallback) => Number(env[name] ?? fallback);
const seed = number('SEED', Date.now() % 1_000_000);
const rounds = number('ROUNDS', 300);
const postgres = await startPostgres();
let isGood = true;
if (env.DATABASES !== undefined) {
  const { reloadMs, cpuMs, threadMs, queuedMs, longestMs, longestIdleMs, resident } = await measureOneOfMany(
    postgres,
    number('DATABASES', 0),
    number('ROUNDS', 10),
  );
  const list = (values) => values.map((value) => value.toFixed(1)).join(' ');
  console.log(`reloads that change one of ${env.DATABASES} databases, ms: ${list(reloadMs)}`);
  console.log(
    `  of the supervisor's thread, CPU: ${list(threadMs)}; waiting for a core that others had: ${list(queuedMs)}`,
  );
  console.log(`  CPU of the whole proxy: ${list(cpuMs)}`);
  console.log(
    `  longest answer to a client of another one, ms: ${list(longestMs)}; without a reload ${list(longestIdleMs)}`,
  );
  console.log(`  ${resident.text}`);
  await postgres.stop();
  process.exit(0);
}
for (const driver of DRIVERS) {
  if (driverProblem(driver) !== '' || (env.DRIVER ?? driver) !== driver) continue;
  const databases = [databaseOf(postgres, { name: 'steady' })];
  const proxy = await startProxy({ databases, ioDriver: driver, workers: number('WORKERS', 2) });
  try {
    const report = await runRandomReloads({ proxy, port: postgres.port, rounds, seed });
    console.log(
      `${driver} SEED=${seed}: ${report.okCount} reloads taken up, ${report.refusedCount} refused, ${report.queries} transactions beside them; ` +
        `slowest ${report.slowestMs.toFixed(0)} ms; ${report.resident.text}`,
    );
  } catch (error) {
    isGood = false;
    console.log(`${driver} SEED=${seed}: ${error.stack}`);
    console.log(proxy.output.slice(-4000));
  }
  await proxy.stop();
}
await postgres.stop();
process.exit(isGood ? 0 : 1);
