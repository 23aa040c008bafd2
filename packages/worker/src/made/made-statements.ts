import { randomUUID } from 'node:crypto';
import {
  decodeName,
  FRONTEND,
  type MadeKind,
  type MadeReading,
  NO_SCOPE,
  type ParseFields,
  PgDogError,
  readBind,
  readParse,
  readTarget,
  type ShardScope,
  type SqlPlan,
  TARGET,
} from '@pgdog-cluster/core';
import type { RequestSink } from '../session/requests.js';
import type { Session } from '../session/session.js';
import type { PreparedText } from '../shard/prepared-text.js';
import { BLOCKED, CONSUMED, NEED_WHOLE } from '../wire/frame-stream.js';
import { WAIT } from './claimed-ids.js';
import { madeBind, madeParse, madeQuery } from './made-frames.js';
import { nextId } from './next-id.js';

const HEADER_BYTES = 5;
/** Names that the session may not have any more are looked through beyond this many. */
const NAMES_KEPT_MAX = 64;

/** A statement of the client's with parameters of ours behind its own. */
export interface MadeStatement {
  readonly kinds: readonly MadeKind[];
  /** Parameters that the client knows of. */
  readonly shownCount: number;
  /** With parameters of ours in it. */
  readonly text: Uint8Array;
}

/** What becomes of one frame. */
interface MadeFrame {
  /** What goes on in its place; null: itself. */
  readonly frame: Uint8Array | null;
  readonly problem: PgDogError | null;
  /** The statement that it names has parameters of ours. */
  readonly statement: MadeStatement | null;
}

const ITSELF: MadeFrame = { frame: null, problem: null, statement: null };
/** There are no ids yet: the session is resumed when there are. */
export const UNMADE: MadeFrame = { ...ITSELF };

/** bytes[start, end) is a frame as the client has sent it. */
interface SentFrame {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * Fills in what the proxy makes, ahead of everything that reads a client's frames: a Query gets literals, a prepared statement
 * parameters of ours, whose values are new with every Bind. Where rows belong is then read from text and values as ever.
 * Made for a session when it first needs it; others do without.
 *
 * A batch may be looked at before its frames are shown. Each frame is filled in once, in order, and what it has become waits in
 * `queue` until it is shown.
 */
export class MadeStatements {
  private readonly session: Session;
  private readonly byName = new Map<string, MadeStatement>();
  /** Names that are being given up. */
  private readonly closing = new Set<string>();
  /** What names were before they were given up: a server skips a Close behind an error. */
  private readonly former = new Map<string, MadeStatement>();
  /** Names that the batch under way prepares or closes. */
  private readonly touched = new Set<string>();
  /** Values for a frame that waits for more: thrown away, one of many would never have them all. */
  private readonly ready: string[] = [];
  /** Of the frames of a batch that name a statement, from the next one to be shown on. */
  private queue: MadeFrame[] = [];
  private lookedAt = 0;
  private queueScopeId = 0;
  /** Of a Query that has not been taken yet. */
  private held: MadeFrame | null = null;
  /** Of the frame that is being shown. */
  private current: MadeFrame | null = null;
  /** The frame in whose place another is being shown. */
  sent: SentFrame | null = null;

  constructor(session: Session) {
    this.session = session;
  }

  private get scope(): ShardScope {
    return this.session.router?.scope ?? NO_SCOPE;
  }

  // Frames.

  show(
    requests: RequestSink,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    if (type === FRONTEND.Sync) {
      this.queue = [];
      this.touched.clear();
    }
    const isWhole = end - start === frameBytes;
    if (!(type === FRONTEND.Query && isWhole) && !namesStatement(type)) {
      return requests.take(type, bytes, start, end, buffer, frameBytes);
    }
    if (!isWhole && this.needsWhole(type, bytes, start, end)) return NEED_WHOLE;
    const made =
      type === FRONTEND.Query ? this.heldQuery(bytes, start, end) : this.head(type, bytes, start, end);
    if (made === UNMADE) return BLOCKED;
    const outcome = this.showMade(requests, made, type, { bytes, start, end }, buffer, frameBytes);
    if (outcome === CONSUMED && type === FRONTEND.Query) this.held = null;
    else if (outcome === CONSUMED) this.queue.shift();
    return outcome;
  }

  private showMade(
    requests: RequestSink,
    made: MadeFrame,
    type: number,
    sent: SentFrame,
    buffer: number,
    frameBytes: number,
  ): number {
    if (made.problem !== null) return requests.refuseMade(type, made.problem);
    const { frame } = made;
    this.current = made;
    this.sent = frame === null ? null : sent;
    const outcome =
      frame === null
        ? requests.take(type, sent.bytes, sent.start, sent.end, buffer, frameBytes)
        : requests.take(type, frame, 0, frame.length, -1, frame.length);
    this.current = null;
    this.sent = null;
    return outcome;
  }

