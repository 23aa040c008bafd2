/**
 * The long chaos run, until the time is over or something fails: a Postgres and a proxy of its own, rounds of a
 * few thousand clients, each with a seed of its own that is printed first. Needs a build.
 *
 *     node scripts/chaos.mjs                   an hour, both drivers in turn
 *     HOURS=8 node scripts/chaos.mjs           longer
 *     SEED=123 node scripts/chaos.mjs          that round again, once per driver (or DRIVER=epoll|io_uring)
 *
 *     SOAK=1 node scripts/chaos.mjs            one driver, one proxy for all rounds: its memory after each
 *
 * Also WORKERS (4), POOL (8), CLIENTS per round (4000), CONCURRENCY (60), ACTIONS=name,name to narrow a failure
 * down to some actions, and DIRECT=1 to run without the proxy: what fails then is the test's own mistake.
 * What each client does follows from the seed; what it meets depends on timing, so a rare failure may need
 * several replays. Exit code 1 when something failed.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { formatFigures, formatReport } from '../test/dist/chaos/format-report.js';
import { runRandomisedClients } from '../test/dist/chaos/randomised-clients.js';
import { DRIVERS, driverProblem } from '../test/dist/support/drivers.js';
import { startPostgres } from '../test/dist/support/embedded-postgres.js';
import { databaseOf, startProxy } from '../test/dist/support/proxy.js';

const { env } = process;
const number = (name, fallback) => Number(env[name] ?? fallback);
const poolSize = number('POOL', 8);
const isDirect = env.DIRECT === '1';
const isSoak = env.SOAK === '1' && !isDirect;

const start = (postgres, driver) =>
  isDirect
    ? null
    : startProxy({
        databases: [databaseOf(postgres)],
        users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
        workers: number('WORKERS', 4),
        ioDriver: driver,
        general: { default_pool_size: poolSize, checkout_timeout: 30_000 },
      });

async function runRound(postgres, proxy, seed) {
  const report = await runRandomisedClients({
    port: proxy?.port ?? postgres.port,
    user: postgres.user,
    password: postgres.password,
    database: 'postgres',
    seed,
    clients: number('CLIENTS', 4000),
    concurrency: number('CONCURRENCY', isDirect ? 20 : 60),
    poolSize: isDirect ? 100 : poolSize,
    direct: { host: postgres.host, port: postgres.port },
    adminQuery: proxy === null ? undefined : (sql) => proxy.adminQuery(sql),
    pid: proxy?.pid,
    only: env.ACTIONS?.split(','),
  });
  console.log(report.failures.length === 0 ? formatFigures(report) : formatReport(report));
  if (report.failures.length > 0 && proxy !== null) console.log(proxy.output.slice(-4000));
  return report.failures.length === 0;
}

/** Resident memory of a process and what of it is not backed by a file, MB. */
function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mb = (name) => Math.round(Number(status.split(`${name}:`)[1].trim().split(' ')[0]) / 1024);
  return `${mb('VmRSS')} MB resident, ${mb('RssAnon')} anonymous`;
}

const drivers = DRIVERS.filter(
  (driver) => driverProblem(driver) === '' && (env.DRIVER ?? driver) === driver,
).slice(0, isDirect || isSoak ? 1 : undefined);
const endMs = Date.now() + number('HOURS', 1) * 3_600_000;
let isGood = true;
// A new pair for each round, so that none finds what another has left; in a soak what is left is what is looked for.
let pair = null;
do {
  const seed = number('SEED', randomInt(1_000_000_000));
  for (const driver of drivers) {
    console.log(`seed ${seed}, ${isDirect ? 'no proxy' : driver}`);
    if (pair === null) {
      const postgres = await startPostgres();
      pair = { postgres, proxy: await start(postgres, driver) };
    }
    const { postgres, proxy } = pair;
    isGood = (await runRound(postgres, proxy, seed)) && isGood;
    if (isSoak) {
      console.log(`  ${memoryOf(proxy.pid)}`);
      continue;
    }
    await proxy?.stop();
    await postgres.stop();
    pair = null;
  }
} while (isGood && env.SEED === undefined && Date.now() < endMs);
await pair?.proxy.stop();
await pair?.postgres.stop();
process.exit(isGood ? 0 : 1);
