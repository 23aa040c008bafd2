/** Statements that are not on one shard: how they are cut and merged, or why they are refused. */
import {
  CLIENT_UTF8,
  type CountSource,
  choice,
  DIFFERENT_SHARDS,
  localSetting,
  type MadeReading,
  type MergePlan,
  PgDogError,
  READY,
  SHARD_EVERY,
  type ShardReading,
  type ShardScope,
  type Spread,
  type SqlPlan,
  type StatementPlan,
  type StatementValues,
  type TextPlace,
} from '@pgdog-cluster/core';
import { type CrossShardRequest, NO_COUNTS, type TextEdit } from '../scatter/cross-shard-request.js';
import { EditedStatement } from '../scatter/edited-statement.js';
import { FilledStatement } from '../scatter/filled-statement.js';
import { localSettingsAhead } from '../session/local-settings.js';
import type { Session } from '../session/session.js';
import type { PreparedText } from './prepared-text.js';

export type Cut = Pick<CrossShardRequest, 'limit' | 'offset' | 'edits' | 'counts'>;
export const UNCUT: Cut = { limit: Number.POSITIVE_INFINITY, offset: 0, edits: [], counts: NO_COUNTS };

export const UNDIVIDED: Pick<CrossShardRequest, 'split' | 'copy' | 'filled' | 'edited' | 'moved'> = {
  split: null,
  copy: null,
  filled: null,
};

/** With what one shard is asked before all are; null: how many rows there are cannot be read. */
export function filledIn(
  text: PreparedText | null,
  reading: ShardReading,
  from: StatementValues,
): typeof UNDIVIDED | null {
  const { fill } = reading;
  const rowCount = fill?.rowsOf === undefined ? 0 : from.arrayLength(fill.rowsOf - 1);
  return rowCount === null ? null : { ...UNDIVIDED, filled: FilledStatement.of(text, reading, rowCount) };
}

/** A Query is edited as it is sent; what has been prepared becomes another statement. */
export function editedBy(
  { edits }: Cut,
  text: PreparedText | null,
  { isBound }: StatementValues,
): typeof UNDIVIDED {
  if (!isBound || edits.length === 0 || text === null) return UNDIVIDED;
  return { ...UNDIVIDED, edited: new EditedStatement(text, edits) };
}

/** One shard's answer after the other. */
export const PASS: MergePlan = {
  sort: [],
  group: null,
  aggregates: [],
  isDistinct: false,
  limit: null,
  offset: null,
};

/**
 * How LIMIT and OFFSET are applied to what is merged, and what shards are asked instead; null: that cannot be asked, for it
 * would take another value of a parameter that is used elsewhere as well, or another text of a cursor that was prepared.
 */
export function cutOf(plan: MergePlan, from: StatementValues, isOfCursor: boolean): Cut | null {
  const limit = plan.limit === null ? Number.POSITIVE_INFINITY : countOf(plan.limit, from);
  const offset = plan.offset === null ? 0 : countOf(plan.offset, from);
  if (limit < 0 || offset < 0) return null;
  // What shards are asked has been written anew, with as many rows as are needed. OFFSET NULL is none.
  if (plan.rewrite !== undefined)
    return { ...UNCUT, limit, offset: offset === Number.POSITIVE_INFINITY ? 0 : offset };
  if (offset === Number.POSITIVE_INFINITY) return null;
  const isFolded = plan.group !== null || plan.aggregates.some((each) => each !== null);
  // A shard's own first rows are enough, unless groups of several shards become one.
  if (offset === 0 && plan.offset === null && (plan.limit === null || !isFolded))
    return { limit, offset, edits: [], counts: NO_COUNTS };
  const edits: TextEdit[] = [];
  const counts = new Map<number, number | null>();
  for (const [source, count] of [
    [plan.limit, isFolded || limit === Number.POSITIVE_INFINITY ? null : limit + offset],
    [plan.offset, 0],
  ] as const) {
    if (source === null) continue;
    const place = placeOf(source, from);
    if (place !== null) edits.push({ ...place, text: count === null ? 'NULL' : String(count) });
    else if (source.kind === 'parameter' && from.parameterUses(source.number) === 1) {
      counts.set(source.number - 1, count);
    } else return null;
  }
  return isOfCursor && from.isBound && edits.length > 0 ? null : { limit, offset, edits, counts };
}

