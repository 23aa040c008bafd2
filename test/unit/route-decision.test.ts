// Who may run what: the whole table of decide-route, row by row, from real plans.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  type Asked,
  CATALOG_UNREAD,
  decideRoute,
  decideStatement,
  loadSqlParser,
  readSqlBytes,
  type SqlParser,
  type SqlPlan,
  WANT_NAMES,
} from '@pgdog-cluster/core';
import { HeldTransaction, stepOf } from '@pgdog-cluster/worker';

let parser: SqlParser;
before(async () => {
  parser = await loadSqlParser();
});

function planOf(sql: string): SqlPlan {
  const bytes = Buffer.from(sql);
  return readSqlBytes(bytes, 0, bytes.length, parser, true);
}

type Change = Partial<Omit<Asked, 'facts' | 'held'>> & { held?: string };

function decide(sql: string, { held, ...change }: Change = {}) {
  const facts = planOf(sql).route;
  const decision = decideRoute({
    facts,
    writes: facts.access === 'write' ? facts.reason : null,
    role: null,
    isReadOnlyByDefault: false,
    isSerializableByDefault: false,
    isSessionMode: false,
    hasJustWritten: false,
    strategy: 'conservative',
    held: held === undefined ? null : new HeldTransaction(held, planOf(held)),
    ...change,
  });
  return { ...decision, want: WANT_NAMES[decision.want] };
}

const READ = 'SELECT * FROM item WHERE id = 1';
const WRITE = 'UPDATE item SET name = 1';

