// ● per-frame path
import {
  BEGINS_TRANSACTION,
  type BindFields,
  decodeName,
  decodeText,
  FRONTEND,
  frameBytesOf,
  joinRoutes,
  NO_SCOPE,
  type ParseFields,
  type PgDogError,
  type RouteFacts,
  readBind,
  readParse,
  readTarget,
  type SqlPlan,
  TARGET,
  TRANSACTION_CONTROL,
} from '@pgdog-cluster/core';
import { UNMADE } from '../made/made-statements.js';
import { planFor } from '../session/client-reading.js';
import type { Session } from '../session/session.js';
import { newPreparedText, type PreparedText, planOfText, preparedText } from '../shard/prepared-text.js';
import { planOfPrepared } from './prepared-route.js';
import type { SessionRouter } from './session-router.js';

const HEADER_BYTES = 5;
const NO_PLANS: readonly SqlPlan[] = [];

/** More may come that decides: not before Sync or Flush does a server answer, so nobody waits for us. */
export const END_OPEN = 0;
/** Sync: the batch is whole. */
export const END_SYNC = 1;
/** Flush: the client wants answers before it goes on, and the batch is not over. */
export const END_FLUSH = 2;
/** Something that has no place in a batch, or too much of it. */
export const END_OTHER = 3;

/**
 * Looks at the frames of an extended batch before a host is chosen for it: up to its Sync it is one transaction, so one
 * write anywhere in it makes all of it a write. One object serves all sessions of a thread, one batch at a time.
 */
export class BatchAhead {
  private session: Session | null = null;
  /** Of the statements that the batch itself prepares; null: of a database that is not sharded. */
  private named: Map<string, PreparedText | null> | null = null;
  private readonly unnamed: PreparedText = newPreparedText();
  /** A Bind of which only the head is there counts, too. */
  private takesPart = false;
  private isPiece = false;
  /** A Parse without a name is among it. */
  hasUnnamedParse = false;
  /** Kept from one batch to the next, which mostly is of one plan again: emptying an array gives its memory away. */
  private readonly kept: SqlPlan[] = [];
  private planCount = 0;
  end = END_OPEN;
  hasBind = false;
  /** Whole frames that have been read, and what must be there for the next one to be whole. */
  private readBytes = 0;
  wantedBytes = 0;
  executeCount = 0;
  describeCount = 0;
  /** A text of it is to be filled in, and nobody does so yet. */
  isMadeDue = false;
  /** It waits for ids that are filled in. */
  isUnmade = false;
  /** Something in it cannot be filled in. */
  problem: PgDogError | null = null;
  /** Of the BEGIN that it begins with, and that is all it says of transactions; '': there is none. */
  beginText = '';
  /** Kinds of frames other than Parse, Bind, Describe, Execute, Sync. */
  hasOther = false;
  /** A statement is closed. */
  private closesStatement = false;
  /** The statements that are described, prepared, bound last; null: none. */
  private described: string | null = null;
  private parsed: string | null = null;
  private bound: string | null = null;
  /** Whole ones that have been read. */
  frameCount = 0;

  /** @param isPiece of a batch that is taken in pieces: one statement ends what is looked at, with what belongs to it */
  begin(session: Session, takesPart = false, isPiece = false): void {
    this.session = session;
    this.takesPart = takesPart;
    this.isPiece = isPiece;
    this.named = null;
    this.hasUnnamedParse = false;
    this.planCount = 0;
    this.end = END_OPEN;
    this.hasBind = false;
    this.readBytes = 0;
    this.wantedBytes = 0;
    this.executeCount = 0;
    this.describeCount = 0;
    this.hasOther = false;
    this.closesStatement = false;
    this.described = null;
    this.parsed = null;
    this.bound = null;
    this.frameCount = 0;
    this.isMadeDue = false;
    this.isUnmade = false;
    this.problem = null;
    this.beginText = '';
    session.requests?.made?.beginLook();
  }

  /** Of what it prepares and what it binds, in order. Valid until the next batch. */
  get plans(): readonly SqlPlan[] {
    return this.planCount === 0 ? NO_PLANS : this.kept;
  }

  /** BEGIN as its first statement, which goes on with others to one shard: other shards may come to the transaction later. */
  private noteBegin(plan: SqlPlan, bytes: Uint8Array, start: number, end: number): void {
    if (this.planCount === 0)
      this.beginText = (plan.flags & BEGINS_TRANSACTION) === 0 ? '' : decodeText(bytes, start, end);
    else if ((plan.flags & TRANSACTION_CONTROL) !== 0) this.beginText = '';
  }

