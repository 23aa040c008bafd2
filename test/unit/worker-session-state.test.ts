import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownerOfProcessId, processIdOf, quoteLiteral } from '@pgdog-cluster/core';
import {
  afterResetAll,
  differenceSql,
  FAKE,
  FigureSlots,
  FORWARD,
  KIND_CLOSE,
  KIND_COPY_END,
  KIND_EXECUTE,
  KIND_PARSE,
  KIND_QUERY,
  KIND_SYNC,
  makeParameterSet,
  mayFailOnReplay,
  NO_PARAMETERS,
  PendingReplies,
  parameterFromValue,
  QueryFigures,
  RequestLog,
  SWALLOW,
  withoutParameter,
  withParameter,
} from '@pgdog-cluster/worker';
import { PATIENCE_MS } from '../support/patience.js';

const set = (name: string, replay: string) => ({ name, replay });

test('equal settings are one object, whatever the order they were made in', () => {
  const a = withParameter(withParameter(NO_PARAMETERS, set('a', 'SET a TO 1')), set('b', 'SET b TO 2'));
  const b = withParameter(withParameter(NO_PARAMETERS, set('b', 'SET b TO 2')), set('a', 'SET a TO 1'));
  assert.equal(a, b);
  assert.equal(withoutParameter(withoutParameter(a, 'a'), 'b'), NO_PARAMETERS);
});

test('the difference resets what is gone and sets what is new, authorization first', () => {
  const from = makeParameterSet([set('a', 'SET a TO 1'), set('x.y', "SET x.y TO 'z'")]);
  const to = makeParameterSet([
    set('role', 'SET ROLE r'),
    set('session_authorization', 'SET SESSION AUTHORIZATION s'),
    set('a', 'SET a TO 2'),
  ]);
  assert.equal(differenceSql(from, to), 'RESET "x"."y";SET SESSION AUTHORIZATION s;SET ROLE r;SET a TO 2');
  assert.equal(differenceSql(to, to), '');
  assert.ok(mayFailOnReplay(from, to));
  assert.ok(!mayFailOnReplay(from, withParameter(from, set('a', 'SET a TO 9'))));
});

test('changing the session user ends SET ROLE; RESET ALL leaves both', () => {
  const role = withParameter(NO_PARAMETERS, set('role', 'SET ROLE r'));
  const user = withParameter(role, set('session_authorization', 'SET SESSION AUTHORIZATION s'));
  assert.ok(!user.entries.has('role'));
  const all = withParameter(withParameter(role, set('a', 'SET a TO 1')), set('b', 'SET b TO 1'));
  assert.equal(afterResetAll(all), role);
});

test('values become literals that nothing can break out of', () => {
  assert.equal(quoteLiteral("it's"), "'it''s'");
  assert.equal(quoteLiteral("a\\' OR 1"), " E'a\\\\'' OR 1'");
  assert.equal(
    parameterFromValue('Search_Path', "a', 'b").replay,
    "SELECT pg_catalog.set_config('search_path', 'a'', ''b', false)",
  );
});

test('pending replies keep their order over growth', () => {
  const pending = new PendingReplies();
  const refs = Array.from({ length: 100 }, (_, index) => ({ index }));
  for (let index = 0; index < 10; index++) pending.push(KIND_PARSE | FORWARD, refs[index]);
  for (let index = 0; index < 5; index++) pending.pop();
  for (let index = 10; index < 100; index++) pending.push(KIND_PARSE | FORWARD, refs[index]);
  for (let index = 5; index < 100; index++) {
    assert.equal(pending.headRef(), refs[index]);
    pending.pop();
  }
  assert.equal(pending.head(), 0);
});

test('pending replies keep what they count for, over growth and struck entries', () => {
  const slots = new FigureSlots();
  const figures = Array.from({ length: 40 }, (_, i) => new QueryFigures(slots, 'shop', `select ${i}`, i));
  const pending = new PendingReplies();
  for (let i = 0; i < 5; i++) pending.push(KIND_SYNC | FORWARD, null);
  for (let i = 0; i < 5; i++) pending.pop();
  for (let i = 0; i < 40; i++) pending.push(KIND_EXECUTE, null, figures[i], i);
  for (let i = 0; i < 40; i++) {
    assert.deepEqual([pending.headFigures(), pending.headSentUs()], [figures[i], i]);
    pending.pop();
  }
  assert.equal(pending.headFigures(), null);
  pending.push(KIND_EXECUTE, null, figures[0], 1);
  for (const kind of [KIND_SYNC, KIND_COPY_END, KIND_SYNC]) pending.push(kind, null);
  pending.push(KIND_EXECUTE, null, figures[1], 2);
  pending.dropSyncsBeforeCopyEnd();
  assert.ok(pending.strikeCopyEnd());
  assert.deepEqual([pending.headFigures(), pending.headSentUs()], [figures[0], 1]);
  pending.pop();
  assert.equal(pending.headFigures(), null, 'a Sync counts for nothing');
  pending.pop();
  assert.deepEqual([pending.headFigures(), pending.headSentUs()], [figures[1], 2]);
});

