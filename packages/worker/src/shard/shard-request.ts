// ● per-frame path
// This file is over 400 lines because what a request comes to is found in steps that share what has been found so far.
import {
  awaitsKeys,
  beginLookups,
  CATALOG_UNREAD,
  type CopyLayout,
  type CrossShard as CrossShardMode,
  type CursorUse,
  choice,
  chooseShard,
  type ExecuteUse,
  type KeyGroup,
  lookupOutcome,
  type MergePlan,
  NO_SCOPE,
  PgDogError,
  PREPARE_LEVEL,
  READY,
  SHARD_ANY,
  SHARD_EVERY,
  SHARD_SEVERAL,
  type ShardReading,
  type ShardScope,
  type SqlEffect,
  type SqlPlan,
  type StatementPlan,
  StatementValues,
  SYNTAX_ERROR,
  shardsOfApart,
  shardsOfRows,
} from '@pgdog-cluster/core';
import type { CrossShard } from '../scatter/cross-shard.js';
import type { CrossShardRequest } from '../scatter/cross-shard-request.js';
import { rewrittenOf } from '../scatter/rewritten-statement.js';
import { declaredTypes, SplitInsert } from '../scatter/split-insert.js';
import { onlyMarks } from '../scatter/transaction-mark.js';
import { localSettingsAhead } from '../session/local-settings.js';
import { makesTemp } from '../session/parameter-set.js';
import type { Session } from '../session/session.js';
import { CatalogWait } from './catalog-wait.js';
import { copyRequest } from './copy-request.js';
import { executedText, UNFIT } from './executed-text.js';
import { ForeignEncoding } from './foreign-encoding.js';
import { type MovePlaces, newRowMove, readMovePlaces } from './move-places.js';
import { newPreparedText, type PreparedText, planOfText } from './prepared-text.js';
import { SessionScope } from './session-scope.js';
import {
  CURSOR_NOT_ALONE,
  type Cut,
  crossShard,
  cutOf,
  defines,
  directOnly,
  editedBy,
  executedOtherwise,
  filledIn,
  hiddenPath,
  insideProblem,
  isInBlock,
  isOtherText,
  omniOnOne,
  PASS,
  refusalOf,
  setsByCall,
  severalShards,
  spreadOf,
  tellsSession,
  UNCUT,
  UNDIVIDED,
  uncommittedTable,
  uncuttable,
  unexecutable,
  unknownTable,
  unmade,
  unmapped,
  unprepared,
  unreadablePath,
  unreadableText,
  unreadCatalog,
  unsplittable,
} from './several-shards.js';
import { directiveWish, localWish, type ShardWish, shardOfWish, wishOf } from './shard-wish.js';
import type { ShardedDatabase } from './sharded-database.js';
import {
  firstPathChange,
  isAsAtStart,
  isInert,
  isLocal,
  onlyForgets,
  writesOmni,
} from './statement-reach.js';
import {
  clockShard,
  isGivenTime,
  mayTellTime,
  TIMELESS,
  timedReading,
  toldTime,
  unfilledTime,
} from './told-time.js';

const values = new StatementValues();
const queryText = newPreparedText();

/**
 * What one request of a session comes to (a Query, or what is there of a batch): a shard, several, a refusal, or a wait for
 * the catalog. It is begun, then told of each statement; what comes of it stands in its fields until it is begun again.
 */