  private note(plan: SqlPlan): void {
    const { kept, planCount } = this;
    if (planCount === 0 && kept.length > 1) kept.length = 1;
    if (planCount < kept.length) kept[planCount] = plan;
    else kept.push(plan);
    this.planCount++;
  }

  /** Of all that was seen, together. */
  flags(): number {
    let flags = 0;
    for (const plan of this.plans) flags |= plan.flags;
    return flags;
  }

  /** Facts of all that was seen. */
  facts(): RouteFacts {
    return this.planCount === 1 ? this.kept[0].route : joinRoutes(this.plans.map(({ route }) => route));
  }

  /**
   * Reads whole frames of bytes[start, end) until the batch ends. Returns where it stopped: at the first frame that is
   * not all there, or behind the one that ended the batch.
   */
  read(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (this.end === END_OPEN && end - at >= HEADER_BYTES) {
      const size = frameBytesOf(bytes, at);
      // What is wrong with it is said when its turn comes.
      if (size < 0) this.end = END_OTHER;
      if (size > end - at && this.takesPart && bytes[at] === FRONTEND.Bind) {
        this.takesPart = false;
        this.bind(bytes, at + HEADER_BYTES, end);
      }
      if (size < 0 || size > end - at) {
        this.wantedBytes = this.readBytes + at - start + Math.max(size, HEADER_BYTES);
        return at;
      }
      if (this.isPiece && bytes[at] === FRONTEND.Parse && this.parsed !== null && this.bound === null) {
        this.end = END_SYNC;
        return at;
      }
      this.frameCount++;
      this.filled(bytes[at], bytes, at, at + size);
      at += size;
    }
    this.readBytes += at - start;
    this.wantedBytes = this.readBytes + HEADER_BYTES;
    return at;
  }

  /** bytes[start, end) is the text of a Query. */
  query(bytes: Uint8Array, start: number, end: number): void {
    const router = this.session?.router ?? null;
    if (this.session !== null && router !== null) {
      const plan = this.session.context.plans.lookup(
        bytes,
        start,
        end,
        router.scope,
        this.session.clientReading,
      );
      this.note(plan);
      router.shards?.asked.query(plan, bytes, start, end);
    }
    this.end = END_SYNC;
  }

  cut(): void {
    this.end = END_OTHER;
  }

  /** As it will be when it is shown. */
  private filled(type: number, bytes: Uint8Array, start: number, end: number): void {
    const made = this.session?.requests?.made?.look(type, bytes, start, end) ?? null;
    const frame = made?.frame ?? null;
    if (made === UNMADE) {
      this.isUnmade = true;
      this.end = END_OTHER;
    } else if (made !== null && made.problem !== null) {
      this.problem = made.problem;
      this.end = END_OTHER;
    } else if (frame === null) this.frame(type, bytes, start, end);
    else this.frame(type, frame, 0, frame.length);
  }

  private frame(type: number, bytes: Uint8Array, start: number, end: number): void {
    switch (type) {
      case FRONTEND.Parse:
        this.parse(bytes, start + HEADER_BYTES, end);
        return;
      case FRONTEND.Bind:
        this.bind(bytes, start + HEADER_BYTES, end);
        return;
      case FRONTEND.Describe:
        this.describeCount++;
        this.describe(bytes, start + HEADER_BYTES, end);
        return;
      case FRONTEND.Execute:
        this.executeCount++;
        if (this.isPiece) this.end = END_SYNC;
        return;
      case FRONTEND.Close:
        this.hasOther = true;
        this.close(bytes, start + HEADER_BYTES, end);
        return;
      case FRONTEND.Sync:
        this.end = END_SYNC;
        return;
      case FRONTEND.Flush:
        this.end = END_FLUSH;
        return;
      default:
        this.end = END_OTHER;
    }
  }

  private describe(bytes: Uint8Array, start: number, end: number): void {
    const fields = readTarget(bytes, start, end);
    if (fields?.target !== TARGET.Statement) return;
    // exempt: of a statement, once when it is prepared
    this.described = decodeName(bytes, fields.nameStart, fields.nameEnd);
    if (this.isPiece && this.bound === null && this.described !== this.parsed) this.end = END_SYNC;
  }

