// ● per-frame path
import {
  type BindFields,
  choice,
  chooseShard,
  FRONTEND,
  type KeyGroup,
  type MergePlan,
  NO_SCOPE,
  PgDogError,
  READY,
  readBind,
  SHARD_ANY,
  SHARD_EVERY,
  SHARD_SEVERAL,
  type ShardReading,
  type ShardScope,
  type SqlPlan,
  type StatementPlan,
  StatementValues,
  SYNTAX_ERROR,
  shardsOfRows,
} from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { Cluster } from '../route/cluster.js';
import { roleSettingsOf } from '../route/role-setting.js';
import { WriteTrace } from '../route/write-trace.js';
import { CrossShard, type CrossShardRequest } from '../scatter/cross-shard.js';
import { declaredTypes, SplitInsert } from '../scatter/split-insert.js';
import type { Session } from '../session/session.js';
import { newPreparedText, type PreparedText, planOfText, preparedText } from './prepared-text.js';
import { searchPathOf } from './search-path.js';
import { type Cut, crossShard, cutOf, PASS, severalShards, UNCUT } from './several-shards.js';
import { directiveWish, localWish, type ShardWish, shardOfWish, wishOf } from './shard-wish.js';
import type { ShardedDatabase } from './sharded-database.js';

const HEADER_BYTES = 5;
/** A reading of the catalog that was under way when it was asked for may miss what is looked for; the next one does not. */
const READINGS_MAX = 2;

/** The frame must wait, and will be shown again. */
export const HOLD = 'hold';
/** Nothing against it. */
export const GO_ON = null;
/** `request` is for several shards. */
export const SCATTER = 'scatter';
/** The transaction is over several shards from now on: the frame is to be shown again, to them. */
export const SPREAD = 'spread';
export type ShardOutcome = PgDogError | typeof HOLD | typeof SCATTER | typeof SPREAD | typeof GO_ON;

const values = new StatementValues();
/** Of a Query. */
const queryText = newPreparedText();

/**
 * Finds the shard of what a session of a sharded database asks next, before a host of it is chosen, and sees to it that what
 * is asked of a server connection belongs to that shard.
 */
export class ShardDesk {
  readonly session: Session;
  readonly database: ShardedDatabase;
  private readonly clusters: readonly Cluster[];
  /** Asks several shards. */
  readonly cross: CrossShard;
  private readonly traces: WriteTrace[] = [];
  /** Where the session is, or was last. */
  shard: number;
  /** Where it asks what any shard can answer. */
  private readonly home: number;
  /** Whom the last statement was asked of. */
  lastShards: readonly number[] = [];
  /** SET LOCAL pgdog.shard, or SET TRANSACTION of it, in the transaction under way. */
  private localShard = -1;
  // Of the request that is being read.
  private found = SHARD_ANY;
  private problem: PgDogError | null = null;
  private isHeld = false;
  private bindCount = 0;
  private statementCount = 0;
  /** Of the statement that is being read. */
  private text: PreparedText | null = null;
  /** Some statement of the request may write. */
  private isWriting = false;
  /** What has been asked in the transaction under way may have written. */
  private hasWritten = false;
  /** Of the request, when it is for several shards. */
  request: CrossShardRequest | null = null;
  /** Binds to come that have been looked at already. */
  private checkedBinds = 0;
  /** Readings of the catalog when this session first waited for one; -1: it does not. */
  private waitsSinceReading = -1;
  /** The transaction changes definitions. */
  private isDefining = false;
  private reportedSeen: ReadonlyMap<string, string> | null = null;
  private isForeign = false;

  constructor(session: Session, database: ShardedDatabase, clusters: readonly Cluster[]) {
    this.session = session;
    this.database = database;
    this.clusters = clusters;
    this.cross = new CrossShard(session, database, clusters);
    this.home = session.id % clusters.length;
    this.shard = this.home;
  }

  get count(): number {
    return this.clusters.length;
  }

  get cluster(): Cluster {
    return this.clusters[this.shard];
  }

  /** What the session has written on the shard where it is: positions in the log are each server's own. */
  get trace(): WriteTrace {
    // exempt: one per session and shard
    this.traces[this.shard] ??= new WriteTrace(this.session);
    return this.traces[this.shard];
  }

  /** By the session's search path; NO_SCOPE: nothing is known of the catalog, and what is asked must wait. */
  get scope(): ShardScope {
    const { catalog } = this.database;
    if (catalog === null || this.database.isStale) return NO_SCOPE;
    const { parameters, user, context } = this.session;
    const path = searchPathOf(parameters, user, catalog, context.parser);
    return path === null ? NO_SCOPE : this.database.scopeFor(path);
  }

