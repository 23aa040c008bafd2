// Where the log goes: a full disk, a slow reader, a file that is moved away, the end of the process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { LogCode } from '@pgdog-cluster/core';
import koffi from 'koffi';
import { createLogger, LineWriter, logFile, PENDING_BYTES_MAX } from 'pgdog-cluster';
import { eventually, sleep } from '../support/wire.js';

const SETTINGS = {
  log_format: 'text',
  log_level: 'info',
  log_dedup_window: 0,
  log_dedup_threshold: 0,
} as const;
const pipe2 = koffi.load(null).func('pipe2', 'int', ['void *', 'int']);
const O_NONBLOCK = 0o4000;

const directory = mkdtempSync(join(tmpdir(), 'pgdog-log-'));
after(() => rmSync(directory, { recursive: true }));

const openCount = (): number => readdirSync('/proc/self/fd').length;
const textOf = (path: string): string => readFileSync(path, 'utf8');

test('a full disk stops nobody and fills no memory; when there is room again the log says what is missing', async () => {
  const path = join(directory, 'full');
  symlinkSync('/dev/full', path);
  const logger = createLogger(SETTINGS, logFile(path));
  const lines = 10_000;
  const message = 'm'.repeat((2 * PENDING_BYTES_MAX) / lines);
  for (let line = 0; line < lines; line++) logger.log('info', 'x' as LogCode, message);
  await sleep(50);
  await logger.close();
  rmSync(path);
  logger.reopen?.();
  await sleep(50);
  logger.log('info', 'x' as LogCode, 'there is room');
  await logger.close();
  const [told, last, ...more] = textOf(path).trimEnd().split('\n');
  // Neither those that found no room nor those that waited for it.
  assert.match(
    told,
    new RegExp(`WARN log_lines_lost lines were dropped: they could not be written count=${lines}$`),
  );
  assert.match(last, /there is room$/);
  assert.deepEqual(more, []);
});

test('a disk that is full for a while costs no line', async () => {
  const fds = new Int32Array(2);
  // A full pipe answers as well, and can be emptied.
  assert.equal(pipe2(fds, O_NONBLOCK), 0);
  const [reader, fd] = fds;
  const writer = new LineWriter(fd);
  const sent = Array.from({ length: 20_000 }, (_, index) => `line ${index} ünd\n`);
  for (const line of sent) writer.write(line);
  await sleep(50);
  const parts: Buffer[] = [];
  const bytes = Buffer.byteLength(sent.join(''));
  const part = Buffer.alloc(65_536);
  await eventually('all is read', async () => {
    for (;;) {
      try {
        parts.push(Buffer.from(part.subarray(0, readSync(reader, part))));
      } catch {
        return Buffer.concat(parts).length >= bytes;
      }
    }
  });
  assert.equal(Buffer.concat(parts).toString(), sent.join(''));
  assert.equal(writer.takeLost(), 0);
  const left = openCount();
  assert.equal(await writer.end(), 0);
  await eventually('its end is closed', async () => openCount() === left - 1);
  closeSync(reader);
});

test('who waits for a reader that never comes waits a second, and the descriptor is kept until the write ends', async () => {
  const fds = new Int32Array(2);
  assert.equal(pipe2(fds, 0), 0);
  const [reader, fd] = fds;
  const writer = new LineWriter(fd);
  const line = `${'x'.repeat(99_999)}\n`;
  for (let count = 0; count < 3; count++) writer.write(line);
  await writer.flush();
  writer.writeNow();
  assert.ok((await writer.end()) > 0);
  assert.ok(fstatSync(fd).isFIFO(), 'a thread still writes there');
  closeSync(reader);
  await eventually('closed', async () => {
    try {
      fstatSync(fd);
      return false;
    } catch {
      return true;
    }
  });
});

test('a file that cannot be opened anew: the old one is written on, and no descriptor is closed twice', async () => {
  const place = join(directory, 'place');
  mkdirSync(place);
  const destination = logFile(join(place, 'log'));
  const before = openCount();
  destination.write('one\n');
  renameSync(place, `${place}.1`);
  assert.throws(() => destination.reopen?.(), { code: 'ENOENT' });
  destination.write('two\n');
  mkdirSync(place);
  destination.reopen?.();
  destination.write('three\n');
  // Takes the number as soon as it is free; a second close would be of this one.
  const mine: number[] = [];
  for (let round = 0; round < 20; round++) {
    await sleep(5);
    mine.push(openSync('/dev/null', 'r'));
  }
  for (const fd of mine) closeSync(fd);
  await destination.flush?.();
  assert.equal(textOf(join(`${place}.1`, 'log')), 'one\ntwo\n');
  assert.equal(textOf(join(place, 'log')), 'three\n');
  assert.equal(statSync(join(place, 'log')).mode & 0o777, 0o640 & ~process.umask());
  assert.equal(openCount(), before);
});

test('what was logged just before the end of the process is written, and a full disk does not keep it', async () => {
  for (const path of [join(directory, 'end'), '/dev/full']) {
    if (path !== '/dev/full') writeFileSync(path, 'before\n');
    const program = `
      import { logFile } from 'pgdog-cluster';
      const log = logFile(${JSON.stringify(path)});
      for (let line = 0; line < 5000; line++) log.write('line ' + line + '\\n');
      process.exit(3);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: join(import.meta.dirname, '..'),
      stdio: 'inherit',
    });
    assert.deepEqual(await once(child, 'exit'), [3, null]);
  }
  const lines = textOf(join(directory, 'end')).trimEnd().split('\n');
  assert.equal(lines.shift(), 'before');
  // The first was with a thread: it may come after those that were not.
  assert.deepEqual(
    lines.map((line) => Number(line.slice(5))).sort((a, b) => a - b),
    Array.from({ length: 5000 }, (_, index) => index),
  );
});