/** Where in the text it stands; null: it does not, or that is not known. */
function placeOf(source: CountSource, from: StatementValues): TextPlace | null {
  if (source.kind === 'value') return source.place;
  if (source.kind !== 'literal') return null;
  return { start: from.literalOffset(source.index), end: from.literalOffsetEnd(source.index) };
}

/** A shape may leave it to its texts how they are asked of several shards. */
export function spreadOf(
  reading: ShardReading,
  text: PreparedText | null,
  { context, clientReading }: Session,
  scope: ShardScope,
  from: StatementValues,
): Spread {
  const spread = spreadFor(reading, from);
  if (spread.kind !== 'byText' || text === null) return spread;
  const { bytes, textStart, textEnd } = text;
  const { shards } = context.plans.lookupText(bytes, textStart, textEnd, scope, clientReading);
  return shards === undefined ? spread : spreadFor(shards, from);
}

/** By these values: some that leave out nothing are known only now. */
function spreadFor({ spread, ifZero }: ShardReading, from: StatementValues): Spread {
  if (ifZero === undefined) return spread;
  const isNone = ifZero.parameters.every((number) => {
    const count = countOf({ kind: 'parameter', number, type: null }, from);
    return count === 0 || count === Number.POSITIVE_INFINITY;
  });
  return isNone ? ifZero.spread : spread;
}

/** LIMIT as it stands in the text or among the parameters; -1: not to be read. Infinity: NULL, which is none. */
function countOf(source: CountSource, from: StatementValues): number {
  const text =
    source.kind === 'value'
      ? source.value
      : source.kind === 'literal'
        ? unquoted(from.literalText(source.index))
        : from.parameterText(source.number - 1);
  if (text === null) return Number.POSITIVE_INFINITY;
  // Number() reads more than Postgres does: 1e3, 1.0.
  const isDigits = text !== '' && [...text].every((character) => character >= '0' && character <= '9');
  return isDigits && Number.isSafeInteger(Number(text)) ? Number(text) : -1;
}

/** LIMIT '3' */
function unquoted(text: string): string {
  return text.length > 2 && text.startsWith("'") && text.endsWith("'") ? text.slice(1, -1) : text;
}

export function crossShard(text: string): PgDogError {
  return new PgDogError('cross_shard', `the statement is not on one shard: ${text}`);
}

export function severalShards(reading: ShardReading, shard: number): PgDogError {
  if (shard === SHARD_EVERY) {
    return new PgDogError('cross_shard', 'the statement is for all shards', {
      hint: 'Run it on each shard, named by SET pgdog.shard.',
    });
  }
  const { group, problem, shards } = choice;
  const { spread } = reading;
  if (group === null) return crossShard('its keys are on several shards');
  const isApart = problem === DIFFERENT_SHARDS && spread.kind === 'refused';
  if (problem !== '' && !isApart) return crossShard(`${group.column}: ${problem}`);
  const where = isApart
    ? `${group.column}: ${problem}`
    : shards === null
      ? `${group.column} is not compared with a value that leads to one`
      : `values of ${group.column} are on ${shards.size} shards`;
  if (spread.kind !== 'refused') return crossShard(where);
  const text = `the statement is not on one shard: ${where}; across shards: ${spread.reason}`;
  const { remedy } = spread;
  return new PgDogError('cross_shard', text, { hint: `${remedy[0]?.toUpperCase()}${remedy.slice(1)}.` });
}

/** Rows of the key can be nowhere, and a new one belongs nowhere. */
export function unmapped(): PgDogError {
  const { group } = choice;
  return new PgDogError(
    'shard_key_unmapped',
    `lookup_query gives no shard for the value of ${group?.column ?? 'the key'}`,
  );
}

/** An operator has forbidden what takes several shards. */
export function directOnly({ message }: PgDogError): PgDogError {
  return new PgDogError('cross_shard', `${message}; cross_shard = "direct_only" allows no other`);
}

