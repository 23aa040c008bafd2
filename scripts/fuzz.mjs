/**
 * The long fuzz run: every reader, the simulated worker and the whole program in turn, until the time is over or
 * something fails. Needs a build.
 *
 *     node scripts/fuzz.mjs                        an hour, a seed of its own
 *     node scripts/fuzz.mjs --minutes 480          longer
 *     node scripts/fuzz.mjs --seed 123             the same choices again
 *     node scripts/fuzz.mjs --only worker          readers, worker or program alone
 *
 * Each round prints its seed first; a failing input of a reader is made smaller and kept in test/fuzz/corpus. Readers
 * and worker follow from the seed alone; the whole program also from timing. Exit code 1 when something failed.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { loadSqlParser } from '../packages/core/dist/index.js';
import { CODEC_TARGETS } from '../test/dist/fuzz/codec-targets.js';
import { caseSeed } from '../test/dist/fuzz/fuzz-random.js';
import { runTarget } from '../test/dist/fuzz/fuzz-run.js';
import { MEMORY_TARGETS } from '../test/dist/fuzz/memory-targets.js';
import { runProgram } from '../test/dist/fuzz/program.js';
import { runWorlds } from '../test/dist/fuzz/simulation/run-worlds.js';
import { frameStreamTarget } from '../test/dist/fuzz/stream-target.js';
import { sqlReaderTarget, TEXT_TARGETS } from '../test/dist/fuzz/text-targets.js';
import { DRIVERS, driverProblem } from '../test/dist/support/drivers.js';

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' } },
});
const endMs = performance.now() + Number(values.minutes ?? 60) * 60_000;
const firstSeed = Number(values.seed ?? randomInt(2 ** 31));
const wants = (part) => values.only === undefined || values.only === part;
const leftMs = (share) => Math.max(0, Math.min(share, endMs - performance.now()));
const parser = await loadSqlParser();
const targets = [
  ...CODEC_TARGETS,
  ...TEXT_TARGETS,
  frameStreamTarget,
  ...MEMORY_TARGETS,
  sqlReaderTarget(parser),
];

async function round(seed) {
  const counts = [];
  if (wants('readers')) {
    for (const target of targets) {
      const cases = runTarget(target, { seed, cases: Number.MAX_SAFE_INTEGER, milliseconds: leftMs(3000) });
      counts.push(`${target.name} ${cases}`);
    }
  }
  if (wants('worker')) {
    for (const isLying of [false, true]) {
      const worlds = await runWorlds({ seed, isLying, milliseconds: leftMs(30_000), parser });
      counts.push(`${isLying ? 'lying' : 'honest'} worlds ${worlds}`);
    }
  }
  if (wants('program')) {
    for (const driver of DRIVERS.filter((name) => driverProblem(name) === '')) {
      for (const lieOneIn of [0, 15]) {
        const connections = await runProgram({ driver, seed, milliseconds: leftMs(20_000), lieOneIn });
        counts.push(`${driver} connections ${connections}`);
      }
    }
  }
  return counts.join(', ');
}

let index = 0;
do {
  // The first round's seed is the one that was asked for.
  const seed = index === 0 ? firstSeed : caseSeed(firstSeed, index);
  console.log(`round ${index}, seed ${seed}`);
  try {
    console.log(`  ${await round(seed)}`);
  } catch (error) {
    console.log(error);
    process.exit(1);
  }
  index++;
} while (performance.now() < endMs);