  /** Of a Bind that streams only the names are there. */
  private needsWhole(type: number, bytes: Uint8Array, start: number, end: number): boolean {
    const fields = type === FRONTEND.Bind ? readBind(bytes, start + HEADER_BYTES, end) : null;
    if (fields === null) return type === FRONTEND.Bind;
    return this.statementOf(decodeName(bytes, fields.statementStart, fields.statementEnd)) !== null;
  }

  /** A Query that waits is shown again: what has been made of it may have chosen its shard already. */
  private heldQuery(bytes: Uint8Array, start: number, end: number): MadeFrame {
    const { id } = this.scope;
    const isNew = this.held === null || this.held === UNMADE || this.queueScopeId !== id;
    if (isNew) this.held = this.query(bytes, start, end);
    this.queueScopeId = id;
    return this.held ?? ITSELF;
  }

  private head(type: number, bytes: Uint8Array, start: number, end: number): MadeFrame {
    this.beginLook();
    return this.look(type, bytes, start, end);
  }

  /** What has been asked meanwhile may have changed how texts are read. */
  beginLook(): void {
    this.lookedAt = 0;
    const { id } = this.scope;
    if (this.queueScopeId !== id) this.queue = [];
    this.queueScopeId = id;
  }

  /** What becomes of a frame that is going to be shown; frames are looked at in their order. */
  look(type: number, bytes: Uint8Array, start: number, end: number): MadeFrame {
    if (!namesStatement(type)) return ITSELF;
    const known = this.queue[this.lookedAt];
    const made = known ?? this.make(type, bytes, start, end);
    if (made === UNMADE) return UNMADE;
    this.lookedAt++;
    if (known === undefined) this.queue.push(made);
    return made;
  }

  private make(type: number, bytes: Uint8Array, start: number, end: number): MadeFrame {
    switch (type) {
      case FRONTEND.Parse:
        return this.parse(bytes, start, end);
      case FRONTEND.Bind:
        return this.bind(bytes, start, end);
      default:
        return this.target(type, bytes, start, end);
    }
  }

  private query(bytes: Uint8Array, start: number, end: number): MadeFrame {
    const [textStart, textEnd] = [start + HEADER_BYTES, end - 1];
    if (textEnd < textStart) return ITSELF;
    if (this.awaitsCatalog()) return UNMADE;
    const { made } = this.planOf(bytes, textStart, textEnd);
    if (made === undefined) return ITSELF;
    const values = made.refusal === null ? this.values(made.edits.flatMap(({ value }) => value ?? [])) : [];
    if (values === WAIT) return UNMADE;
    const problem = values instanceof PgDogError ? values : refusalOf(made);
    if (problem !== null || values instanceof PgDogError) return { ...ITSELF, problem };
    return { ...ITSELF, frame: madeQuery(bytes, textStart, textEnd, made, values) };
  }

  private parse(bytes: Uint8Array, start: number, end: number): MadeFrame {
    const fields = readParse(bytes, start + HEADER_BYTES, end);
    if (fields === null) return ITSELF;
    if (this.awaitsCatalog()) return UNMADE;
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    const { made } = this.planOf(bytes, fields.textStart, fields.textEnd);
    const problem = made === undefined ? null : (refusalOf(made) ?? unlikeTypes(made, bytes, fields));
    if (problem !== null) return { ...ITSELF, problem };
    const again = made === undefined ? null : readParse(bytes, start + HEADER_BYTES, end);
    const parsed = made === undefined || again === null ? null : madeParse(bytes, again, end, made);
    // A name that is taken is refused, and keeps its meaning.
    const isTaken = name !== '' && this.session.statements.get(name) !== undefined && !this.closing.has(name);
    this.closing.delete(name);
    this.touched.add(name);
    if (made === undefined || parsed === null) {
      if (!isTaken) this.byName.delete(name);
      return made === undefined ? ITSELF : { ...ITSELF, problem: tooMany() };
    }
    const statement = {
      kinds: made.edits.flatMap(({ value }) => value ?? []),
      shownCount: parsed.shownCount,
      text: textOf(parsed.frame),
    };
    if (!isTaken) this.keep(this.byName, name, statement);
    return { frame: parsed.frame, problem: null, statement };
  }

  /** Whether keys are missing in a text; what is prepared now cannot be filled in later. */
  private awaitsCatalog(): boolean {
    const database = this.session.router?.shards?.database ?? null;
    if (database === null || database.sharding.madeKeys === undefined || database.readFailure !== '')
      return false;
    if (database.catalog !== null && !database.isStale) return false;
    database.hold(this.session, 'unknown');
    return true;
  }

  private bind(bytes: Uint8Array, start: number, end: number): MadeFrame {
    const fields = readBind(bytes, start + HEADER_BYTES, end);
    const name = fields === null ? '' : decodeName(bytes, fields.statementStart, fields.statementEnd);
    const statement = fields === null ? null : this.statementOf(name);
    if (statement === null) return ITSELF;
    const values = this.values(statement.kinds);
    if (values === WAIT) return UNMADE;
    if (values instanceof PgDogError) return { ...ITSELF, problem: values };
    return { frame: madeBind(bytes.slice(start, end), values), problem: null, statement };
  }