/** set_config(), but for what shards that join the transaction later are told as well. */
export function setsByCall({ effect }: StatementPlan, session: Session, values: StatementValues): boolean {
  return effect?.type === 'setConfig' && localSettingsAhead(session, effect, values) === null;
}

export function isInBlock({ router, server }: Session): boolean {
  if (server !== null && server.readyStatus !== READY.Idle) return true;
  return router?.shards?.cross.isInTransaction === true || (router?.held ?? null) !== null;
}

/** Of the session, beyond its cursors. A session that is on several shards has no temporary tables to be dropped. */
function changesSession({ effect }: StatementPlan): boolean {
  return effect !== null && !BESIDE_SESSION.has(effect.type);
}

/** Locks are the server connection's of the shard where they are taken, which is the same for all. */
const BESIDE_SESSION: ReadonlySet<string> = new Set(
  'closeCursor declareHold drop execute advisoryLock advisoryUnlock advisoryUnlockAll'.split(' '),
);

/** Not what begins, marks or ends a transaction: that is known to whoever has it. */
export function tellsSession(statement: StatementPlan): boolean {
  const isOfTransaction =
    OF_TRANSACTIONS.has(statement.effect?.type ?? '') || localSetting(statement) !== null;
  return changesSession(statement) && !isOfTransaction;
}

const OF_TRANSACTIONS: ReadonlySet<string> = new Set(
  'begin commit rollback savepoint release rollbackTo deallocate'.split(' '),
);

export const CURSOR_NOT_ALONE =
  'cursors of a transaction over several shards are used by statements that are sent alone';

function unholdable(): PgDogError {
  return new PgDogError('cross_shard', 'a cursor WITH HOLD in a transaction over several shards', {
    hint: 'DECLARE it outside of transactions, or leave WITH HOLD out.',
  });
}

/** What cannot be in a transaction over several shards. */
export function insideProblem(
  { shards, statements }: SqlPlan,
  tellsShard: boolean,
  usesCursor: boolean,
  isBehindOthers: boolean,
): PgDogError | null {
  if (statements.some(({ effect }) => effect?.type === 'declareHold')) return unholdable();
  if (statements.some(({ effect }) => effect?.type === 'prepare')) return preparedInside();
  if (tellsShard || statements.some(changesSession)) return unsettable();
  const isAlone = !isBehindOthers && statements.length === 1;
  return (usesCursor || shards?.hasCursors === true) && !isAlone ? crossShard(CURSOR_NOT_ALONE) : null;
}

export function defines(statement: StatementPlan): boolean {
  return statement.defines === true;
}

/** Drivers look a type up where they meet it for the first time; asyncpg sets jit before it does. */
export function catalogElsewhere(shard: number | undefined): PgDogError {
  const text = `types and tables are looked up on shard 0, whose numbers clients know; the transaction is on shard ${shard} and has changed settings, which no other shard knows`;
  return new PgDogError('cross_shard', text, {
    hint: 'Have the driver meet its types outside of transactions first (SELECT NULL::the_type), or SET before BEGIN.',
  });
}

const BY_PROTOCOL = 'Prepare by the protocol, as drivers do, or name the shard by SET pgdog.shard.';

/** Not as a Query of its own. */
export function unprepared(): PgDogError {
  const text = 'PREPARE and EXECUTE do not say by themselves which shard they are for';
  return new PgDogError('cross_shard', text, { hint: BY_PROTOCOL });
}

export function unexecutable(): PgDogError {
  const text = 'the statement that EXECUTE runs cannot be read, so its shard is not known';
  return new PgDogError('cross_shard', text, { hint: BY_PROTOCOL });
}

/** Shards are asked something else than the client's text. */
export function isOtherText({
  split,
  filled,
  rewritten,
  edited,
  moved,
  edits,
  counts,
}: CrossShardRequest): boolean {
  const isOther = rewritten !== undefined || edited !== undefined || moved !== undefined;
  return split !== null || filled !== null || isOther || edits.length > 0 || counts.size > 0;
}