export class ShardRequest {
  private readonly session: Session;
  private readonly database: ShardedDatabase;
  private readonly cross: CrossShard;
  private readonly meaning: SessionScope;
  /** SHARD_ANY: no statement of it needs a certain one. */
  found = SHARD_ANY;
  problem: PgDogError | null = null;
  /** It is to be read again when the catalog has been. */
  isHeld = false;
  bindCount = 0;
  private statementCount = 0;
  /** Statements in the text of a Query. */
  private textCount = 0;
  /** Some statement may write. */
  isWriting = false;
  /** Some statement is seen on one server only. */
  isPlaced = false;
  /** It asks for numbers of types or tables, which clients know as the first shard has them. */
  isOfCatalog = false;
  /** All that it does can be told to shards that come to its transaction later. */
  isMarking = true;
  /** All that it does is what each of its statements does by itself: it neither tells the session of anything nor controls a transaction. */
  isPlain = true;
  /** A statement of it changes the session, which a transaction over several shards does not allow. */
  private isTelling = false;
  private touched: Set<number> | null = null;
  /** A statement of it changes where names are looked for. */
  private isPathChanging = false;
  /** It is for several shards. */
  request: CrossShardRequest | null = null;
  /** What it does with a cursor. */
  cursor: CursorUse | null = null;
  /** Prepared statement that a Query executes. */
  private executes: string | null = null;
  /** What is being read is run by an EXECUTE, which nobody sees the values of afterwards. */
  private isExecuting = false;
  /** Of the statement that is being read. */
  private text: PreparedText | null = null;
  /** What runs it. */
  private frame = queryText.bytes;
  /** SET LOCAL pgdog.shard in the transaction under way. */
  private localShard = -1;
  /** The transaction under way changes definitions. */
  private isDefining = false;
  /** Its shard has been told how the transaction goes on, which no other shard knows. */
  isShardTold = false;
  private readonly wait = new CatalogWait();
  private readonly encoding = new ForeignEncoding();

  constructor(session: Session, database: ShardedDatabase, cross: CrossShard) {
    this.session = session;
    this.database = database;
    this.cross = cross;
    this.meaning = new SessionScope(session, database);
  }

  /** All of it has been looked at, and waits for nothing. */
  waited(): void {
    this.wait.end();
  }

  /** Why it is refused; null: it is not. */
  get refusal(): PgDogError | null {
    const isOne = this.statementCount < 2 && this.textCount < 2;
    if (this.problem === null || !this.isTelling || isOne) return this.problem;
    return new PgDogError('cross_shard', `${this.problem.message}; among them is what changes the session`, {
      hint: 'Send settings, LISTEN, temporary tables and PREPARE by themselves.',
    });
  }

  /** Its statements, of which each may have a place, have none together. */
  get isApart(): boolean {
    return this.problem !== null && (this.statementCount > 1 || this.textCount > 1) && !this.isTelling;
  }

  /** By the session's search path; NO_SCOPE: nothing is known of the catalog, and what is asked must wait. */
  get scope(): ShardScope {
    return this.meaning.current;
  }

  /** @returns whether it has changed definitions */
  transactionEnded(): boolean {
    const { isDefining } = this;
    this.localShard = -1;
    this.isDefining = false;
    this.isShardTold = false;
    return isDefining;
  }

  begin(): void {
    // What a request said that was refused or cancelled while it waited has not been done.
    if (isAtRest(this.session, this.cross)) this.transactionEnded();
    this.found = this.localShard >= 0 ? this.localShard : SHARD_ANY;
    this.problem = null;
    this.isHeld = false;
    this.bindCount = 0;
    this.statementCount = 0;
    this.textCount = 0;
    this.isTelling = false;
    this.isMarking = true;
    this.isPlain = true;
    this.isOfCatalog = false;
    this.touched = null;
    this.isWriting = false;
    this.isPlaced = false;
    this.isPathChanging = false;
    this.request = null;
    this.cursor = null;
    this.executes = null;
  }

  /** A Query's text. */
  query(plan: SqlPlan, bytes: Uint8Array, start: number, end: number): void {
    this.textCount = plan.statements.length;
    queryText.bytes = bytes;
    queryText.textStart = start;
    queryText.textEnd = end;
    this.text = queryText;
    this.frame = bytes;
    // Its shape has just been read, for its plan.
    values.begin(bytes, start, end, true);
    values.noTypes();
    this.lookForMarks(plan);
    const executes = plan.shards?.executes;
    if (executes !== undefined && !this.isPlaceNamed(plan)) this.execute(executes, plan);
    else this.add(plan);
  }

  /** EXECUTE, alone in its text: whatever matters is what it executes. */
  private execute(executes: ExecuteUse, plan: SqlPlan): void {
    const executed = executedText(this.session, executes);
    if (executed === UNFIT) this.statementCount++;
    else if (executed === null) this.refuse(unexecutable());
    else {
      const { text, values: given } = executed;
      this.text = text;
      values.begin(text.bytes, text.textStart, text.textEnd);
      values.readTypes(text.bytes, text.typesStart, text.typeCount);
      values.readParameters(given, 0, given.length);
      for (const [index, value] of executes.values.entries())
        if (value === undefined) values.markAbsent(index);
      this.isExecuting = true;
      this.add(planOfText(text, this.session.context.plans, this.scope, this.session.clientReading));
      this.isExecuting = false;
      const { request } = this;
      if (request !== null && isOtherText(request)) this.refuse(executedOtherwise(request));
      else if (request !== null) this.request = { ...request, executes: executes.name };
    }
    this.executes = executes.name;
    if (this.problem === null && plan.statements.some(sets)) this.isTelling = true;
  }