  /** Describe and Close. */
  private target(type: number, bytes: Uint8Array, start: number, end: number): MadeFrame {
    const fields = readTarget(bytes, start + HEADER_BYTES, end);
    if (fields === null || fields.target !== TARGET.Statement) return ITSELF;
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    const statement = this.statementOf(name);
    if (type === FRONTEND.Close) {
      this.byName.delete(name);
      this.touched.add(name);
      if (name !== '') this.closing.add(name);
      if (name !== '' && statement !== null) this.keep(this.former, name, statement);
      return ITSELF;
    }
    return statement === null ? ITSELF : { ...ITSELF, statement };
  }

  /** What a name stands for, or stands for again. */
  private statementOf(name: string): MadeStatement | null {
    const known = this.byName.get(name) ?? null;
    const former = this.former.get(name);
    if (former === undefined || this.touched.has(name)) return known;
    const there = this.session.statements.get(name);
    return there !== undefined && Buffer.compare(former.text, textOf(there.frame)) === 0 ? former : known;
  }

  private planOf(bytes: Uint8Array, start: number, end: number): SqlPlan {
    const { context, clientReading } = this.session;
    return context.plans.lookup(bytes, start, end, this.scope, clientReading, Number.POSITIVE_INFINITY);
  }

  /** A client may have closed names by statements of which nothing is known here. */
  private keep(map: Map<string, MadeStatement>, name: string, statement: MadeStatement): void {
    const { statements } = this.session;
    if (map.size >= NAMES_KEPT_MAX + statements.count) {
      for (const known of map.keys()) {
        if (known !== '' && statements.get(known) === undefined) map.delete(known);
      }
    }
    map.set(name, statement);
  }

  private values(kinds: readonly MadeKind[]): string[] | PgDogError | typeof WAIT {
    const { ready } = this;
    const idCount = kinds.filter((kind) => kind === 'uniqueId').length;
    while (ready.length < idCount) {
      const value = nextId(this.session);
      if (value === WAIT) return WAIT;
      if (value instanceof PgDogError) {
        ready.length = 0;
        return value;
      }
      ready.push(String(value));
    }
    const ids = ready.splice(0, idCount);
    return kinds.map((kind) => (kind === 'uuid' ? randomUUID() : (ids.shift() ?? '')));
  }

  /**
   * Whether what is marked as made in a text that `frame` runs was put there by us: the frame was filled in here, and a prepared
   * text is the one that this has parameters for.
   */
  hasMade(text: PreparedText, frame: Uint8Array): boolean {
    const made = [this.current, this.held, ...this.queue].find((each) => each?.frame === frame);
    if (made == null) return false;
    if (made.statement === null) return text.bytes === frame;
    return Buffer.compare(made.statement.text, text.bytes.subarray(text.textStart, text.textEnd)) === 0;
  }

  /** How many parameters of the statement that is being described the client knows of; -1: all. */
  shownCountOf(name: string): number {
    const statement = this.current?.statement ?? this.statementOf(name);
    return statement?.shownCount ?? -1;
  }
}

/** Of a whole Parse. */
function textOf(frame: Uint8Array): Uint8Array {
  const fields = readParse(frame, HEADER_BYTES, frame.length);
  return fields === null ? frame : frame.subarray(fields.textStart, fields.textEnd);
}

function namesStatement(type: number): boolean {
  return (
    type === FRONTEND.Parse || type === FRONTEND.Bind || type === FRONTEND.Describe || type === FRONTEND.Close
  );
}

function refusalOf({ refusal }: { refusal: { reason: string; remedy: string } | null }): PgDogError | null {
  return refusal === null ? null : new PgDogError('cross_shard', refusal.reason, { hint: refusal.remedy });
}

/** What is in one column without a cast must not be of kinds that Postgres would first make one kind of. */
function unlikeTypes({ alike = [] }: MadeReading, bytes: Uint8Array, fields: ParseFields): PgDogError | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const numbers of alike) {
    const types = new Set<number>();
    for (const number of numbers) {
      const type = number > fields.typeCount ? 0 : view.getUint32(fields.typesStart + 4 * (number - 1));
      if (type !== 0 && type !== UNKNOWN_TYPE) types.add(type);
    }
    if (types.size < 2 || [...types].every((type) => EXACT_NUMBERS.has(type))) continue;
    return new PgDogError(
      'cross_shard',
      'rows are given in order whose values of one column are of several types',
      {
        hint: 'Cast them to one type.',
      },
    );
  }
  return null;
}

const UNKNOWN_TYPE = 705;
/** int8, int2, int4, numeric. */
const EXACT_NUMBERS: ReadonlySet<number> = new Set([20, 21, 23, 1700]);

function tooMany(): PgDogError {
  return new PgDogError('cross_shard', 'the statement has more parameters than a message can carry', {
    hint: 'Give the ids as parameters.',
  });
}
