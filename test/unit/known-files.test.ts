/** Files that are looked at again and again, of which only those are read that may have changed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { SeededRandom } from '@pgdog-cluster/core';
import koffi from 'koffi';
import { KnownFiles } from 'pgdog-cluster';

const BYTES_MAX = 1000;
const mkfifo = koffi.load(null).func('int mkfifo(const char *path, unsigned int mode)');

let folder: string;
let nowMs: number;
/** The clock is looked at once for each look, each thing found changed, and each reading. */
let clockCount: number;
let files: KnownFiles;

const path = (name: string) => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgdog-files-'));
  [nowMs, clockCount] = [0, 0];
  files = new KnownFiles(() => {
    clockCount++;
    return nowMs;
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A look, so long after the one before. */
function look(afterMs: number): void {
  nowMs += afterMs;
  files.begin();
}

const textOf = (name: string) => files.textOf(path(name), BYTES_MAX);

test('what is written in the same tick of the clock is seen', () => {
  for (let round = 0; round < 300; round++) {
    for (const text of ['one', 'two']) {
      writeFileSync(path('a'), text);
      look(round % 7);
      assert.equal(textOf('a'), text);
    }
  }
});

test('a file is read until it was read long after its last change, and again when it has changed', () => {
  const write = (text: string): void => {
    writeFileSync(path('a'), text);
    // As programs do that unpack files with their times.
    utimesSync(path('a'), 1, 1);
  };
  write('one');
  const readings = (afterMs: number): number => {
    look(afterMs);
    const before = clockCount;
    const [content] = [files.contentOf(path('a')), textOf('a')];
    assert.equal(content.length, 44);
    return clockCount - before;
  };
  // Found, read for its digest, read for its text.
  assert.equal(readings(0), 3);
  assert.equal(readings(1000), 1);
  assert.equal(readings(1999), 1);
  assert.equal(readings(1), 1, 'three seconds after it was first seen so');
  for (const afterMs of [0, 1, 100_000]) assert.equal(readings(afterMs), 0);
  write('two');
  assert.equal(readings(0), 3);
  assert.equal(textOf('a'), 'two');
});

test('a look is one: what is written meanwhile is seen by the next', () => {
  writeFileSync(path('a'), 'one');
  look(0);
  const [content, text] = [files.contentOf(path('a')), textOf('a')];
  writeFileSync(path('a'), 'other');
  assert.deepEqual([files.contentOf(path('a')), textOf('a')], [content, text]);
  look(0);
  assert.equal(textOf('a'), 'other');
  assert.notEqual(files.contentOf(path('a')), content);
});

test('what cannot be read as a file, and what is not there', () => {
  mkdirSync(path('folder'));
  symlinkSync(path('nowhere'), path('link'));
  writeFileSync(path('large'), 'x'.repeat(BYTES_MAX + 1));
  assert.throws(() => textOf('absent'), { code: 'ENOENT' });
  assert.throws(() => textOf('link'), { code: 'ENOENT' });
  assert.throws(() => textOf('folder'), /is no file/);
  assert.throws(() => textOf('large'), /more than 1000 bytes/);
  assert.throws(() => files.textOf('/dev/null', BYTES_MAX), /is no file/);
  assert.deepEqual(
    ['absent', 'link', 'large/x'].map((name) => files.contentOf(path(name))),
    ['absent', 'absent', 'absent'],
  );
  assert.equal(files.contentOf('/dev/null'), 'no file');
});

// pg is loaded when it is first needed, through a symbolic link where packages are installed by pnpm.
test('modules are found as before behind a look at a pipe', () => {
  const pipe = path('pipe');
  assert.equal(mkfifo(pipe, 0o600), 0);
  const code = `
    import { KnownFiles } from 'pgdog-cluster';
    const kept = new KnownFiles();
    kept.begin();
    console.log(kept.contentOf(process.argv[1]));
    const { default: pg } = await import('pg');
    console.log(typeof pg.Client);
    process.exit();`;
  const program = ['--input-type=module', '-e', code, pipe];
  assert.equal(execFileSync(process.execPath, program, { encoding: 'utf8' }).trim(), 'no file\nfunction');
});

test('random writing, renaming and linking: always as the file is', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const names = ['a', 'b', 'c', 'd'];
  const name = () => path(names[random.below(names.length)]);
  const change = (): void => {
    const kind = random.below(5);
    const target = name();
    if (kind === 0) rmSync(target, { force: true });
    else if (kind === 1) {
      rmSync(target, { force: true });
      symlinkSync(name(), target);
    } else {
      writeFileSync(path('new'), String(random.below(4)));
      if (kind === 2) writeFileSync(path('plain'), String(random.below(4)));
      renameSync(path('new'), target);
    }
  };
  const attempt = (read: () => string): string => {
    try {
      return read();
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  for (let step = 0; step < 1500; step++) {
    for (let left = random.below(3); left > 0; left--) change();
    look([0, 1, 1000, 4000][random.below(4)]);
    for (const each of [...names, 'plain']) {
      const expected = attempt(() => readFileSync(path(each), 'utf8'));
      assert.equal(
        attempt(() => textOf(each)),
        expected,
        `SEED=${seed} step ${step} ${each}`,
      );
    }
    assert.deepEqual([...files.namesIn(folder)].sort(), readdirSync(folder).sort());
  }
});