  private get isPathUnreadable(): boolean {
    const { catalog } = this.database;
    const { parameters, user, context } = this.session;
    return catalog !== null && searchPathOf(parameters, user, catalog, context.parser) === null;
  }

  /** A statement begins on this shard alone. */
  ran(shard: number): void {
    // exempt: when it is another one than before
    if (this.lastShards.length !== 1 || this.lastShards[0] !== shard) this.lastShards = [shard];
  }

  // Reading a request.

  begin(): void {
    this.found = this.localShard >= 0 ? this.localShard : SHARD_ANY;
    this.problem = null;
    this.isHeld = false;
    this.bindCount = 0;
    this.statementCount = 0;
    this.isWriting = false;
    this.request = null;
  }

  /** A Query's text. */
  query(plan: SqlPlan, bytes: Uint8Array, start: number, end: number): void {
    queryText.bytes = bytes;
    queryText.textStart = start;
    queryText.textEnd = end;
    this.text = queryText;
    values.begin(bytes, start, end);
    values.noTypes();
    this.add(plan);
  }

  /** A Bind, or what has come of it; bytes[start, end) stands behind the statement's name. */
  bound(plan: SqlPlan, text: PreparedText, bytes: Uint8Array, start: number, end: number): void {
    this.bindCount++;
    this.text = text;
    values.begin(text.bytes, text.textStart, text.textEnd);
    values.readTypes(text.bytes, text.typesStart, text.typeCount);
    values.readParameters(bytes, start, end);
    this.add(plan);
  }

  /** Too long to be read. */
  unread(what: string): void {
    if (this.wished(null)) return;
    this.refuse(new PgDogError('shard_unreadable', `${what}, so its shard is not known`));
  }

  private add(plan: SqlPlan): void {
    this.statementCount++;
    if (this.session.router?.whyWrite(plan.route, plan.flags) != null) this.isWriting = true;
    if (this.cross.isInTransaction && plan.statements.some(({ effect }) => effect !== null)) {
      this.refuse(
        new PgDogError('cross_shard', 'settings cannot be changed in a transaction over several shards', {
          hint: 'Change them before BEGIN.',
        }),
      );
    }
    if (plan.statements.some(defines)) this.isDefining = true;
    if (this.problem !== null || this.isHeld) return;
    if (this.wished(plan)) return;
    const shard = this.resolve(plan);
    if (shard >= 0) this.join(shard);
    if (this.request !== null && (this.statementCount > 1 || this.found !== SHARD_ANY)) {
      this.refuse(crossShard(`${this.request.what}, and other statements are sent with it`));
    }
  }