  /** The client says itself where it is. */
  private isPlaceNamed(plan: SqlPlan): boolean {
    const { shard, key } = directiveWish(plan) ?? wishOf(this.session.parameters);
    return shard !== null || key !== null || this.localShard >= 0;
  }

  /** A Bind, or what has come of it; bytes[start, end) stands behind the statement's name. */
  bound(plan: SqlPlan, text: PreparedText, bytes: Uint8Array, start: number, end: number): void {
    this.bindCount++;
    this.text = text;
    this.frame = bytes;
    values.begin(text.bytes, text.textStart, text.textEnd);
    values.readTypes(text.bytes, text.typesStart, text.typeCount);
    values.readParameters(bytes, start, end);
    this.lookForMarks(plan);
    this.add(plan);
  }

  /** A batch that binds nothing. */
  prepares(plans: readonly SqlPlan[]): void {
    const cursors = plans.flatMap(({ shards }) => shards?.cursor ?? []);
    this.cursor = cursors.find(({ kind }) => kind !== 'declare') ?? null;
    if (this.cursor !== null && plans.length > 1) this.refuse(crossShard(CURSOR_NOT_ALONE));
  }

  /** Too long to be read. */
  unread(what: string): void {
    this.isMarking = false;
    this.isPlain = false;
    const isInside = this.cross.isInTransaction;
    const where = isInside ? 'its transaction is over several shards' : 'so its shard is not known';
    // What it does nobody knows.
    if (this.session.router?.isReadOnly !== true) this.isWriting = true;
    if (!isInside && this.wished(null)) return;
    this.refuse(new PgDogError('shard_unreadable', `${what}, ${where}`));
  }

  private lookForMarks(plan: SqlPlan): void {
    if (!plan.statements.every(isPlain)) this.isPlain = false;
    const mayBegin = this.session.server === null && this.statementCount === 0;
    if (this.isMarking && !onlyMarks(plan, mayBegin, this.session, values)) this.isMarking = false;
  }

  private add(plan: SqlPlan): void {
    this.statementCount++;
    const why = this.session.router?.choice.whyWrite(plan.route, plan.flags) ?? null;
    // Functions that nobody knows are refused where it matters.
    if (why !== null && why !== CATALOG_UNREAD) this.isWriting = true;
    if (plan.shards?.home === 'first') this.isPlaced = true;
    if (isInert(plan)) this.cursor = null;
    else this.addEffects(plan);
    if (this.isHeld) return;
    if (this.problem !== null) {
      this.touch(plan);
      return;
    }
    if (this.wished(plan)) {
      // Anywhere else a function of unknown effect is refused.
      if (why === CATALOG_UNREAD && this.session.router?.isReadOnly !== true) this.isWriting = true;
      return;
    }
    const isSqlLevel = (plan.flags & PREPARE_LEVEL) !== 0 && !plan.statements.every(onlyForgets);
    const { shards } = plan;
    // While nothing is known of the catalog they wait like all others.
    if (isSqlLevel && shards?.refusal === null && (shards.isPrepare !== true || values.isBound))
      this.refuse(unprepared());
    else if (this.isPathChanging && this.statementCount > 1)
      this.refuse(crossShard('search_path or role is changed ahead of it in the same batch'));
    if (this.problem !== null) return;
    const shard = this.resolve(plan);
    if (shard >= 0) this.join(shard);
    if (this.request !== null && (this.statementCount > 1 || this.found !== SHARD_ANY)) {
      this.note(this.request.shards);
      this.refuse(crossShard(`${this.request.what}, and other statements are sent with it`));
    }
  }

  /** It stands behind others with which it has no place: where it is itself. */
  private touch(plan: SqlPlan): void {
    if (this.statementCount < 2 || plan.shards === undefined || plan.shards.unknown.length > 0) return;
    const { request } = this;
    const shard = this.wished(plan) ? SHARD_ANY : this.resolve(plan);
    if (shard >= 0) this.note([shard]);
    else if (this.request !== request) this.note(this.request?.shards ?? []);
  }

