/** What a tap makes of a client's frames, and what a queue takes: without any socket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { READY } from '@pgdog-cluster/core';
import { Mirror, makeParameterSet, NO_PARAMETERS, type WorkerContext } from '@pgdog-cluster/worker';
import { B, C, c, D, d, E, H, P, Q, S } from '../support/frames.js';
import { MirrorRig as Rig, textOf } from '../support/mirror-rig.js';

test('a statement is a unit, a transaction is one, and both come as they were sent', () => {
  const rig = new Rig().send(Q('SELECT 1')).ready();
  rig.send(Q('BEGIN')).ready(READY.InTransaction);
  rig.send(P('', 'SELECT $1'), B('', '', { values: ['x'] }), E(''), S()).ready(READY.InTransaction);
  assert.equal(rig.units.length, 1, 'not before its end');
  rig.tap.completed('COMMIT');
  rig.send(Q('COMMIT')).ready();
  assert.deepEqual(rig.sent, [
    [textOf(Q('SELECT 1'))],
    [
      textOf(Q('BEGIN')),
      textOf(P('', 'SELECT $1'), B('', '', { values: ['x'] }), E(''), S()),
      textOf(Q('COMMIT')),
    ],
  ]);
  assert.deepEqual(
    rig.units[1].exchanges.map(({ status }) => status),
    [READY.InTransaction, READY.InTransaction, READY.Idle],
  );
});

test('what failed or was rolled back is counted and not offered; a savepoint that was needed is no failure', () => {
  const rig = new Rig().send(Q('SELECT 1/0')).ready(READY.Idle, 0, true);
  rig.send(Q('BEGIN')).ready(READY.InTransaction);
  rig.send(Q('ROLLBACK'));
  rig.tap.completed('ROLLBACK');
  rig.ready();
  assert.deepEqual([rig.failedCount, rig.units.length], [2, 0]);
  rig.send(Q('BEGIN')).ready(READY.InTransaction);
  rig.send(Q('SELECT 1/0')).ready(READY.Failed, 0, true);
  rig.tap.completed('ROLLBACK');
  rig.send(Q('ROLLBACK TO a')).ready(READY.InTransaction);
  rig.tap.completed('COMMIT');
  rig.send(Q('COMMIT')).ready();
  assert.deepEqual([rig.failedCount, rig.units.length], [2, 1]);
  assert.deepEqual(
    rig.units[0].exchanges.map(({ hasError }) => hasError),
    [false, true, false, false],
  );
});

test('pipelined units are cut where they were answered', () => {
  const rig = new Rig().send(Q('SELECT 1'), Q('SELECT 2'), P('', 'SELECT 3'), B('', ''));
  rig.ready(READY.Idle, 1);
  assert.deepEqual(rig.sent, [[textOf(Q('SELECT 1'))]]);
  rig.send(E(''), S()).ready(READY.Idle, 1).ready();
  assert.deepEqual(rig.sent.slice(1), [
    [textOf(Q('SELECT 2'))],
    [textOf(P('', 'SELECT 3'), B('', ''), E(''), S())],
  ]);
});

test('copy data belongs to its statement, and a Sync inside of it to the one behind', () => {
  const rig = new Rig().send(Q('COPY t FROM STDIN'), d('1\n'), d('2\n'), c()).ready();
  const batch = [P('', 'COPY t FROM STDIN'), B('', ''), E(''), S(), d('3\n'), c(), S()];
  rig.send(...batch).ready();
  assert.deepEqual(rig.sent, [[textOf(Q('COPY t FROM STDIN'), d('1\n'), d('2\n'), c())], [textOf(...batch)]]);
  // It failed at once; the client did not know yet.
  rig
    .send(Q('COPY no FROM STDIN'))
    .ready(READY.Idle, 0, true)
    .send(d('4\n'), c())
    .send(Q('SELECT 5'))
    .ready();
  assert.deepEqual(rig.sent.at(-1), [textOf(Q('SELECT 5'))]);
});

test('a frame that is shown again is taken once; what is asked again is not doubled', () => {
  const rig = new Rig();
  const frame = Q('SELECT 1');
  for (const isTaken of [false, false, true]) {
    rig.tap.showing();
    rig.tap.shown(isTaken, frame[0], frame, 0, frame.length, frame.length);
  }
  rig.tap.again(frame.length);
  rig.send(frame).ready();
  assert.deepEqual(rig.sent, [[textOf(frame)]]);
  rig.send(P('', 'SELECT 2'));
  const rest = [B('', ''), E(''), S()];
  rig.send(...rest);
  rig.tap.again(Buffer.concat(rest).length);
  rig.send(...rest).ready();
  assert.deepEqual(rig.sent[1], [textOf(P('', 'SELECT 2'), ...rest)]);
});

test('ReadyForQuery of our own may come while its frame is being shown', () => {
  const rig = new Rig();
  const frame = Q('BEGIN');
  rig.tap.showing();
  rig.tap.answered(READY.InTransaction, false, 0);
  rig.tap.shown(true, frame[0], frame, 0, frame.length, frame.length);
  rig.send(Q('COMMIT')).ready();
  assert.deepEqual(rig.sent, [[textOf(frame), textOf(Q('COMMIT'))]]);
});

test('a unit brings the names it uses, as they were, and not those it makes', () => {
  const rig = new Rig();
  const old = rig.name('old', 'SELECT 1');
  rig.name('idle', 'SELECT 2');
  rig.send(B('', 'old'), E(''), S()).ready();
  assert.deepEqual([...rig.units[0].needs], [['old', old]]);
  rig.send(P('made', 'SELECT 3'));
  rig.name('made', 'SELECT 3');
  rig.send(D('S', 'made'), B('', 'made'), E(''), S()).ready();
  assert.deepEqual([...rig.units[1].needs], []);
  rig.send(B('', 'made'), E(''), S()).ready();
  assert.deepEqual([...rig.units[2].needs.keys()], ['made'], 'made in an earlier unit');
  rig.send(C('S', 'old'), S()).ready();
  assert.deepEqual([...rig.units[3].needs], []);
  rig.send(Q('EXECUTE old')).ready();
  assert.deepEqual([...rig.units[4].needs.keys()].sort(), ['idle', 'made', 'old']);
});

test('names that a transaction prepares by SQL are left to it', () => {
  const rig = new Rig();
  rig.name('before', 'SELECT 1');
  rig.send(Q('BEGIN; PREPARE q AS SELECT 2')).ready(READY.InTransaction);
  rig.name('q', 'SELECT 2');
  rig.send(Q('EXECUTE q')).ready(READY.InTransaction);
  rig.send(B('', 'q'), E(''), S()).ready(READY.InTransaction);
  rig.send(Q('COMMIT')).ready();
  assert.deepEqual([...rig.units[0].needs.keys()], ['before']);
});

test('the unnamed statement of an earlier unit comes along, and settings as they were at its beginning', () => {
  const rig = new Rig();
  rig.unnamedText = 'SELECT 1';
  rig.parameters = makeParameterSet([{ name: 'a', replay: 'SET a TO 1' }]);
  const { parameters } = rig;
  rig.send(B('', ''), E(''), S());
  rig.parameters = NO_PARAMETERS;
  rig.ready();
  assert.equal(rig.units[0].unnamed?.frame.toString(), P('', 'SELECT 1').toString());
  assert.equal(rig.units[0].parameters, parameters);
  rig.parameters = parameters;
  rig.send(Q('COMMIT'), Q('SELECT 1'));
  // COMMIT takes back what was set for the transaction.
  rig.parameters = NO_PARAMETERS;
  rig.ready(READY.Idle, 1).ready();
  assert.equal(rig.units.pop()?.parameters, NO_PARAMETERS);
  rig.units.pop();
  rig.send(P('', 'SELECT 2'), B('', ''), E(''), S()).ready();
  assert.equal(rig.units[1].unnamed, null);
});

test('a Sync or a Flush alone is no unit', () => {
  const rig = new Rig().send(H(), S()).ready();
  assert.deepEqual([rig.units.length, rig.failedCount], [0, 0]);
});

test('a client that leaves in the middle leaves a failed unit, one between two leaves none', () => {
  const rig = new Rig().send(Q('BEGIN')).ready(READY.InTransaction);
  rig.tap.gone();
  assert.deepEqual([rig.failedCount, rig.isGone], [1, true]);
  const other = new Rig().send(Q('SELECT 1')).ready();
  other.tap.gone();
  assert.deepEqual([other.failedCount, other.isGone], [0, true]);
});

test('units know whether they change definitions, also by a statement prepared before', () => {
  const rig = new Rig(true);
  rig.name('ddl', 'CREATE TABLE t ()');
  const texts: [string, boolean][] = [
    ['SELECT 1', false],
    ['INSERT INTO t VALUES (1)', false],
    ['TRUNCATE t', false],
    ['BEGIN; ALTER TABLE t ADD a int; COMMIT', true],
    ['SELECT 1 INTO u', true],
    ['CREATE INDEX ON t (a)', true],
    ['ALTER TABLE t RENAME TO u', true],
    ['EXPLAIN CREATE TABLE v AS SELECT 1', false],
  ];
  for (const [sql] of texts) rig.send(Q(sql)).ready();
  rig.send(B('', 'ddl'), E(''), S()).ready();
  assert.deepEqual(
    rig.units.map(({ defines }) => defines),
    [...texts.map(([, defines]) => defines), true],
  );
});

test('LISTEN and questions to ourselves are not for mirrors', () => {
  const rig = new Rig();
  const texts = ['LISTEN news', 'SHOW pgdog.shards', 'EXPLAIN (PGDOG) SELECT 1', 'NOTIFY news'];
  for (const sql of texts) rig.send(Q(sql)).ready();
  assert.deepEqual(
    rig.units.map(({ isLeftOut }) => isLeftOut),
    [true, true, true, false],
  );
});

test('a mirror takes what its level, its exposure and its queue allow', () => {
  const rig = new Rig(true).send(Q('CREATE TABLE t ()')).ready().send(Q('SELECT 1')).ready();
  const [ddl, dml] = rig.units;
  const logged: string[] = [];
  const context = {
    nowMs: 0,
    log: (_level: string, _code: string, message: string) => void logged.push(message),
  } as unknown as WorkerContext;
  const of = (changes: object, chance = 0) =>
    new Mirror(
      context,
      { source: 'a', destination: 'b', queueLengthMax: 2, exposure: 1, level: 'all', ...changes },
      () => chance,
    );
  const wanted = (mirror: Mirror) => [mirror.wants(ddl), mirror.wants(dml)];
  assert.deepEqual(wanted(of({})), [true, true]);
  assert.deepEqual(wanted(of({ level: 'ddl' })), [true, false]);
  assert.deepEqual(wanted(of({ level: 'dml' })), [false, true]);
  assert.deepEqual(wanted(of({ exposure: 0 })), [false, false]);
  assert.deepEqual(wanted(of({ exposure: 0.5 }, 0.49)), [true, true]);
  assert.deepEqual(wanted(of({ exposure: 0.5 }, 0.5)), [false, false]);
  const mirror = of({});
  assert.deepEqual([mirror.tryQueue(dml), mirror.tryQueue(dml), mirror.tryQueue(dml)], [true, true, false]);
  mirror.begun();
  assert.ok(mirror.tryQueue(dml));
  for (let index = 0; index < 10; index++) mirror.logError('app', '23505');
  assert.equal(logged.length, 1);
  assert.match(logged[0], /23505/);
  mirror.figuresOf('app').total = 3;
  assert.deepEqual(
    mirror.report().map(({ source, destination, user, total }) => [source, destination, user, total]),
    [['a', 'b', 'app', 3]],
  );
});
