/**
 * `node bench/dist/micro/main.js [--quick] [NAME...]`: runs every module beside this one that exports
 * run({quick}), and prints a table. A module that fails is reported and makes the exit code 1; the rest still run.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { MicroResult } from './time-operations.js';

interface MicroModule {
  run(options: { quick: boolean }): MicroResult[] | Promise<MicroResult[]>;
}

function hasRun(candidate: object): candidate is MicroModule {
  return 'run' in candidate && typeof candidate.run === 'function';
}

const words = process.argv.slice(2);
const quick = words.includes('--quick');
const wanted = words.filter((word) => !word.startsWith('--'));
let wasFound = false;
for (const file of readdirSync(import.meta.dirname).sort()) {
  const name = file.replace(/\.js$/, '');
  if (!file.endsWith('.js') || name === 'main' || (wanted.length > 0 && !wanted.includes(name))) continue;
  try {
    const module = (await import(join(import.meta.dirname, file))) as object;
    if (!hasRun(module)) continue;
    wasFound = true;
    print(name, await module.run({ quick }));
  } catch (error) {
    wasFound = true;
    console.error(`${name}: ${error instanceof Error ? error.stack : String(error)}`);
    process.exitCode = 1;
  }
}
if (!wasFound) {
  console.error(`no micro bench is named ${wanted.join(' or ')}`);
  process.exitCode = 2;
}

function print(name: string, results: readonly MicroResult[]): void {
  console.log(name);
  for (const result of results) {
    const perOperation = `${result.nsPerOp.toFixed(1).padStart(12)} ns/op`;
    console.log(`  ${result.name.padEnd(52)}${perOperation}   hash ${result.hash >>> 0}`);
  }
}