const ROWS: [string, string, Change, string][] = [
  ['a read', READ, {}, 'read'],
  ['a write', WRITE, {}, 'primary'],
  ['one write among reads', `${READ}; ${WRITE}; ${READ}`, {}, 'primary'],
  ['row locks', `${READ} FOR UPDATE`, {}, 'primary'],
  ['a setting', "SET TimeZone = 'UTC'", {}, 'any'],
  ['SHOW', 'SHOW TimeZone', {}, 'any'],
  ['a read behind a setting', `SET TimeZone = 'UTC'; ${READ}`, {}, 'read'],
  ['a read whose catalog is not known yet', READ, { writes: CATALOG_UNREAD }, 'any'],
  ['a function that may write', READ, { writes: 'calls f()' }, 'primary'],
  ['EXECUTE of a read', 'EXECUTE p(1)', {}, 'read'],
  ['EXECUTE of a write', 'EXECUTE p(1)', { writes: 'prepares: INSERT' }, 'primary'],
  ['a read of who has just written', READ, { hasJustWritten: true }, 'primary'],
  ['who asks for a replica', WRITE, { role: 'replica' }, 'replica'],
  ['who asks for the primary', READ, { role: 'primary' }, 'primary'],
  ['session mode', READ, { isSessionMode: true }, 'primary'],
  ['session mode, read only', READ, { isSessionMode: true, isReadOnlyByDefault: true }, 'read'],
  ['read only by default', READ, { isReadOnlyByDefault: true }, 'read'],
  ['read only by default, a write for Postgres to refuse', WRITE, { isReadOnlyByDefault: true }, 'primary'],
  ['a held transaction', READ, { held: 'BEGIN' }, 'primary'],
  ['a held READ ONLY', READ, { held: 'BEGIN READ ONLY' }, 'read'],
  ['a held READ ONLY with a write for Postgres to refuse', WRITE, { held: 'BEGIN READ ONLY' }, 'primary'],
  [
    'a held READ ONLY of who has just written',
    READ,
    { held: 'BEGIN READ ONLY', hasJustWritten: true },
    'read',
  ],
  ['READ ONLY and serializable', READ, { held: 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY' }, 'primary'],
  ['a read of who is serializable by default', READ, { isSerializableByDefault: true }, 'primary'],
  ['SET TRANSACTION READ ONLY', 'SET TRANSACTION READ ONLY', { held: 'BEGIN' }, 'read'],
  [
    'SET TRANSACTION READ WRITE',
    'SET TRANSACTION READ WRITE',
    { held: 'BEGIN', isReadOnlyByDefault: true },
    'primary',
  ],
  ['READ WRITE over the default', READ, { held: 'BEGIN READ WRITE', isReadOnlyByDefault: true }, 'primary'],
  ['BEGIN and its statements in one text', `BEGIN; ${READ}; COMMIT`, {}, 'primary'],
  ['BEGIN READ ONLY in one text', `BEGIN READ ONLY; ${READ}; COMMIT`, {}, 'read'],
  ['aggressive: a read first', READ, { held: 'BEGIN', strategy: 'aggressive' }, 'read'],
  ['aggressive: a write first', WRITE, { held: 'BEGIN', strategy: 'aggressive' }, 'primary'],
  ['aggressive: a setting first', 'SET LOCAL a.b = 1', { held: 'BEGIN', strategy: 'aggressive' }, 'primary'],
  [
    'aggressive: a read first of who has just written',
    READ,
    { held: 'BEGIN', strategy: 'aggressive', hasJustWritten: true },
    'primary',
  ],
];

describe('who may run it', () => {
  for (const [name, sql, change, expected] of ROWS) {
    it(`${name}: ${expected}`, () => {
      const { want, reason } = decide(sql, change);
      assert.equal(want, expected, reason);
      assert.notEqual(reason, '');
    });
  }

  it('only a read that put its transaction on a replica forbids writes there', () => {
    for (const [, sql, change] of ROWS) {
      const { want, isByFirstRead } = decide(sql, change);
      assert.equal(
        isByFirstRead,
        want === 'read' && change.strategy === 'aggressive' && change.held === 'BEGIN',
      );
    }
  });

  it('of a session that has said nothing, the short way is the long one', () => {
    let compared = 0;
    for (const [, sql] of ROWS) {
      const { route: facts } = planOf(sql);
      if (facts.begin !== null || facts.directive !== null) continue;
      for (const writes of [
        null,
        'calls f()',
        CATALOG_UNREAD,
        facts.access === 'write' ? facts.reason : null,
      ]) {
        for (const hasJustWritten of [false, true]) {
          const settled = { role: null, isReadOnlyByDefault: false, isSerializableByDefault: false };
          const asked = { facts, writes, hasJustWritten, held: null, isSessionMode: false, ...settled };
          const long = decideRoute({ ...asked, strategy: 'conservative' });
          assert.equal(decideStatement(facts, writes, hasJustWritten), long, sql);
          compared++;
        }
      }
    }
    assert.ok(compared > 100, `${compared}`);
  });

  it('decisions are the same object for the same question', () => {
    const ask = () =>
      decideRoute({
        facts: planOf(READ).route,
        writes: null,
        held: null,
        role: null,
        isReadOnlyByDefault: false,
        isSerializableByDefault: false,
        isSessionMode: false,
        hasJustWritten: false,
        strategy: 'conservative',
      });
    assert.equal(ask(), ask());
  });
});

describe('transactions that no server knows of', () => {
  const steps: [string, ReturnType<typeof stepOf>][] = [
    ['BEGIN', 'begin'],
    ['START TRANSACTION READ ONLY', 'begin'],
    ['COMMIT', 'commit'],
    ['END', 'commit'],
    ['ROLLBACK', 'rollback'],
    ['ABORT', 'rollback'],
    ['COMMIT AND CHAIN', null],
    ['ROLLBACK TO a', null],
    ['BEGIN; SELECT 1', null],
    ['SELECT 1', null],
    ['', null],
    ["PREPARE TRANSACTION 'x'", null],
  ];
  for (const [sql, expected] of steps) {
    it(`${sql === '' ? 'nothing' : sql}: ${expected}`, () => assert.equal(stepOf(planOf(sql)), expected));
  }

  it('are open until an error of ours', () => {
    const held = new HeldTransaction('BEGIN', planOf('BEGIN'));
    assert.equal(String.fromCharCode(held.readyStatus), 'T');
    held.hasFailed = true;
    assert.equal(String.fromCharCode(held.readyStatus), 'E');
  });
});
