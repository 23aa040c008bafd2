import type { ServerConnection } from './backend/server-connection.js';
import type { QueryFigures } from './plan/query-figures.js';
import type { Pool } from './pool/pool.js';
import { placeOf } from './route/host-report.js';
import { askedText } from './session/asked-text.js';
import { pinNames } from './session/pin-reasons.js';
import type { Session } from './session/session.js';
import type { LogFields, WorkerContext } from './worker-context.js';

const WINDOW_MS = 1000;
/** Of one code in a window, and of one shape in it: what floods tells little by each of its lines. */
const LINES_PER_WINDOW_MAX = 10;
const SHAPE_WINDOW_MS = 1000;
const ROLES = ['unknown', 'primary', 'replica'];

const MESSAGES = {
  slow_query: 'a statement was slow',
  slow_transaction: 'a transaction was slow',
  slow_checkout: 'a client waited long for a server connection',
  slow_parse: 'reading a statement was slow',
} as const;
type SlowCode = keyof typeof MESSAGES;

interface Window {
  startMs: number;
  lines: number;
  /** Not logged, and not told of yet. */
  leftOut: number;
}

/** Of a statement on several shards. */
export interface SpreadCall {
  readonly tookUs: number;
  readonly waitedUs: number;
  readonly rowCount: number;
  readonly shards: readonly number[];
  /** The one that took longest, and how long. */
  readonly slowestShard: number;
  readonly slowestUs: number;
  /** False: the client has gone meanwhile. */
  readonly isFinished: boolean;
  /** What the client asked. */
  readonly frames: readonly Uint8Array[];
}

/** What took longer than the configuration says, one line each. Whoever measures has compared already. */
export class SlowLog {
  private readonly context: WorkerContext;
  private readonly windows = new Map<SlowCode, Window>();

  constructor(context: WorkerContext) {
    this.context = context;
    this.takeUp();
    context.plans.onSlowRead = (...read) => this.parse(...read);
  }

  /** As the configuration has it now. */
  takeUp(): void {
    const { plans, config } = this.context;
    const { logMinParseMs } = config.general;
    plans.slowReadUs = logMinParseMs === 0 ? Number.POSITIVE_INFINITY : logMinParseMs * 1000;
  }

  /** On one server, for the head of what it owes. */
  statement(server: ServerConnection, figures: QueryFigures, tookUs: number, isFinished = true): void {
    const { session, pool, rowCount, requestLog } = server;
    // Nobody's any more, or a mirror's.
    if (session === null || session.slot < 0 || !this.admits('slow_query', figures)) return;
    const frames = this.textBytesMax === 0 ? null : requestLog.seen;
    this.write('slow_query', session, {
      query: figures.text,
      durationMs: inMs(tookUs),
      waitMs: inMs(session.waitedUs),
      rows: rowCount,
      ...this.place(pool),
      ...planOf(figures),
      ...pinOf(session),
      ...unfinishedIf(!isFinished),
      ...this.textOf(session, frames === null ? [] : [frames]),
    });
  }

  /** The client goes, or is sent away, before what the server is at has been answered. */
  left(server: ServerConnection): void {
    const { pending, answeredUs, pool } = server;
    const call = pending.underWay();
    if (call === null) return;
    const tookUs = this.context.nowUs - Math.max(call.sentUs, answeredUs);
    if (tookUs >= pool.slow.statementUs) this.statement(server, call.figures, tookUs, false);
  }

  /** By a client's request to several shards. */
  spread(session: Session, figures: QueryFigures, call: SpreadCall): void {
    if (!this.admits('slow_query', figures)) return;
    this.write('slow_query', session, {
      query: figures.text,
      durationMs: inMs(call.tookUs),
      waitMs: inMs(call.waitedUs),
      rows: call.rowCount,
      shards: call.shards.join(','),
      slowestShard: call.slowestShard,
      slowestMs: inMs(call.slowestUs),
      ...planOf(figures),
      ...unfinishedIf(!call.isFinished),
      ...this.textOf(session, call.frames),
    });
  }

  /** @param isServed it has got one; else it has given up, or was refused */
  checkout(session: Session, pool: Pool, waitedUs: number, isServed: boolean): void {
    if (isMirror(session) || !this.admits('slow_checkout', null)) return;
    this.write('slow_checkout', session, { waitMs: inMs(waitedUs), isServed, ...this.place(pool) });
  }