  // exempt: of statements that have no place together
  private note(shards: readonly number[]): void {
    this.touched ??= new Set([...(this.found >= 0 ? [this.found] : []), ...(this.request?.shards ?? [])]);
    for (const shard of shards) this.touched.add(shard);
  }

  /** Of statements that have no place together: where they are, in order, as far as they have been read. */
  get places(): readonly number[] {
    return [...(this.touched ?? [])].sort((a, b) => a - b);
  }

  /** What it does to its session and its transaction, which others depend on. */
  private addEffects(plan: SqlPlan): void {
    if (plan.made !== undefined) this.refuse(unmade(plan.made));
    const { user } = this.session;
    const schemas = this.database.catalog?.schemas ?? [];
    const isKnown = (effect: SqlEffect): boolean => localSettingsAhead(this.session, effect, values) !== null;
    const change = firstPathChange(plan, user, schemas, isAsAtStart(this.session), isKnown);
    if (change >= 0) this.refuseHiddenPath(plan, change);
    const isSet = plan.statements.some(
      (each) => setsByCall(each, this.session, values) || (this.isExecuting && sets(each)),
    );
    const tellsShard = plan.shards?.changesTransaction === true || isSet;
    if (tellsShard) this.isShardTold = true;
    if (tellsShard || plan.statements.some(tellsSession)) this.isTelling = true;
    this.cursor = plan.shards?.cursor ?? null;
    if (this.cross.isInTransaction) {
      this.problem ??= insideProblem(plan, tellsShard, this.cursor !== null, this.statementCount > 1);
    }
    if (plan.statements.some(defines)) this.isDefining = true;
  }

  /** What is behind it in the text, the batch or the transaction would be read with another search path than it runs with. */
  private refuseHiddenPath({ statements }: SqlPlan, index: number): void {
    const isLast = index === statements.length - 1 && this.statementCount === 1;
    const isAlone = isLast && !isLocal(statements[index], values);
    const { router, server } = this.session;
    // One that is there has just been given to the session for this, or is kept by it: what comes next waits for the answer.
    const isAtRest = server === null || (server.isQuiet && server.readyStatus === READY.Idle);
    const isFree = router?.held == null && isAtRest;
    if (isAlone && isFree && !this.isExecuting) this.isPathChanging = true;
    else this.refuse(hiddenPath());
  }

  private join(shard: number): void {
    if (this.found === SHARD_ANY || this.found === shard) this.found = shard;
    else {
      this.note([shard]);
      this.refuse(crossShard(`it is on shard ${shard}, and what came before it on shard ${this.found}`));
    }
  }

  private refuse(problem: PgDogError): void {
    this.problem ??= problem;
  }

  /** What the client says itself of the shard counts more than what can be read. */
  private wished(plan: SqlPlan | null): boolean {
    const wish = (plan === null ? null : directiveWish(plan)) ?? wishOf(this.session.parameters);
    const local = plan === null ? null : localWish(plan);
    if (local !== null) {
      const shard = this.takeWish(local);
      if (shard >= 0) this.localShard = shard;
      if (shard >= 0) this.join(shard);
      return true;
    }
    if (wish.shard === null && wish.key === null) return false;
    const shard = this.takeWish(wish);
    if (shard < 0) return true;
    if (plan?.shards !== undefined && writesOmni(plan)) this.refuse(omniOnOne());
    else this.join(shard);
    return true;
  }

  private takeWish(wish: ShardWish): number {
    beginLookups();
    const shard = shardOfWish(wish, this.database.functions, this.database.shardCount);
    if (typeof shard === 'number') return shard;
    if (awaitsKeys()) this.holdForKeys();
    else this.refuse(shard);
    return -1;
  }