test('COPY IN strikes out the Syncs before its end, and only those', () => {
  const pending = new PendingReplies();
  for (const kind of [KIND_EXECUTE, KIND_SYNC, KIND_SYNC, KIND_COPY_END, KIND_SYNC]) pending.push(kind, null);
  pending.dropSyncsBeforeCopyEnd();
  const kinds: number[] = [];
  for (; pending.length > 0; pending.pop()) kinds.push(pending.head());
  assert.deepEqual(kinds, [KIND_EXECUTE, KIND_COPY_END, KIND_SYNC]);
});

test('a request log gives back whole exchanges only', () => {
  const log = new RequestLog();
  log.append(Buffer.from('lost'), 0, 4);
  assert.equal(log.take(), null, 'nothing before the first reset');
  log.reset();
  log.append(Buffer.from('xabx'), 1, 3);
  log.append(Buffer.from('cd'), 0, 2);
  assert.deepEqual(Buffer.from(log.take() ?? []).toString(), 'abcd');
  log.append(Buffer.alloc(9000), 0, 9000);
  assert.equal(log.take(), null, 'too large to be repeated');
  log.reset();
  log.spoil();
  log.append(Buffer.from('ab'), 0, 2);
  assert.equal(log.take(), null);
});

test('process ids name worker and slot and stay positive', () => {
  for (const worker of [0, 1, 255, 511]) {
    for (const slot of [0, 1, 2 ** 20 - 1]) {
      const processId = processIdOf(worker, slot);
      assert.ok(processId >= 2 ** 22 && processId < 2 ** 31, 'no process of Linux has such a number');
      assert.deepEqual(ownerOfProcessId(processId), { worker, slot });
    }
  }
  for (const processId of [0, 1, 2 ** 22 - 1]) assert.ok(ownerOfProcessId(processId).worker < 0);
});

test('how many ReadyForQuery are owed is known at once, however much is', () => {
  const pending = new PendingReplies();
  const owed = 200_000;
  for (let index = 0; index < owed; index++) {
    pending.push(KIND_EXECUTE | FORWARD, null);
    pending.push((index % 2 === 0 ? KIND_SYNC : KIND_QUERY) | FORWARD, null);
    pending.push(KIND_SYNC | SWALLOW, null);
  }
  const startedMs = performance.now();
  for (let left = owed; left > 0; left--) {
    assert.equal(pending.foreignReadyCount, left);
    for (let index = 0; index < 3; index++) pending.pop();
  }
  assert.equal(pending.foreignReadyCount, 0);
  // Counting them each time would take minutes.
  assert.ok(performance.now() - startedMs < PATIENCE_MS, `${performance.now() - startedMs} ms`);
});

test('what is struck out for a COPY, and what is changed, is no longer owed', () => {
  const pending = new PendingReplies();
  pending.push(KIND_EXECUTE | FORWARD, null);
  for (const kind of [KIND_SYNC, KIND_SYNC, KIND_COPY_END, KIND_SYNC, KIND_QUERY])
    pending.push(kind | FORWARD, null);
  assert.equal(pending.foreignReadyCount, 4);
  pending.dropSyncsBeforeCopyEnd();
  assert.equal(pending.foreignReadyCount, 2);
  assert.ok(pending.strikeCopyEnd());
  assert.equal(pending.foreignReadyCount, 2);
  pending.setCodeAt(1, KIND_SYNC | SWALLOW, null);
  assert.equal(pending.foreignReadyCount, 1);
  const query = new PendingReplies();
  for (const kind of [KIND_QUERY, KIND_COPY_END, KIND_QUERY]) query.push(kind | FORWARD, null);
  assert.ok(query.strikeCopyEnd());
  assert.equal(query.foreignReadyCount, 2);
});

test('the end of a COPY is found behind what the server has never heard of', () => {
  const pending = new PendingReplies();
  const fake = { kind: 'statementUse' };
  pending.push(KIND_EXECUTE | FORWARD, null);
  pending.push(KIND_CLOSE | FAKE, fake);
  for (const kind of [KIND_SYNC, KIND_COPY_END, KIND_SYNC]) pending.push(kind | FORWARD, null);
  assert.ok(pending.copyBegan());
  const left = Array.from({ length: pending.length }, (_, index) => pending.codeAt(index));
  assert.deepEqual(left, [KIND_EXECUTE | FORWARD, KIND_CLOSE | FAKE, KIND_SYNC | FORWARD]);
  assert.equal(pending.refAt(1), fake);
  assert.equal(pending.foreignReadyCount, 1);
});
