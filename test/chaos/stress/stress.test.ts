/** The stress run of scripts/stress.mjs in small, on each driver: a failure prints the seed and what everybody was doing. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { formatStress, runStress } from './stress-run.js';
import { StressServers } from './stress-world.js';

const PHASES = 1;
const PHASE_MS = 1_000;
// The script draws others for as long as one likes.
const seed = Number(process.env['SEED'] ?? 20_261_201);

let servers: StressServers;
before(async () => {
  servers = await StressServers.start();
});
after(() => servers.stop());

forEachDriver('pools that are too small, under stress', (driver) => {
  it(`everybody is answered, once and with their own, seed ${seed}`, async () => {
    const report = await runStress({ servers, driver, seed, phases: PHASES, phaseMs: PHASE_MS });
    assert.equal(report.failures.length, 0, formatStress(report));
    assert.ok(report.statements > 0, formatStress(report));
  });
});