  private resolve(plan: SqlPlan): number {
    const { shards: reading, flags } = plan;
    if (reading === undefined) {
      // What the grammar refuses is refused by any server, in its own words.
      if ((flags & SYNTAX_ERROR) !== 0) return SHARD_ANY;
      if (this.database.catalog !== null && this.meaning.searchPath === null) this.refuse(unreadablePath());
      else if (this.scope === NO_SCOPE) this.hold();
      else this.refuse(unreadableText(this.session));
      return SHARD_ANY;
    }
    if (reading.unknown.length > 0) {
      this.notFound(reading.unknown[0]);
      return SHARD_ANY;
    }
    const refusal = refusalOf(reading, this.session, this.text, this.frame);
    if (refusal !== null) {
      this.refuse(refusal);
      return SHARD_ANY;
    }
    this.encoding.tell(values, this.session.reported);
    const { functions } = this.database;
    const chosen = chooseShard(reading, functions, values);
    const isCatalog = chosen === SHARD_ANY && reading.home === 'catalog' && !isBound(this.session);
    if (isCatalog) this.isOfCatalog = true;
    // The shard whose numbers clients know.
    const shard = isCatalog ? 0 : chosen;
    const places = readMovePlaces(reading, shard, functions, values);
    if (awaitsKeys()) {
      this.holdForKeys();
      return SHARD_ANY;
    }
    if (places !== null) {
      this.moves(reading, places);
      return SHARD_ANY;
    }
    if (reading.needsBlock === true && !isInBlock(this.session)) return SHARD_ANY;
    const clock = clockShard(this.cross);
    if (isGivenTime(reading, values, shard, clock, this.isWriting))
      this.refuse(unfilledTime("a parameter with 'now'"));
    else if (shard === SHARD_SEVERAL || shard === SHARD_EVERY) this.several(reading, shard);
    else if (clock !== null && mayTellTime(reading, values)) return this.timed(reading, shard, clock);
    return shard;
  }

  /** On one shard of a transaction over several, it tells when that began. */
  private timed(reading: ShardReading, shard: number, clock: number): number {
    if (shard === clock || shard === SHARD_ANY) return clock;
    const timed = timedReading(reading, this.text, this.session, this.scope);
    if (timed === TIMELESS) return shard;
    const filled = timed === null ? null : filledIn(this.text, { ...reading, fill: timed.fill }, values);
    if (filled === null) this.refuse(unfilledTime(reading.time ?? ''));
    // exempt: in transactions over several shards
    else this.ask(new Set([shard]), PASS, UNCUT, 'it tells the time of its transaction', filled);
    return SHARD_ANY;
  }

  /** Rows of an UPDATE go to another shard. */
  private moves(reading: ShardReading, places: MovePlaces | PgDogError): void {
    const spread = spreadOf(reading, this.text, this.session, this.scope, values);
    const { database, allowed } = this;
    const moved = newRowMove(reading, spread, places, this.text, {
      database,
      allowed,
      isForeign: values.isForeign,
      encoding: this.session.reported.get('client_encoding'),
    });
    if (moved instanceof PgDogError) this.refuse(moved);
    else this.ask(moved.shards, PASS, UNCUT, 'its rows move', { ...UNDIVIDED, moved });
  }

  private get allowed(): CrossShardMode {
    return this.session.pool?.snapshot.crossShard ?? this.database.sharding.crossShard;
  }

  /** Not on one shard: refused, or asked of several, where that gives what one server would. */
  private several(reading: ShardReading, shard: number): void {
    const told =
      shard === SHARD_EVERY
        ? null
        : toldTime(reading, this.text, this.session, this.scope, clockShard(this.cross));
    if (told instanceof PgDogError) {
      this.refuse(told);
      return;
    }
    const spread = told?.spread ?? spreadOf(reading, this.text, this.session, this.scope, values);
    if (spread.kind === 'merge' && spread.apart !== undefined) {
      choice.shards = shardsOfApart(reading, spread.apart, this.database.functions, values);
      if (awaitsKeys()) {
        this.holdForKeys();
        return;
      }
    }
    const refusal = lookupOutcome.isUnmapped ? unmapped() : severalShards({ ...reading, spread }, shard);
    const filled = told === null ? null : filledIn(this.text, { ...reading, fill: told.fill }, values);
    const isKnown = choice.problem === '' || shard === SHARD_EVERY;
    const isForbidden = this.allowed === 'direct_only';
    if (isForbidden || !isKnown) this.refuse(isForbidden ? directOnly(refusal) : refusal);
    else if (spread.kind === 'copy') this.copy(spread.layout, refusal);
    else if (shard === SHARD_EVERY) this.every(reading, refusal);
    else if (spread.kind === 'sum')
      this.ask(choice.shards, PASS, UNCUT, refusal.message, filled ?? UNDIVIDED);
    else if (spread.kind === 'merge') {
      const cut = cutOf(spread.plan, values, this.cursor !== null);
      if (cut === null) this.refuse(uncuttable(refusal));
      else
        this.ask(choice.shards, spread.plan, cut, refusal.message, {
          ...editedBy(cut, this.text, values),
          ...filled,
        });
    } else if (spread.kind === 'split' && this.database.sharding.areInsertsSplit !== false) {
      this.split(reading.groups[0], spread.arrays, refusal, filled ?? UNDIVIDED);
    } else this.refuse(refusal);
  }