  /** Of several requests: one alone is a statement, be it slow or not. */
  transaction(session: Session, { pool }: ServerConnection, tookUs: number): void {
    const isOne = session.requestSinceUs <= this.context.nowUs - tookUs;
    if (isOne || session.slot < 0 || !this.admits('slow_transaction', null)) return;
    this.write('slow_transaction', session, {
      durationMs: inMs(tookUs),
      ...this.place(pool),
      ...pinOf(session),
    });
  }

  spreadTransaction(session: Session, tookUs: number, shards: readonly number[]): void {
    if (!this.admits('slow_transaction', null)) return;
    this.write('slow_transaction', session, { durationMs: inMs(tookUs), shards: shards.join(',') });
  }

  /** By the proxy itself. */
  private parse(query: string, text: Uint8Array | null, bytes: number, tookUs: number): void {
    if (!this.admits('slow_parse', null)) return;
    const fields: LogFields = { durationMs: inMs(tookUs), bytes };
    if (query !== '') fields.query = query;
    else if (text !== null && this.textBytesMax > 0) fields.text = cutText(text, this.textBytesMax);
    this.context.log('warn', 'slow_parse', MESSAGES.slow_parse, fields);
  }

  private get textBytesMax(): number {
    return this.context.config.general.logTextBytes;
  }

  private write(code: SlowCode, session: Session, fields: LogFields): void {
    const { user, database, addr, port, reported } = session;
    const name = reported.get('application_name') ?? '';
    const client: LogFields = { user, database, addr, port };
    if (name !== '') client.applicationName = name;
    this.context.log('warn', code, MESSAGES[code], { ...client, ...fields });
  }

  private place(pool: Pool): LogFields {
    const { database, shard } = pool.snapshot;
    const fields: LogFields = { server: placeOf(pool), role: ROLES[pool.role] ?? ROLES[0] };
    if (this.context.directory.database(database)?.sharding != null) fields.shard = shard;
    return fields;
  }

  private textOf(session: Session, frames: readonly Uint8Array[]): LogFields {
    const { textBytesMax } = this;
    const text = textBytesMax === 0 ? null : askedText(session, frames);
    return text === null ? {} : { text: cutText(text, textBytesMax) };
  }

  /** A line of this code may be written; else it is counted. */
  private admits(code: SlowCode, figures: QueryFigures | null): boolean {
    const { nowMs, deadlines } = this.context;
    let window = this.windows.get(code);
    if (window === undefined) {
      window = { startMs: nowMs, lines: 0, leftOut: 0 };
      this.windows.set(code, window);
    }
    if (nowMs - window.startMs >= WINDOW_MS) this.endWindow(code, window);
    const isFlood = figures !== null && nowMs - figures.loggedMs < SHAPE_WINDOW_MS;
    if (!isFlood && window.lines < LINES_PER_WINDOW_MAX) {
      window.lines++;
      if (figures !== null) figures.loggedMs = nowMs;
      return true;
    }
    window.leftOut++;
    // Told at the end of the window even if nothing is slow any more.
    const ended = window;
    if (window.leftOut === 1) deadlines.add(window.startMs + WINDOW_MS, () => this.endWindow(code, ended));
    return false;
  }

  private endWindow(code: SlowCode, window: Window): void {
    const { leftOut } = window;
    window.startMs = this.context.nowMs;
    window.lines = 0;
    window.leftOut = 0;
    if (leftOut > 0) this.context.log('warn', code, 'more of them were left out', { count: leftOut });
  }
}

const inMs = (us: number): number => Math.round(us) / 1000;

function isMirror({ slot, isLeg }: Session): boolean {
  return slot < 0 && !isLeg;
}

/** Whether its shape was known when it came. Nobody knows of what is not read, or kept no more. */
function planOf({ entry, hits, calls }: QueryFigures): LogFields {
  return entry < 0 ? {} : { plan: hits === 0 && calls <= 1 ? 'miss' : 'hit' };
}

function unfinishedIf(isUnfinished: boolean): LogFields {
  return isUnfinished ? { isFinished: false } : {};
}

function pinOf({ pins }: Session): LogFields {
  return pins === 0 ? {} : { pin: pinNames(pins) };
}

function cutText(text: Uint8Array, bytesMax: number): string {
  const isCut = text.length > bytesMax;
  return Buffer.from(isCut ? text.subarray(0, bytesMax) : text).toString() + (isCut ? '…' : '');
}
