/**
 * Runs a target over its corpus and over generated cases. A failing input is made smaller, written into the
 * corpus directory (so that it is tried first from then on, once it is committed) and reported with seed, index
 * and bytes.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/tree.js';
import { caseSeed, FuzzRandom } from './fuzz-random.js';

/** One reader of bytes. Pure: the same bytes and seed do the same. */
export interface FuzzTarget {
  /** Names the corpus directory too. */
  name: string;
  generate(random: FuzzRandom): Buffer;
  /** Throws when the reader did wrong. `random`: for splits and such; its seed is the case's. */
  run(bytes: Buffer, random: FuzzRandom): void;
  /** False: failing inputs are not kept (a target that is a test of the fuzzer itself). */
  isKept?: boolean;
}

export interface FuzzLimits {
  seed: number;
  /** Ends after this many cases, or after this time, whichever comes first. */
  cases: number;
  milliseconds: number;
}

export const CORPUS = join(ROOT, 'test', 'fuzz', 'corpus');
/** A case that takes longer hangs, or is about to: inputs have some tens of kilobytes. */
const CASE_MS_MAX = 2000;
const SHRINK_TRIES_MAX = 2000;

/** Random unless SEED is set; printed by whoever uses it. */
export function chosenSeed(): number {
  return Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
}

export interface CorpusEntry {
  file: string;
  bytes: Buffer;
}

/** Files of hex digits, whitespace and `#` comments. */
export function readCorpus(target: string): CorpusEntry[] {
  const directory = join(CORPUS, target);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith('.hex'))
    .sort()
    .map((file) => {
      const lines = readFileSync(join(directory, file), 'utf8').split('\n');
      const digits = lines.map((line) => line.split('#')[0] ?? '').join('');
      return { file, bytes: Buffer.from(digits.replaceAll(/\s/g, ''), 'hex') };
    });
}

/** Keeps a failing input. Returns its path. */
export function saveInput(target: string, bytes: Buffer, why: string): string {
  const directory = join(CORPUS, target);
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.hex`);
  const digits = bytes.toString('hex').replaceAll(/(.{96})/g, '$1\n');
  writeFileSync(path, `# ${why.split('\n')[0]?.slice(0, 200)}\n${digits}\n`);
  return path;
}

function failureOf(target: FuzzTarget, bytes: Buffer, seed: number): Error | null {
  const since = performance.now();
  try {
    target.run(bytes, new FuzzRandom(seed));
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
  const tookMs = performance.now() - since;
  return tookMs > CASE_MS_MAX ? new Error(`${tookMs.toFixed(0)} ms for ${bytes.length} bytes`) : null;
}

/** Leaves out pieces, large ones first, as long as it still fails. */
function shrink(target: FuzzTarget, bytes: Buffer, seed: number): Buffer {
  let small = bytes;
  let tries = 0;
  for (let size = small.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= small.length && tries < SHRINK_TRIES_MAX; tries++) {
      const shorter = Buffer.concat([small.subarray(0, at), small.subarray(at + size)]);
      if (failureOf(target, shorter, seed) !== null) small = shorter;
      else at += size;
    }
  }
  return small;
}

/** However busy the machine is. */
const CASES_MIN = 10;

/** Returns how many cases ran. Throws at the first failure. */
export function runTarget(target: FuzzTarget, limits: FuzzLimits): number {
  for (const { file, bytes } of readCorpus(target.name)) {
    const failure = failureOf(target, bytes, limits.seed);
    if (failure !== null) throw new Error(`${target.name}: corpus file ${file} fails`, { cause: failure });
  }
  const endMs = performance.now() + limits.milliseconds;
  let index = 0;
  for (; index < limits.cases && (index < CASES_MIN || performance.now() < endMs); index++) {
    const seed = caseSeed(limits.seed, index);
    const bytes = target.generate(new FuzzRandom(seed));
    const failure = failureOf(target, bytes, seed);
    if (failure === null) continue;
    const small = shrink(target, bytes, seed);
    const why = `${failure.message} (case seed ${seed})`;
    const path = target.isKept === false ? 'nowhere' : saveInput(target.name, small, why);
    const hex = small.toString('hex');
    throw new Error(
      `${target.name}: case ${index} of seed ${limits.seed} (SEED=${limits.seed}), ${bytes.length} bytes, ` +
        `made smaller to ${small.length}, kept in ${path}:\n${hex.length > 4000 ? `${hex.slice(0, 4000)}…` : hex}`,
      { cause: failure },
    );
  }
  return index;
}