/** Servers are told its name and its values, and nothing else. */
export function executedOtherwise({ what }: CrossShardRequest): PgDogError {
  const text = `${what}; the shards would have to be asked something else than EXECUTE does`;
  return new PgDogError('cross_shard', text, { hint: BY_PROTOCOL });
}

export function preparedInside(): PgDogError {
  const text = 'PREPARE in a transaction over several shards';
  return new PgDogError('cross_shard', text, { hint: `PREPARE before BEGIN. ${BY_PROTOCOL}` });
}

function unsettable(): PgDogError {
  return new PgDogError('cross_shard', 'settings cannot be changed in a transaction over several shards', {
    hint: 'Change them before BEGIN.',
  });
}

/** An INSERT whose rows are not all read. */
export function unsplittable({ message }: PgDogError): PgDogError {
  return new PgDogError('cross_shard', `${message}; its rows cannot be divided among the shards`, {
    hint: 'INSERT them by VALUES, or those of each shard by itself, named by SET pgdog.shard.',
  });
}

export function uncuttable({ message }: PgDogError): PgDogError {
  const text = `${message}; its LIMIT or OFFSET cannot be moved to where rows are merged`;
  return new PgDogError('cross_shard', text, { hint: 'Write the numbers into the text of a simple query.' });
}

export function refusedAs({ reason, remedy }: { reason: string; remedy: string }): PgDogError {
  return new PgDogError('cross_shard', reason, { hint: remedy });
}

/** Why it is not asked of any shard; null: it may be. @param frame the one that runs it */
export function refusalOf(
  { refusal, unlessMade }: ShardReading,
  { requests }: Session,
  text: PreparedText | null,
  frame: Uint8Array,
): PgDogError | null {
  if (refusal !== null) return refusedAs(refusal);
  if (unlessMade === undefined) return null;
  return text !== null && requests?.made?.hasMade(text, frame) === true ? null : refusedAs(unlessMade);
}

/** The path is known to be such that nobody can tell what names mean. */
export function unreadablePath(): PgDogError {
  const text = 'the search_path of this session cannot be read, so its tables are not known';
  return new PgDogError('shard_unreadable', text, { hint: 'Set it by SET search_path TO a, b.' });
}

/** Of a text that cannot be read; in another encoding, for nothing but that perhaps. */
export function unreadableText({ reported, clientReading }: Session): PgDogError {
  if (clientReading === CLIENT_UTF8) return new PgDogError('shard_unreadable');
  const text = `the statement cannot be read in ${reported.get('client_encoding')}, so its shard is not known`;
  return new PgDogError('shard_unreadable', text, {
    hint: 'Set client_encoding to UTF8, give what is not ASCII as parameters, or name the shard by SET pgdog.shard.',
  });
}

/** What should have been filled in before has not been: it was not there whole. */
export function unmade({ refusal }: MadeReading): PgDogError {
  return refusedAs(refusal ?? NOT_WHOLE);
}

const NOT_WHOLE = {
  reason: 'ids are filled into batches only that are there whole',
  remedy: 'send the batch with its Sync; what was prepared before is to be prepared again',
};

export function omniOnOne(): PgDogError {
  return new PgDogError('cross_shard', 'an omnisharded table cannot be written on one shard only', {
    hint: 'Write it without naming a shard.',
  });
}

/** What is behind it would be read with another search path than it runs with. */
export function hiddenPath(): PgDogError {
  const text = 'search_path and role cannot be changed within a transaction or a text of several statements';
  return new PgDogError('cross_shard', text, {
    hint: 'Change them by a statement of its own, outside of transactions, or write names with their schemas.',
  });
}

export function unreadCatalog(failure: string): PgDogError {
  return new PgDogError('shard_catalog_unread', `the tables of the shards are not known: ${failure}`);
}

export function unknownTable(name: string): PgDogError {
  return new PgDogError('shard_unknown_table', `relation "${name}" does not exist on the shards`);
}

/** Definitions of a transaction that is under way are seen by nobody else, the reading of catalogs included. */
export function uncommittedTable(name: string): PgDogError {
  const text = `the relation "${name}" is not known; if this transaction has made it, it is when it has committed`;
  return new PgDogError('cross_shard', text, { hint: 'COMMIT definitions before their tables are used.' });
}
