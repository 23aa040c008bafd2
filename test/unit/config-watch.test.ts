/** The watch over files of the configuration: as editors and Kubernetes change them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigWatch, type ConfigWatchOptions } from 'pgdog-cluster';
import { eventually } from '../support/wire.js';

const QUIET_MS = 60;
let folder: string;
let seen: string[];
let warnings: string[];
let watch: ConfigWatch;
let isOn = true;

const path = (name: string) => join(folder, name);

function open(names: string[], options: Partial<ConfigWatchOptions> = {}): void {
  watch = new ConfigWatch({
    logger: { log: (_level, _code, text) => void warnings.push(text) },
    isOn: () => isOn,
    onChange: () => read(names),
    quietMs: QUIET_MS,
    pollMs: 60_000,
    ...options,
  });
  for (const name of names) watch.note(path(name));
  watch.start();
}

/** As a reload does. */
function read(names: string[]): void {
  seen.push('read');
  watch.begin();
  for (const name of names) watch.note(path(name));
  watch.end(true);
}

const changes = (count: number) => eventually(`${count} changes`, async () => seen.length >= count);

/** Longer than any change takes to be noticed. */
async function expectNothing(count: number): Promise<void> {
  await sleep(5 * QUIET_MS);
  assert.equal(seen.length, count);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgdog-watch-'));
  [seen, warnings, isOn] = [[], [], true];
});
afterEach(() => {
  watch.close();
  rmSync(folder, { recursive: true, force: true });
});

test('a file written in place, and one put in its place by renaming', async () => {
  writeFileSync(path('a.toml'), 'one');
  open(['a.toml']);
  writeFileSync(path('a.toml'), 'two');
  await changes(1);
  writeFileSync(path('a.new'), 'three');
  renameSync(path('a.new'), path('a.toml'));
  await changes(2);
  await expectNothing(2);
});

/** Both files twenty times. @returns the longest pause, ms */
async function writeHalves(round: number): Promise<number> {
  let longestMs = 0;
  let lastMs = performance.now();
  for (let count = 0; count < 20; count++) {
    for (const name of ['a.toml', 'b.toml']) writeFileSync(path(name), `half ${count} of ${round}`);
    await sleep(5);
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  }
  return longestMs;
}

test('many writes are one change; what is touched, or written back, is none', async () => {
  writeFileSync(path('a.toml'), 'one');
  writeFileSync(path('b.toml'), 'one');
  open(['a.toml', 'b.toml']);
  // A machine that stands still for that long has made two changes of them.
  let round = 0;
  while ((await writeHalves(++round)) >= QUIET_MS / 2) {
    await sleep(5 * QUIET_MS);
    seen = [];
  }
  await changes(1);
  await expectNothing(1);
  utimesSync(path('a.toml'), new Date(), new Date());
  writeFileSync(path('a.toml'), 'other');
  writeFileSync(path('a.toml'), `half 19 of ${round}`);
  writeFileSync(path('other.toml'), 'nobody reads this');
  await expectNothing(1);
});

test('a target of a symbolic link is swapped, as Kubernetes does', async () => {
  for (const version of ['1', '2']) {
    mkdirSync(path(`..${version}`));
    writeFileSync(path(`..${version}/a.toml`), `version ${version}`);
  }
  symlinkSync('..1', path('..data'));
  symlinkSync('..data/a.toml', path('a.toml'));
  open(['a.toml']);
  symlinkSync('..2', path('..data_tmp'));
  renameSync(path('..data_tmp'), path('..data'));
  rmSync(path('..1'), { recursive: true });
  await changes(1);
  await expectNothing(1);
  writeFileSync(path('..2/a.toml'), 'the target itself');
  await changes(2);
});

test('files that appear and vanish', async () => {
  open(['a.toml']);
  writeFileSync(path('a.toml'), 'one');
  await changes(1);
  rmSync(path('a.toml'));
  await changes(2);
});

test('a directory that cannot be watched is told once, and looked at', async () => {
  writeFileSync(path('a.toml'), 'one');
  open(['a.toml'], {
    pollMs: 30,
    watchDirectory: () => {
      throw Object.assign(new Error('no more'), { code: 'ENOSPC' });
    },
  });
  writeFileSync(path('a.toml'), 'two');
  await changes(1);
  await sleep(200);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /cannot be watched \(ENOSPC\)/);
});

test('constant writing puts it off for so long and no longer; switched off it tells nothing', async () => {
  writeFileSync(path('a.toml'), 'one');
  open(['a.toml'], { quietMs: 100, delayMsMax: 300 });
  const startedMs = Date.now();
  for (let count = 0; seen.length === 0 && Date.now() - startedMs < 10_000; count++) {
    writeFileSync(path('a.toml'), `write ${count}`);
    await sleep(10);
  }
  assert.equal(seen.length >= 1, true);
  await sleep(700);
  isOn = false;
  const { length } = seen;
  writeFileSync(path('a.toml'), 'another');
  await sleep(500);
  assert.equal(seen.length, length);
});
