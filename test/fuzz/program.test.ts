/** The real program between hostile clients and a lying server, on both drivers. SEED=n replays a run. */
import { it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { chosenSeed } from './fuzz-run.js';
import { runProgram } from './program.js';

const seed = chosenSeed();
const MILLISECONDS = 1500;

forEachDriver(`whole program (seed ${seed})`, (driver) => {
  it('hostile clients, honest servers', async () => {
    await runProgram({ driver, seed, milliseconds: MILLISECONDS, lieOneIn: 0 });
  });

  it('hostile clients, lying servers', async () => {
    await runProgram({ driver, seed, milliseconds: MILLISECONDS, lieOneIn: 15 });
  });
});
