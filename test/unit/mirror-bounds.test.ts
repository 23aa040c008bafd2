/** What mirrors keep of clients: how much, for how long, and that it costs no time that grows with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { READY } from '@pgdog-cluster/core';
import {
  AHEAD_BYTES_MAX,
  CAPTURE_BYTES_MAX,
  CaptureBudget,
  Mirror,
  UNIT_BYTES_MAX,
  type WorkerContext,
} from '@pgdog-cluster/worker';
import { B, d, E, Q, S } from '../support/frames.js';
import { MirrorRig as Rig, textOf } from '../support/mirror-rig.js';
import { onceWithin } from '../support/patience.js';

const MIRROR = {
  source: 'a',
  destination: 'b',
  queueLengthMax: 1000,
  exposure: 1,
  level: 'all',
} as const;

test('a unit over the limit is lost whole, in one frame, in many, and streamed', () => {
  const half = 'x'.repeat(UNIT_BYTES_MAX / 2);
  const rig = new Rig().send(Q(half + half)).ready();
  rig.send(Q('BEGIN')).ready(READY.InTransaction);
  rig.send(Q(half)).ready(READY.InTransaction).send(Q(half)).ready(READY.InTransaction);
  rig.send(Q('COMMIT')).ready();
  const streamed = Q(half + half);
  rig.tap.showing();
  rig.tap.shown(true, streamed[0], streamed, 0, 1000, streamed.length);
  rig.tap.rest(streamed, 1000, streamed.length);
  rig.ready();
  rig.send(Q(half)).ready();
  assert.deepEqual(
    rig.units.map(({ isLost }) => isLost),
    [true, true, true, false],
  );
  assert.deepEqual(rig.units[1].exchanges, [], 'nothing of it is kept');
});

test('of a client far ahead of its answers no more than a limit is kept', () => {
  const rig = new Rig();
  const frame = Q('x'.repeat(UNIT_BYTES_MAX / 2));
  const count = (2 * AHEAD_BYTES_MAX) / (UNIT_BYTES_MAX / 2);
  for (let index = 0; index < count; index++) rig.send(frame);
  for (let index = count - 1; index >= 0; index--) rig.ready(READY.Idle, index);
  const kept = rig.units.filter(({ isLost }) => !isLost);
  assert.equal(rig.units.length, count);
  assert.ok(kept.length >= 6 && kept.length <= 8, `${kept.length}`);
});

test('what all clients of a worker keep is bounded, and given back when units end or clients go', () => {
  const budget = new CaptureBudget();
  const frame = Q('x'.repeat(UNIT_BYTES_MAX - 100));
  const rigs = Array.from({ length: CAPTURE_BYTES_MAX / UNIT_BYTES_MAX + 10 }, () => new Rig(false, budget));
  for (const rig of rigs) rig.send(frame).ready(READY.InTransaction);
  assert.ok(!budget.isSpent);
  for (const rig of rigs.slice(0, -1)) rig.ready().send(S()).ready();
  const lost = rigs.slice(0, -1).filter(({ units }) => units[0].isLost);
  assert.ok(lost.length >= 8 && lost.length <= 10, `${lost.length}`);
  rigs.at(-1)?.tap.gone();
  const again = rigs.slice(0, CAPTURE_BYTES_MAX / UNIT_BYTES_MAX);
  for (const rig of again) rig.send(frame).ready();
  assert.ok(again.every(({ units }) => units[1].isLost === false));
});

test('a queue is bounded in bytes too', () => {
  const rig = new Rig().send(Q('x'.repeat(UNIT_BYTES_MAX - 100))).ready();
  const mirror = new Mirror({} as WorkerContext, MIRROR);
  let count = 0;
  while (mirror.tryQueue(rig.units[0])) count++;
  assert.ok(count >= 15 && count <= 17, `${count}`);
  for (let index = 0; index < count; index++) mirror.begun();
  assert.ok(!mirror.tryQueue(rig.units[0]), 'what runs counts too');
  mirror.ended(rig.units[0]);
  assert.ok(mirror.tryQueue(rig.units[0]));
});

test('an error in the middle of a frame: the unit is lost, and its rest belongs to nothing', () => {
  const budget = new CaptureBudget();
  const rig = new Rig(false, budget);
  const data = d('x'.repeat(UNIT_BYTES_MAX / 2));
  for (let round = 0; round < 2 * (CAPTURE_BYTES_MAX / UNIT_BYTES_MAX); round++) {
    rig.send(Q('BEGIN')).ready(READY.InTransaction).send(Q('COPY missing FROM STDIN'));
    rig.tap.showing();
    rig.tap.shown(true, data[0], data, 0, 1000, data.length);
    rig.ready(READY.Failed, 0, true);
    rig.tap.rest(data, 1000, data.length);
    rig.send(Q('ROLLBACK TO s')).ready(READY.InTransaction).send(Q('COMMIT')).ready();
    assert.ok(rig.units.pop()?.isLost, `${round}`);
  }
  assert.ok(!budget.isSpent);
  rig.send(Q('SELECT 1')).ready();
  assert.equal(rig.units.pop()?.isLost, false);
});

test('statements from before a unit count for what it takes', () => {
  const fitting = ({ units }: Rig) => {
    const mirror = new Mirror({} as WorkerContext, MIRROR);
    let count = 0;
    while (count < 100 && mirror.tryQueue(units[0])) count++;
    return count;
  };
  const unnamed = new Rig();
  unnamed.unnamedText = 'x'.repeat(UNIT_BYTES_MAX - 100);
  unnamed.send(B('', ''), E(''), S()).ready();
  assert.equal(fitting(unnamed), 16);
  const named = new Rig();
  named.name('large', 'x'.repeat(4 * UNIT_BYTES_MAX));
  named.send(B('', 'large'), E(''), S()).ready();
  assert.equal(fitting(named), 3);
  unnamed.unnamedText = 'x'.repeat(UNIT_BYTES_MAX);
  unnamed.send(B('', ''), E(''), S()).ready();
  assert.deepEqual([unnamed.units[1].isLost, unnamed.units[1].unnamed], [true, null]);
});

test('an unnamed statement from before counts once in a transaction that uses it often', () => {
  const budget = new CaptureBudget();
  const rig = new Rig(false, budget);
  rig.unnamedText = 'x'.repeat(UNIT_BYTES_MAX / 2);
  for (let round = 0; round < CAPTURE_BYTES_MAX / UNIT_BYTES_MAX; round++) {
    for (let index = 0; index < 5; index++) rig.send(B('', ''), E(''), S()).ready(READY.InTransaction);
    rig.send(Q('COMMIT')).ready();
    const unit = rig.units.pop();
    assert.equal(unit?.isLost, false);
    assert.equal(unit?.unnamed?.frame.length, unit.keptBytes - unit.size);
  }
});

test('a text that works with names is noted as fast with thousands of them', async () => {
  const rig = new Rig();
  for (let index = 0; index < 20_000; index++) rig.name(`statement ${index}`, `SELECT ${index}`);
  await onceWithin(500, 'noted', async () => {
    rig.send(Q('EXECUTE one')).ready();
    assert.equal(rig.units.pop()?.needs.size, 20_000);
  });
});

test('units come out as they were asked, however many were sent ahead', () => {
  const rig = new Rig();
  for (let index = 0; index < 1000; index++) rig.send(Q(`SELECT ${index}`));
  for (let owed = 999; owed >= 500; owed--) rig.ready(READY.Idle, owed);
  for (let index = 1000; index < 2000; index++) rig.send(Q(`SELECT ${index}`));
  for (let owed = 1499; owed >= 0; owed--) rig.ready(READY.Idle, owed);
  assert.deepEqual(
    rig.sent,
    Array.from({ length: 2000 }, (_, index) => [textOf(Q(`SELECT ${index}`))]),
  );
});
