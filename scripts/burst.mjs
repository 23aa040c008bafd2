/**
 * 20,000 connects against a limit of 2,000 that is reached: what the 2,000 feel, and what a refusal costs. Needs a
 * build, and room for some 5,000 open files.
 *
 *     node scripts/burst.mjs
 *
 * LIMIT (2000), BURST (20000), CONCURRENCY (1000), RUNNING (200), WORKERS (2), DRIVER (both), TLS=1 (everybody asks for it). The
 * client side is one process and shares the machine: compare the statements per second with its own CPU in mind. Exit code 1 when a
 * running client failed or a refusal was not 53300 with the limit's name and value.
 */
import { runBurst } from '../test/dist/chaos/connect-burst.js';
import { testAuthority } from '../test/dist/support/certificates.js';
import { DRIVERS, driverProblem } from '../test/dist/support/drivers.js';
import { startPostgres } from '../test/dist/support/embedded-postgres.js';
import { databaseOf, startProxy } from '../test/dist/support/proxy.js';
import { TlsFolder } from '../test/dist/support/tls-folder.js';

const { env } = process;
const number = (name, fallback) => Number(env[name] ?? fallback);
const [limit, burst] = [number('LIMIT', 2000), number('BURST', 20_000)];
const isTls = env.TLS === '1';
const pace = ({ perSecond, p99Ms }) => `${perSecond.toFixed(0)} (p99 ${p99Ms.toFixed(0)} ms)`;
const postgres = await startPostgres();
let isGood = true;
for (const driver of DRIVERS) {
  if (driverProblem(driver) !== '' || (env.DRIVER ?? driver) !== driver) continue;
  const proxy = await startProxy({
    databases: [databaseOf(postgres)],
    users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
    workers: number('WORKERS', 2),
    ioDriver: driver,
    general: {
      ...(isTls ? new TlsFolder().forClients(testAuthority()) : {}),
      default_pool_size: 10,
      max_client_conn: limit,
      checkout_timeout: 30_000,
      log_connections: false,
      log_disconnections: false,
    },
  });
  const report = await runBurst({
    proxy,
    limit,
    isTls,
    burst,
    concurrency: number('CONCURRENCY', 1000),
    running: Math.min(limit, number('RUNNING', 200)),
  });
  await proxy.stop();
  const { before, during, after, fewest, seconds, cpuMs, outcomes, failures } = report;
  console.log(`${driver}: ${burst} connects in ${seconds.toFixed(1)} s, ${JSON.stringify(outcomes)}`);
  console.log(
    `  statements per second ${pace(before)} before, ${pace(during)} during, ${pace(after)} after; ` +
      `fewest of one client ${fewest}; proxy CPU ${cpuMs} ms, statements included`,
  );
  for (const failure of failures) console.log(`  failed: ${failure}`);
  isGood &&= failures.length === 0 && outcomes['53300'] === burst;
}
await postgres.stop();
process.exit(isGood ? 0 : 1);
