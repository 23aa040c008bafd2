// A worker that cannot start is an error to read, not the end of the process by a signal.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../support/start-half-built.js', import.meta.url));
/** It hangs on a race with threads that are loading: several tries. */
const TRIES = 5;

test('the others end by themselves, and the reason is told', () => {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [PROGRAM], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    assert.equal(signal, null, stderr);
    assert.equal(stdout.trim(), 'a worker could not start: half built');
    assert.equal(status, 0, stderr);
  }
});
