// The reloads of scripts/reloads.mjs in small.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { measureOneOfMany } from './one-of-many.js';
import { runRandomReloads } from './random-reloads.js';

const ROUNDS = 60;
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

forEachDriver('reloads by chance', (driver) => {
  it(`who is not concerned notices nothing (SEED=${seed})`, async () => {
    const proxy = await startProxy({
      databases: [databaseOf(server, { name: 'steady' })],
      ioDriver: driver,
      workers: 2,
    });
    try {
      const report = await runRandomReloads({ proxy, port: server.port, rounds: ROUNDS, seed });
      assert.ok(report.okCount > 0 && report.refusedCount > 0, JSON.stringify(report));
      assert.ok(report.queries > ROUNDS, `${report.queries} transactions`);
    } finally {
      await proxy.stop();
    }
  });
});

it('the measurement of one database among many, in small', async () => {
  const { reloadMs, threadMs, longestMs, longestIdleMs } = await measureOneOfMany(server, 20, 2);
  for (const figures of [reloadMs, threadMs, longestMs, longestIdleMs]) {
    assert.equal(figures.length, 2);
    assert.ok(figures.every((ms) => ms > 0));
  }
});
