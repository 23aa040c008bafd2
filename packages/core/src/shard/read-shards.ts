import { isAnalyze } from '../sql/explain-options.js';
import { isForAllShards } from '../sql/local-setting.js';
import { TRANSACTION_PARAMETERS } from '../sql/parameter-names.js';
import { nodeOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { createTempEffect } from '../sql/temp-objects.js';
import { readApart } from './apart-reading.js';
import { readWrite } from './change-reading.js';
import { readCopy } from './copy-reading.js';
import { readCounted } from './counted-reading.js';
import { declareRefusal, readCursorUse, readDeclared } from './cursor-reading.js';
import { readDefinition } from './definition-reading.js';
import { isDefiningBlock } from './do-reading.js';
import { readExecuted } from './execute-reading.js';
import type { ResolvedGroup } from './key-graph.js';
import { readMergePlan, refusedSpread } from './merge-plan-reader.js';
import { readMove } from './move-reading.js';
import { insertsOneRow } from './one-row.js';
import { NO_SHOWN, readSelect, type Shown } from './query-reading.js';
import { CHOOSE_SHARD, type ReadTerms, type Refusal, ShardContext } from './shard-context.js';
import type { KeyGroup, ShardReading, Spread } from './shard-reading.js';

const WRITES: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
/** Of the session, or of a transaction: whoever runs them sees to it that they hold wherever they must. */
const SESSION_KINDS: ReadonlySet<string> = new Set(
  (
    'TransactionStmt VariableSetStmt VariableShowStmt DeallocateStmt DiscardStmt FetchStmt ClosePortalStmt ' +
    'ConstraintsSetStmt'
  ).split(' '),
);
/** What they do is seen on one server only. */
const FIRST_KINDS: ReadonlySet<string> = new Set(['ListenStmt', 'UnlistenStmt', 'NotifyStmt']);

/**
 * What one statement says of shards. Never throws: a tree that is too much for it is refused.
 * @param kind type of its top node
 * @param node its fields
 */
export function readShards(kind: string, node: SqlNode, terms: ReadTerms): ShardReading {
  try {
    // What stands within another statement is not asked by itself.
    const isRewritten = kind === 'SelectStmt' || kind === 'UpdateStmt';
    if (kind === 'SelectStmt') return readQuery(node, terms);
    return readStatement(kind, node, isRewritten ? terms : { ...terms, text: undefined });
  } catch (error) {
    if (!(error instanceof RangeError)) {
      return refused('the statement is not understood', CHOOSE_SHARD);
    }
    return refused('the statement is nested too deeply', CHOOSE_SHARD);
  }
}

/** Of a query that is not on one shard, and has an OFFSET in a subquery, what it is where that is 0, too. */
function readQuery(node: SqlNode, terms: ReadTerms): ShardReading {
  const ctx = contextOf('SelectStmt', node, terms);
  const reading = finish(ctx, readSelect(ctx, node, null, null), false);
  if (reading.refusal !== null || reading.spread.kind !== 'refused') return reading;
  const counted = readCounted(node, terms, reading, readQuery);
  const own = counted === null ? reading : { ...reading, spread: counted };
  if (ctx.offsets.size === 0) return own;
  const inner = contextOf('SelectStmt', node, { ...terms, takesOffsetsForZero: true });
  const other = finish(inner, readSelect(inner, node, null, null), false);
  if (other.refusal !== null || other.spread.kind === 'refused') return own;
  return { ...own, ifZero: { parameters: [...ctx.offsets], spread: other.spread } };
}

function contextOf(kind: string, node: SqlNode, terms: ReadTerms): ShardContext {
  const ctx = new ShardContext(terms);
  ctx.countParameters({ [kind]: node });
  return ctx;
}

function readStatement(kind: string, node: SqlNode, terms: ReadTerms): ShardReading {
  if (SESSION_KINDS.has(kind)) {
    const reading = placed('any');
    const cursor = readCursorUse(kind, node);
    // How many rows a FETCH asks for is a literal.
    if (cursor !== null)
      return { ...reading, cursor, ...(cursor.kind === 'close' ? {} : { needsText: true }) };
    return changesTransaction(kind, node) ? { ...reading, changesTransaction: true } : reading;
  }
  if (FIRST_KINDS.has(kind)) return placed('first');
  const temp = createTempEffect(kind, node);
  if (temp !== null) return refused('temporary objects are of one shard only', CHOOSE_SHARD);
  const ctx = contextOf(kind, node, terms);
  if (kind === 'SelectStmt') return finish(ctx, readSelect(ctx, node, null, null), false);
  if (WRITES.has(kind)) {
    if (kind === 'UpdateStmt') ctx.topUpdate = node;
    const reading = readMove(ctx, node, finish(ctx, readWrite(ctx, kind, node, null, null), true));
    if (ctx.isOneRow) return { ...reading, isOneRow: true, givesOneRow: true };
    return kind === 'InsertStmt' && insertsOneRow(node) ? { ...reading, givesOneRow: true } : reading;
  }
  switch (kind) {
    case 'PrepareStmt':
      return readPrepare(node, terms);
    case 'ExplainStmt':
      return readExplain(node, terms);
    case 'DeclareCursorStmt':
      return readDeclare(node, terms);
    case 'CopyStmt':
      return readCopy(ctx, node, finish);
    case 'CreateTableAsStmt':
      return refused('CREATE TABLE AS takes its rows from one shard', CHOOSE_SHARD);
    case 'ExecuteStmt':
      return readExecute(node);
    case 'DoStmt':
      return isDefiningBlock(node, terms.parser, (inner, fields) => isAlike(inner, fields, terms))
        ? placed('every')
        : refused('DO runs code that cannot be seen', DO_DEFINITIONS);
    case 'CallStmt':
      return refused('CALL runs code that cannot be seen', CHOOSE_SHARD);
    default:
      readDefinition(ctx, kind, node);
      if (ctx.refusal === null && ctx.ownShards.size === 0) {
        return kind === 'LockStmt' ? { ...placed('every'), needsBlock: true } : placed('every');
      }
      return finish(ctx, NO_SHOWN, true);
  }
}

const DO_DEFINITIONS = `write definitions alone in it, with EXCEPTION WHEN duplicate_object THEN NULL or IF NOT EXISTS; or ${CHOOSE_SHARD}`;

function isAlike(kind: string, node: SqlNode, terms: ReadTerms): boolean {
  const { refusal, spread, home, unknown, needsBlock } = readStatement(kind, node, {
    ...terms,
    literals: null,
  });
  return (
    refusal === null &&
    spread?.kind === 'every' &&
    home === 'every' &&
    unknown.length === 0 &&
    needsBlock !== true
  );
}

/** Shards that come to the transaction later would not know of it. */
function changesTransaction(kind: string, node: SqlNode): boolean {
  if (kind !== 'VariableSetStmt') return kind === 'ConstraintsSetStmt';
  const name = textOf(node, 'name');
  const setKind = textOf(node, 'kind');
  const isMulti = setKind === 'VAR_SET_MULTI';
  // Those that join later are told as well.
  if (setKind === 'VAR_SET_VALUE' && node.is_local === true && isForAllShards(name.toLowerCase()))
    return false;
  return (
    node.is_local === true ||
    (isMulti && name !== 'SESSION CHARACTERISTICS') ||
    TRANSACTION_PARAMETERS.has(name)
  );
}

/** The statement in PREPARE, EXPLAIN, DECLARE. */
function readInner(node: SqlNode, terms: ReadTerms): ShardReading {
  const query = nodeOf(node, 'query') ?? {};
  const kind = Object.keys(query)[0] ?? '';
  if (kind === 'ExecuteStmt')
    return refused('EXPLAIN of what PREPARE has made', 'EXPLAIN the statement itself');
  const { move, ...reading } = readStatement(kind, nodeOf(query, kind) ?? {}, terms);
  // Whoever runs it later, or shows its plan, does not look at two keys.
  return move === undefined
    ? reading
    : refused(`${move.column} is set within another statement`, 'send the UPDATE by itself');
}

/** It is read for each EXECUTE, with its values: what is prepared need not be on one shard. */
function readPrepare(node: SqlNode, terms: ReadTerms): ShardReading {
  const { groups, unknown } = readInner(node, { ...terms, hasDeclaredTypes: true });
  const own = groups.find(({ rule }) => rule < 0);
  if (own !== undefined)
    return refused(`PREPARE of what is on one shard alone (${own.column})`, CHOOSE_SHARD);
  return { ...placed('any'), unknown, isPrepare: true };
}

function readExecute(node: SqlNode): ShardReading {
  const executes = readExecuted(node);
  if (executes === null)
    return refused('EXECUTE with what is no literal', 'give literals, or prepare it by the protocol');
  return { ...placed('any'), executes };
}

function readDeclare(node: SqlNode, terms: ReadTerms): ShardReading {
  const inner = readInner(node, terms);
  const refusal = declareRefusal(node);
  const cursor = readDeclared(node);
  return refusal === null || inner.spread.kind === 'refused'
    ? { ...inner, cursor }
    : { ...inner, cursor, spread: refusedSpread(refusal) };
}

/** Without ANALYZE nothing is written, and one shard's plan is as good as another's. */
function readExplain(node: SqlNode, terms: ReadTerms): ShardReading {
  // EXPLAIN DECLARE declares nothing.
  const declared = nodeOf(nodeOf(node, 'query'), 'DeclareCursorStmt');
  const reading = withoutSpread(readInner(declared ?? node, terms), 'EXPLAIN over several shards');
  return reading.home === 'every' && reading.groups.length === 0 && !isAnalyze(node)
    ? { ...reading, home: 'any' }
    : reading;
}

function withoutSpread(reading: ShardReading, reason: string): ShardReading {
  return { ...reading, spread: refusedSpread({ reason, remedy: CHOOSE_SHARD }) };
}

export function placed(home: ShardReading['home']): ShardReading {
  const spread: Spread =
    home === 'first'
      ? refusedSpread({ reason: 'it must run on the first shard', remedy: CHOOSE_SHARD })
      : { kind: 'every' };
  return { groups: [], refusal: null, spread, home, unknown: [] };
}

export function refused(reason: string, remedy: string): ShardReading {
  return {
    groups: [],
    refusal: { reason, remedy },
    spread: refusedSpread({ reason, remedy }),
    home: 'first',
    unknown: [],
  };
}

/** With all read: what the statement as a whole may be. */
export function finish(ctx: ShardContext, shown: Shown, isWrite: boolean): ShardReading {
  const reading = { ...finishRead(ctx, shown, isWrite), ...timeOf(ctx) };
  return ctx.unlessMade === null ? reading : { ...reading, unlessMade: ctx.unlessMade };
}

function timeOf(ctx: ShardContext): Pick<ShardReading, 'time' | 'timeParameters'> {
  const { hasHiddenTime, hasHiddenBound, timeParameters } = ctx;
  const time = ctx.time ?? (hasHiddenTime || hasHiddenBound ? HIDDEN_TIME : null);
  return {
    ...(time === null ? {} : { time }),
    ...(timeParameters.size === 0 ? {} : { timeParameters: [...timeParameters] }),
  };
}

const HIDDEN_TIME = "a time, which may be written as 'now',";

function finishRead(ctx: ShardContext, shown: Shown, isWrite: boolean): ShardReading {
  const resolved = ctx.graph.groups((pin, info) => ctx.isCertain(pin, info));
  const groups = [...resolved.map(toKeyGroup), ...ownGroups(ctx)];
  const refusal = ctx.refusal ?? refusalOfWhole(ctx, groups.length > 0);
  const unknown = [...ctx.unknown];
  if (groups.length === 0) {
    const isFirst = ctx.first !== null || ctx.omniLock !== null;
    const home =
      ctx.omniWrites.length > 0 ? 'every' : isFirst ? 'first' : ctx.asksNumbers ? 'catalog' : 'any';
    const reading = refusal === null ? placed(home) : refused(refusal.reason, refusal.remedy);
    const differs = ctx.refusal === null && refusal !== null && ctx.omniWrites.length > 0 ? DIFFERS : {};
    return { ...reading, unknown, ...textNeed(ctx, groups), ...differs };
  }
  const spread = refusal === null ? spreadOf(ctx, shown, resolved, isWrite) : refusedSpread(refusal);
  return { groups, refusal, spread, home: 'any', unknown, ...textNeed(ctx, groups) };
}

/** The same statement may be refused when its literals are seen, or not any more. */
function textNeed(ctx: ShardContext, groups: readonly KeyGroup[]): Pick<ShardReading, 'needsText'> {
  const isHidden = (ctx.hasHiddenPosition || ctx.hasHiddenTime) && !groups.every(isOnOne);
  const isHiddenWrite = ctx.omniWrites.length > 0 && (ctx.hasHiddenTime || ctx.hasHiddenBound);
  return isHidden || isHiddenWrite ? { needsText: true } : {};
}

/** A key of one value. */
function isOnOne({ pins }: KeyGroup): boolean {
  return pins.some(({ sources }) => sources.length === 1 && !MANY.has(sources[0].kind));
}

const DIFFERS = { differs: true } as const;
const MANY: ReadonlySet<string> = new Set(['literalList', 'literalArray', 'parameterArray']);

/** What one shard has alone is pinned by what it is. */
function ownGroups({ ownShards }: ShardContext): KeyGroup[] {
  return [...ownShards].map(([column, shard]) => {
    return { rule: -1, keyType: '', column, pins: [{ sources: [{ kind: 'shard', shard }] }] };
  });
}

function toKeyGroup({ info, pins }: ResolvedGroup): KeyGroup {
  return { rule: info.rule, keyType: info.keyType, column: info.label, pins };
}

/** What does not go together in one statement. */
function refusalOfWhole(ctx: ShardContext, isSharded: boolean): Refusal | null {
  const { omniWrites, first, omniLock, volatile, unordered } = ctx;
  const refuse = (reason: string, remedy = CHOOSE_SHARD): Refusal => ({ reason, remedy });
  if (isSharded) {
    if (omniWrites.length > 0) {
      return refuse(
        `"${omniWrites[0]}" is on every shard, and is written with rows of a sharded table`,
        'write it by a statement of its own',
      );
    }
    if (first !== null)
      return refuse(
        `${first} is of one shard, and stands beside a sharded table`,
        'call it by a statement of its own',
      );
    if (omniLock !== null)
      return refuse(
        `"${omniLock}" is on every shard, and its rows are locked`,
        'lock rows of sharded tables only (FOR UPDATE OF …)',
      );
    return null;
  }
  if (omniWrites.length === 0) return null;
  if (first !== null)
    return refuse(
      `${first} is of one shard, and "${omniWrites[0]}" is on every shard`,
      'give it as a parameter',
    );
  const different = volatile ?? unordered;
  if (different === null) return null;
  return refuse(
    `${different} may differ from shard to shard, and "${omniWrites[0]}" must not`,
    'give the values as parameters',
  );
}

function spreadOf(
  ctx: ShardContext,
  shown: Shown,
  groups: readonly ResolvedGroup[],
  isWrite: boolean,
): Spread {
  const [first, second] = groups;
  const [own] = ctx.ownShards;
  if (own !== undefined) {
    return refusedSpread({ reason: `${own[0]} is on shard ${own[1]} only`, remedy: CHOOSE_SHARD });
  }
  const mayBeApart = !isWrite && !ctx.hasHiddenTime && ctx.spreadRefusal === null;
  const apart = mayBeApart ? readApart(ctx, shown, groups) : null;
  if (apart !== null) return apart;
  if (second !== undefined) {
    return refusedSpread({
      reason: `${first.info.label} and ${second.info.label} are not joined by their sharding keys`,
      remedy: `compare the two keys, or give ${(first.pins.length === 0 ? first : second).info.label} a value`,
    });
  }
  if (ctx.hasHiddenTime) {
    return refusedSpread({
      reason: "a time may be written as 'now'",
      remedy: 'give the time as a parameter',
    });
  }
  if (ctx.spreadRefusal !== null) return refusedSpread(ctx.spreadRefusal);
  if (!isWrite) return readMergePlan(ctx, shown.top, first);
  if (ctx.shardedWrites.length !== 1)
    return refusedSpread({ reason: 'several tables are written', remedy: CHOOSE_SHARD });
  if (ctx.copy !== null && ctx.clock === null) return { kind: 'copy', layout: ctx.copy };
  if (ctx.isSplitInsert && ctx.clock === null) {
    const { areInsertsSplit } = ctx.terms.sharding;
    if (areInsertsSplit !== false) return { kind: 'split', arrays: ctx.rowArrays };
    return refusedSpread({
      reason: 'rows for several shards in one INSERT',
      remedy: 'insert the rows one by one',
    });
  }
  if (!ctx.isSplitInsert && !shown.splits.some((node) => first.roots.has(node))) {
    return refusedSpread({
      reason: `rows of ${first.info.label} of other shards may be needed`,
      remedy: `give ${first.info.label} a value`,
    });
  }
  if (ctx.clock !== null) {
    return refusedSpread({
      reason: `${ctx.clock} would differ from shard to shard`,
      remedy: 'give the time as a parameter',
    });
  }
  return { kind: 'sum' };
}
