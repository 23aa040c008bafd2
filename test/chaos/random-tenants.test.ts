/** A short run of scripts/tenants.mjs. SEED=… repeats one. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { driverOfSeed } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { measureConfigured, measureTenants } from './many-databases.js';
import { makeTenants, runRandomTenants } from './random-tenants.js';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
  await makeTenants(server);
});
after(() => server.stop());

it(`clients come and go over tenants that come and go, SEED=${seed}`, async () => {
  const report = await runRandomTenants({ server, driver: driverOfSeed(seed), seed, rounds: 20 });
  console.log(`SEED=${seed}: ${JSON.stringify(report)}`);
  assert.ok(report.sessions > 50 && report.missing > 5 && report.dropped > 5);
});

it('the measurements of many databases, in small', async () => {
  const { costs, residentMb } = await measureTenants(server, [2, 10], 3, 500);
  assert.deepEqual(
    costs.map(({ number }) => number),
    [2, 10],
  );
  assert.ok(residentMb.every((megabytes) => megabytes > 0));
  const { queryUs } = await measureConfigured(server, 20, 2, 200);
  assert.equal(queryUs.length, 2);
});