  private close(bytes: Uint8Array, start: number, end: number): void {
    if (readTarget(bytes, start, end)?.target !== TARGET.Statement) return;
    this.closesStatement = true;
    if (this.isPiece && this.bound === null) this.end = END_SYNC;
  }

  /** It executes one statement, once, and names no other. */
  get isOne(): boolean {
    const isAlone = this.planCount === 1 && this.executeCount === 1 && this.hasBind && this.end === END_SYNC;
    return isAlone && !this.closesStatement && (this.described === null || this.described === this.bound);
  }

  private parse(bytes: Uint8Array, start: number, end: number): void {
    const fields = readParse(bytes, start, end);
    const { session } = this;
    if (fields === null || session === null) {
      this.end = END_OTHER;
      return;
    }
    const { router } = session;
    const scope = router === null ? NO_SCOPE : router.scope;
    const { nameStart, nameEnd } = fields;
    const isUnnamed = nameStart === nameEnd;
    // exempt: a client prepares a name once
    this.parsed = isUnnamed ? '' : decodeName(bytes, nameStart, nameEnd);
    // While nothing is known of the catalog, too: what is bound must then wait.
    const isSharded = router !== null && router.shards !== null;
    // exempt: a client prepares a name once
    const text = !isSharded ? null : isUnnamed ? this.unnamed : newPreparedText();
    if (text !== null) noteText(text, bytes, fields);
    const plan =
      text === null
        ? planFor(session, bytes, fields.textStart, fields.textEnd)
        : planOfText(text, session.context.plans, scope, session.clientReading);
    this.noteBegin(plan, bytes, fields.textStart, fields.textEnd);
    this.note(plan);
    if (plan.made !== undefined) this.isMadeDue = true;
    if (isUnnamed) this.hasUnnamedParse = true;
    else {
      // exempt: a client prepares a name once
      this.named ??= new Map();
      this.named.set(this.parsed, text);
    }
  }

  private bind(bytes: Uint8Array, start: number, end: number): void {
    this.hasBind = true;
    const fields = readBind(bytes, start, end);
    const { session } = this;
    if (fields === null || session === null) {
      this.end = END_OTHER;
      return;
    }
    if (session.router?.shards != null) {
      this.bindOnShard(session, session.router, bytes, fields, end);
      return;
    }
    const { statementStart, statementEnd } = fields;
    const { plans } = session.context;
    if (statementStart === statementEnd) {
      this.bound = '';
      const kept = this.hasUnnamedParse ? null : session.requests?.extended.unnamed.wholePlan(plans);
      if (kept !== undefined && kept !== null) this.note(kept);
      return;
    }
    const name = decodeName(bytes, statementStart, statementEnd);
    this.bound = name;
    if (this.named?.has(name) === true) return;
    const statement = session.statements.get(name);
    // Unknown: a server is asked, and says so.
    if (statement !== undefined) this.note(planOfPrepared(statement, plans));
  }

  private bindOnShard(
    session: Session,
    { shards, scope }: SessionRouter,
    bytes: Uint8Array,
    fields: BindFields,
    end: number,
  ): void {
    const { statementStart, statementEnd } = fields;
    const name = statementStart === statementEnd ? '' : decodeName(bytes, statementStart, statementEnd);
    this.bound = name;
    const own = name === '' ? (this.hasUnnamedParse ? this.unnamed : null) : (this.named?.get(name) ?? null);
    const text = own ?? preparedText(session, bytes, fields);
    // Unknown: a server is asked, and says so.
    if (text === null) return;
    const plan = planOfText(text, session.context.plans, scope, session.clientReading);
    if (own === null) {
      this.noteBegin(plan, text.bytes, text.textStart, text.textEnd);
      this.note(plan);
    }
    shards?.asked.bound(plan, text, bytes, statementEnd + 1, end);
  }

  /** What it prepares by name, if anything, has names that are free. */
  get mayName(): boolean {
    const statements = this.session?.statements;
    if (this.named === null || statements === undefined) return this.named === null;
    const isFree = (name: string): boolean =>
      statements.get(name) === undefined && statements.underWay?.hasExecuted(name) !== true;
    return [...this.named.keys()].every(isFree) && statements.refusal() === null;
  }
}

function noteText(text: PreparedText, bytes: Uint8Array, fields: ParseFields): void {
  text.bytes = bytes;
  text.textStart = fields.textStart;
  text.textEnd = fields.textEnd;
  text.typesStart = fields.typesStart;
  text.typeCount = fields.typeCount;
  text.plan = null;
}
