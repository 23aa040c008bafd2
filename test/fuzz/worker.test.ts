/** A whole worker, simulated: hostile clients, lying servers, honest clients beside them. SEED=n replays a run. */
import { before, it } from 'node:test';
import { loadSqlParser, type SqlParser } from '@pgdog-cluster/core';
import { chosenSeed } from './fuzz-run.js';
import { runWorlds } from './simulation/run-worlds.js';

const seed = chosenSeed();
const MILLISECONDS = 6000;
let parser: SqlParser;
before(async () => {
  parser = await loadSqlParser();
});

it(`hostile clients cost honest ones nothing (seed ${seed})`, async () => {
  await runWorlds({ seed, isLying: false, milliseconds: MILLISECONDS, parser });
});

it(`lying servers show nobody the bytes of another (seed ${seed})`, async () => {
  await runWorlds({ seed, isLying: true, milliseconds: MILLISECONDS, parser });
});
