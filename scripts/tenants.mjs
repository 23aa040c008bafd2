/**
 * Clients that come and go over many tenants by chance, while those are forgotten and the configuration is reloaded. Needs a build.
 *
 *     ROUNDS=200 node scripts/tenants.mjs
 *
 * ROUNDS (100 of each client), SEED (of the clock), CLIENTS (8), WORKERS (2), DRIVER (both). Exit code 1 when something was not as it
 * should be.
 *
 *     TENANTS=10,1000,5000 node scripts/tenants.mjs
 *
 * measures instead what the login to a tenant costs that has to be made, when there are so many already, and what forgetting them does.
 *
 *     DATABASES=10000 node scripts/tenants.mjs
 *
 * measures memory, and CPU per query, with so many configured databases beside one.
 */
import { measureConfigured, measureTenants } from '../test/dist/chaos/many-databases.js';
import { makeTenants, runRandomTenants } from '../test/dist/chaos/random-tenants.js';
import { DRIVERS, driverProblem } from '../test/dist/support/drivers.js';
import { startPostgres } from '../test/dist/support/embedded-postgres.js';

const { env } = process;
const number = (name, fallback) => Number(env[name] ?? fallback);
const seed = number('SEED', Date.now() % 1_000_000);
const server = await startPostgres();
let isGood = true;

async function tenants() {
  const marks = env.TENANTS.split(',').map(Number);
  const report = await measureTenants(server, marks, number('ROUNDS', 200), number('IDLE_MS', 20_000));
  for (const [place, { number: made, meanMs, supervisorUs, proxyUs }] of report.costs.entries()) {
    console.log(
      `tenants ${made} and on: ${meanMs.toFixed(1)} ms a login, CPU of the supervisor ${supervisorUs.toFixed(0)} us, of the proxy ${proxyUs.toFixed(0)} us; ${report.residentMb[place].toFixed(0)} MB`,
    );
  }
  console.log(`all forgotten after ${report.dropMs.toFixed(0)} ms, ${report.dropCpuMs.toFixed(0)} ms of CPU`);
}

async function configured() {
  const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  // In turn, so that what else the machine does falls on both.
  for (const count of [1, number('DATABASES', 0), 1, number('DATABASES', 0)]) {
    const { residentMb, queryUs } = await measureConfigured(server, count, number('ROUNDS', 7), 5000);
    const all = queryUs.map((value) => value.toFixed(1)).join(' ');
    console.log(
      `${count} databases: ${residentMb.toFixed(0)} MB; ${median(queryUs).toFixed(1)} us of CPU a query (${all})`,
    );
  }
}

async function chance() {
  await makeTenants(server);
  for (const driver of DRIVERS) {
    if (driverProblem(driver) !== '' || (env.DRIVER ?? driver) !== driver) continue;
    try {
      const [clients, workers] = [number('CLIENTS', 8), number('WORKERS', 2)];
      const report = await runRandomTenants({
        server,
        driver,
        seed,
        rounds: number('ROUNDS', 100),
        clients,
        workers,
      });
      console.log(`${driver} SEED=${seed}: ${JSON.stringify(report)}`);
    } catch (error) {
      isGood = false;
      console.log(`${driver} SEED=${seed}: ${error.stack}`);
    }
  }
}

await (env.TENANTS !== undefined ? tenants() : env.DATABASES !== undefined ? configured() : chance());
await server.stop();
process.exit(isGood ? 0 : 1);