  private join(shard: number): void {
    if (this.found === SHARD_ANY || this.found === shard) this.found = shard;
    else this.refuse(crossShard(`it is on shard ${shard}, and what came before it on shard ${this.found}`));
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
      if (shard < 0) return true;
      this.localShard = shard;
      this.join(shard);
      return true;
    }
    if (wish.shard === null && wish.key === null) return false;
    const shard = this.takeWish(wish);
    if (shard < 0) return true;
    if (plan?.shards !== undefined && writesOmni(plan)) {
      this.refuse(
        new PgDogError('cross_shard', 'an omnisharded table cannot be written on one shard only', {
          hint: 'Write it without naming a shard.',
        }),
      );
    } else this.join(shard);
    return true;
  }

  private takeWish(wish: ShardWish): number {
    const shard = shardOfWish(wish, this.database.functions, this.count);
    if (typeof shard === 'number') return shard;
    this.refuse(shard);
    return -1;
  }

  private resolve(plan: SqlPlan): number {
    const { shards: reading, flags } = plan;
    if (reading === undefined) {
      // What the grammar refuses is refused by any server, in its own words.
      if ((flags & SYNTAX_ERROR) !== 0) return SHARD_ANY;
      if (this.isPathUnreadable) {
        const text = 'the search_path of this session cannot be read, so its tables are not known';
        this.refuse(new PgDogError('shard_unreadable', text, { hint: 'Set it by SET search_path TO a, b.' }));
      } else if (this.scope === NO_SCOPE) this.hold();
      else this.refuse(new PgDogError('shard_unreadable'));
      return SHARD_ANY;
    }
    if (reading.unknown.length > 0) {
      this.notFound(reading.unknown[0]);
      return SHARD_ANY;
    }
    this.waitsSinceReading = -1;
    if (reading.refusal !== null) {
      const { reason, remedy } = reading.refusal;
      this.refuse(new PgDogError('cross_shard', reason, { hint: remedy }));
      return SHARD_ANY;
    }
    const { reported } = this.session;
    if (reported !== this.reportedSeen) {
      this.reportedSeen = reported;
      this.isForeign = reported.get('client_encoding') !== reported.get('server_encoding');
    }
    values.isForeign = this.isForeign;
    const shard = chooseShard(reading, this.database.functions, values);
    if (shard === SHARD_SEVERAL || shard === SHARD_EVERY) this.several(reading, shard);
    return shard;
  }

  /** Not on one shard: refused, or asked of several, where that gives what one server would. */
  private several(reading: ShardReading, shard: number): void {
    const refusal = severalShards(reading, shard);
    const { crossShard } = this.session.pool?.snapshot ?? {};
    const allowed = crossShard ?? this.database.sharding.crossShard;
    const { spread } = reading;
    const isKnown = choice.problem === '' || shard === SHARD_EVERY;
    if (allowed === 'direct_only' || !isKnown) this.refuse(refusal);
    else if (shard === SHARD_EVERY) this.ask(null, null, UNCUT, refusal.message);
    else if (spread.kind === 'sum') this.ask(choice.shards, PASS, UNCUT, refusal.message);
    else if (spread.kind === 'merge') {
      const cut = cutOf(spread.plan, values);
      if (cut !== null) this.ask(choice.shards, spread.plan, cut, refusal.message);
      else {
        const text = `${refusal.message}; its LIMIT or OFFSET cannot be moved to where rows are merged`;
        const hint = 'Write the numbers into the text of a simple query.';
        this.refuse(new PgDogError('cross_shard', text, { hint }));
      }
    } else if (spread.kind === 'split' && this.database.sharding.areInsertsSplit !== false) {
      this.split(reading.groups[0], refusal);
    } else this.refuse(refusal);
  }

  /** Rows of one INSERT for several shards. */
  private split(group: KeyGroup, refusal: PgDogError): void {
    const { text } = this;
    const sequence = shardsOfRows(group, this.database.functions, values);
    const split =
      sequence === null || text === null ? null : SplitInsert.of(text, declaredTypes(text), sequence);
    if (split === null) this.refuse(refusal);
    else this.ask(new Set(split.shards), PASS, UNCUT, refusal.message, split);
  }

  /** @param shards null: all */
  private ask(
    shards: ReadonlySet<number> | null,
    plan: MergePlan | null,
    cut: Cut,
    what: string,
    split: SplitInsert | null = null,
  ): void {
    const all = Array.from({ length: this.count }, (_, index) => index);
    const chosen = shards === null ? all : [...shards].sort((a, b) => a - b);
    this.request = { shards: chosen, plan, split, ...cut, isWrite: this.isWriting, what };
  }

  /** A name that the catalog does not have: it may have been made just now. */
  private notFound(name: string): void {
    const { database } = this;
    if (this.waitsSinceReading < 0) this.waitsSinceReading = database.readings;
    if (database.readings - this.waitsSinceReading < READINGS_MAX) this.hold();
    else {
      this.waitsSinceReading = -1;
      this.refuse(new PgDogError('shard_unknown_table', `relation "${name}" does not exist on the shards`));
    }
  }

  private hold(): void {
    const { database, session } = this;
    if (this.waitsSinceReading < 0) this.waitsSinceReading = database.readings;
    if (database.catalog === null && database.readings - this.waitsSinceReading >= READINGS_MAX) {
      this.waitsSinceReading = -1;
      const text = `the tables of the shards are not known: ${database.readFailure}`;
      this.refuse(new PgDogError('shard_catalog_unread', text));
      return;
    }
    this.isHeld = true;
    database.hold(session, 'unknown');
  }

  // What comes of it.

  /** The session has no server connection: where it gets one. */
  settle(): ShardOutcome {
    if (this.isHeld) return HOLD;
    if (this.problem !== null) return this.problem;
    if (this.cross.isInTransaction) {
      const shard = this.found === SHARD_ANY ? (this.cross.memberShard ?? this.home) : this.found;
      if (this.request === null) this.ask(new Set([shard]), PASS, UNCUT, '');
      return SCATTER;
    }
    if (this.request !== null) {
      const held = this.session.router?.held ?? null;
      if (held?.isSerializable === true || this.isSerializable) return unserializable();
      if (held !== null) this.cross.begin(held);
      return SCATTER;
    }
    this.hasWritten = this.isWriting;
    this.shard = this.found === SHARD_ANY ? this.home : this.found;
    this.checkedBinds = this.bindCount;
    return GO_ON;
  }

  /** What comes behind what is under way on `server` may follow it there. */
  mayFollow(server: ServerConnection): boolean {
    const { shard } = server.pool.snapshot;
    const isOnOne = !this.isHeld && this.problem === null && this.request === null;
    const may = isOnOne && (this.found === SHARD_ANY || this.found === shard);
    if (may) {
      this.checkedBinds += this.bindCount;
      if (this.isWriting) this.hasWritten = true;
    }
    return may;
  }

  /** A frame for the server connection that the session has. */
  atServer(
    server: ServerConnection,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    frameBytes: number,
  ): ShardOutcome {
    const isWhole = end - start === frameBytes;
    // Postgres refuses whatever comes now.
    if (server.readyStatus === READY.Failed) return GO_ON;
    switch (type) {
      case FRONTEND.Sync:
        this.checkedBinds = 0;
        return GO_ON;
      case FRONTEND.Query: {
        this.begin();
        if (!isWhole) this.unread('the statement is too long to be read');
        else {
          const { plans } = this.session.context;
          const plan = plans.lookup(bytes, start + HEADER_BYTES, end - 1, this.scope);
          this.query(plan, bytes, start + HEADER_BYTES, end - 1);
        }
        break;
      }
      case FRONTEND.Bind: {
        if (this.checkedBinds > 0) {
          this.checkedBinds--;
          return GO_ON;
        }
        this.begin();
        const fields = readBind(bytes, start + HEADER_BYTES, end);
        if (fields !== null) this.bindAtServer(fields, bytes, end);
        break;
      }
      case FRONTEND.FunctionCall:
        this.begin();
        this.unread('a function called by its number cannot be read');
        break;
      default:
        return GO_ON;
    }
    return this.settleAt(server);
  }

  private bindAtServer(fields: BindFields, bytes: Uint8Array, end: number): void {
    const { statementEnd } = fields;
    const text = preparedText(this.session, bytes, fields);
    // Unknown: the server says so.
    if (text === null) return;
    this.bound(planOfText(text, this.session.context.plans, this.scope), text, bytes, statementEnd + 1, end);
  }

  /** A batch that is all there, for the server connection that the session has. */
  settleBatchAt(server: ServerConnection): ShardOutcome {
    const outcome = this.settleAt(server);
    if (outcome === GO_ON) this.checkedBinds = this.bindCount;
    return outcome;
  }

  private settleAt(server: ServerConnection): ShardOutcome {
    if (this.isHeld) return HOLD;
    if (this.problem !== null) return this.problem;
    const { shard } = server.pool.snapshot;
    if (this.request === null && (this.found === SHARD_ANY || this.found === shard)) {
      if (this.isWriting) this.hasWritten = true;
      return GO_ON;
    }
    const isOpen = server.readyStatus !== READY.Idle || server.isBatchOpen;
    const where = isOpen ? 'the transaction' : "the session's server connection";
    const on = this.request === null ? `it is on shard ${this.found}` : this.request.what;
    const refusal = crossShard(`${on}, and ${where} is on shard ${shard}`);
    // What keeps a server connection, or has been sent in part, stays where it is.
    if (server.readyStatus !== READY.InTransaction || !server.isQuiet || this.session.pins !== 0)
      return refusal;
    const begin = this.session.router?.begunWith ?? null;
    if (begin === null) return refusal;
    if (begin.isSerializable || this.isSerializable) return unserializable();
    return this.cross.spreadOut(begin.text, this.hasWritten) ?? SPREAD;
  }

  /** By default, as the session has it. */
  private get isSerializable(): boolean {
    return roleSettingsOf(this.session.parameters).isSerializable;
  }

  /** The transaction has ended. */
  ended(): void {
    this.localShard = -1;
    this.checkedBinds = 0;
    this.hasWritten = false;
    if (!this.isDefining) return;
    this.isDefining = false;
    this.database.wasDefined();
  }

  /** For the catalog to be read. */
  get isWaiting(): boolean {
    return this.database.holds(this.session);
  }

  /** It waits no more: cancelled. */
  forget(): void {
    this.database.forget(this.session);
  }

  /** The session has gone. */
  end(): void {
    this.forget();
    this.cross.close();
  }
}

function defines(statement: StatementPlan): boolean {
  return statement.defines === true;
}

/** Rows of omnisharded tables, not their definitions: those an operator may bring to one shard after the other. */
function writesOmni({ shards, statements, route }: SqlPlan): boolean {
  const isForAll = shards?.groups.length === 0 && shards.home === 'every' && route.access === 'write';
  return isForAll && statements.every(({ defines }) => defines !== true);
}

/** Each shard knows of its own conflicts only. */
function unserializable(): PgDogError {
  return new PgDogError('cross_shard', 'a serializable transaction cannot be over several shards', {
    hint: 'Use REPEATABLE READ or READ COMMITTED, or stay on one shard.',
  });
}