  /** The same on all of them. */
  private every(reading: ShardReading, refusal: PgDogError): void {
    const filled = filledIn(this.text, reading, values);
    if (filled === null) this.refuse(unsplittable(refusal));
    else this.ask(null, null, UNCUT, refusal.message, filled);
    // exempt: in writes to whole copies and definitions
    if (reading.givesOneRow && this.request !== null) this.request = { ...this.request, givesOneRow: true };
  }

  /** Rows of one INSERT for several shards. */
  private split(group: KeyGroup, arrays: number, refusal: PgDogError, parts: typeof UNDIVIDED): void {
    const sequence = shardsOfRows(group, this.database.functions, values);
    const split =
      sequence && this.text && SplitInsert.of(this.text, declaredTypes(this.text), sequence, arrays);
    if (split === null) this.refuse(unsplittable(refusal));
    // exempt: rows of several shards
    else this.ask(new Set(split.shards), PASS, UNCUT, refusal.message, { ...parts, split });
  }

  /** Where the rows of COPY FROM STDIN go is seen when they come: any shard may get some. */
  private copy(layout: CopyLayout, refusal: PgDogError): void {
    const copy = copyRequest(layout, this.database, this.session.reported);
    if (copy instanceof PgDogError) this.refuse(copy);
    else this.ask(null, layout.key === null ? null : PASS, UNCUT, refusal.message, { ...UNDIVIDED, copy });
  }

  /** @param shards null: all */
  ask(
    shards: ReadonlySet<number> | null,
    plan: MergePlan | null,
    cut: Cut,
    what: string,
    parts: typeof UNDIVIDED = UNDIVIDED,
  ): void {
    if (makesTemp(this.session.parameters)) {
      this.refuse(crossShard('new tables are temporary by the search_path, and those are on one shard'));
      return;
    }
    const chosen = [...(shards ?? Array(this.database.shardCount).keys())].sort((a, b) => a - b);
    const executes = this.executes === null ? {} : { executes: this.executes };
    const asked = {
      plan,
      ...parts,
      ...rewrittenOf(plan, this.text),
      ...cut,
      cursor: this.cursor,
      ...executes,
    };
    this.request = { shards: chosen, ...asked, isWrite: this.isWriting, isPlaced: this.isPlaced, what };
  }

  /** A name that the catalog does not have: it may have been made just now. */
  private notFound(name: string): void {
    const isOwn = this.isDefining && isInBlock(this.session);
    if (this.wait.isOver(this.database.readings))
      this.refuse(isOwn ? uncommittedTable(name) : unknownTable(name));
    else this.hold();
  }

  private holdForKeys(): void {
    this.isHeld = true;
    this.database.keys.hold(this.session);
  }

  private hold(): void {
    const { database, session } = this;
    this.wait.begin(database.readings);
    if (database.catalog === null && this.wait.isOver(database.readings)) {
      this.refuse(unreadCatalog(database.readFailure));
      return;
    }
    this.isHeld = true;
    database.hold(session, 'unknown');
  }
}

/** What it has on its server connection is seen there alone, in the catalogs too. */
function isBound({ pins, isSessionMode }: Session): boolean {
  return pins !== 0 || isSessionMode;
}

/** Without a server connection, and with nothing begun: in no transaction, and none is coming from what was asked. */
function isAtRest({ server, router }: Session, { isInTransaction }: CrossShard): boolean {
  return server === null && !isInTransaction && (router?.held ?? null) === null;
}

/** What only the server connection knows that executes it. */
const sets = ({ effect }: StatementPlan): boolean => effect?.type === 'setConfig';

/** A session is asked what DROP has left of what it keeps. */
const isPlain = ({ effect }: StatementPlan): boolean => effect === null || effect.type === 'drop';
