import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogLine } from '@pgdog-cluster/core';
import { LINES_PER_WINDOW_MAX, LogLimits } from '@pgdog-cluster/worker';

const T0 = 1_000_000;

test('of a code so many lines a second pass, and the rest is one line with their number', () => {
  const limits = new LogLimits();
  const lines: LogLine[] = [];
  limits.check(T0, lines);
  const admitted = Array.from({ length: 250 }, () => limits.admits('query_too_large'));
  assert.equal(admitted.filter((is) => is).length, LINES_PER_WINDOW_MAX);
  assert.ok(limits.admits('server_fatal'), 'another code has its own');
  limits.check(T0 + 999, lines);
  assert.equal(lines.length, 0);
  limits.check(T0 + 1000, lines);
  const told = lines.map(({ code, fields }) => [code, fields.count]);
  assert.deepEqual(told, [['query_too_large', 250 - LINES_PER_WINDOW_MAX]]);
  assert.ok(limits.admits('query_too_large'), 'the next second is another one');
  limits.check(T0 + 2000, lines);
  assert.equal(lines.length, 1);
});

test('logins and exits have settings of their own', () => {
  const limits = new LogLimits();
  for (let i = 0; i < 1000; i++) {
    assert.ok(limits.admits('client_connected'));
    assert.ok(limits.admits('client_disconnected'));
  }
});
