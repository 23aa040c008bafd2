// ● per-frame path

import { isAscii } from 'node:buffer';
import { decodeText, readParse, type SqlPlan } from '@pgdog-cluster/core';
import type { StatementUse } from '../backend/own-exchange.js';
import { KIND_PARSE, SWALLOW } from '../backend/pending-replies.js';
import { readUnder } from '../backend/read-under.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { sendParse } from '../backend/shard-numbers.js';
import { copyBytes } from '../io/copy-bytes.js';
import type { NeededUnnamed } from '../mirror/captured-unit.js';
import { dependsOnReading } from '../plan/depends-on-reading.js';
import type { PlanCache } from '../plan/plan-cache.js';
import type { QueryFigures } from '../plan/query-figures.js';
import type { QueryStats } from '../plan/query-stats.js';
import { planOfParse } from '../route/prepared-route.js';
import { encodingOf, isReadingUnknown, readingSettings } from './client-statements.js';
import type { ParameterSet } from './parameter-set.js';
import type { Session } from './session.js';

/** Kept between two requests of an idle client. */
const KEPT_BYTES = 1024;
const HEADER_BYTES = 5;
const NO_BYTES = new Uint8Array(0);
let counter = 0;

/**
 * A client's unnamed statement: its Parse frame, to be sent again to a server connection that holds another's.
 * Drivers parse and describe in one batch and bind in the next, on whichever server they then get.
 */
export class UnnamedStatement {
  private frame = NO_BYTES;
  private frameBytes = 0;
  plan: SqlPlan | null = null;
  /** What its executions count for. */
  figures: QueryFigures | null = null;
  /** Its number over all clients of this worker; 0 = there is none. */
  id = 0;
  private readonly session: Session;
  /** What told of client_encoding when it came; null: it is not known. And how often that may have changed until then. */
  private reported: ReadonlyMap<string, string> | null = null;
  private changes = 0;
  /** Settings that it was read under; null: nobody knows. */
  private settings: ParameterSet | null = null;
  private use: StatementUse | null = null;
  private useServer: ServerConnection | null = null;

  constructor(session: Session) {
    this.session = session;
  }

  /** A new one is on its way to `server`. Returns the `ref` of the pending reply. */
  keep(
    bytes: Uint8Array,
    start: number,
    end: number,
    plan: SqlPlan | null,
    server: ServerConnection,
  ): StatementUse {
    this.copy(bytes, start, end, plan);
    if (server.isSettingPending || isReadingUnknown(this.session)) this.settings = null;
    server.unnamedId = this.id;
    return this.useOn(server);
  }

  /** No server needs it yet. */
  keepUnsent(bytes: Uint8Array, start: number, end: number, plan: SqlPlan | null): void {
    this.copy(bytes, start, end, plan);
  }

  /** Of its frame; 0: there is none. */
  get size(): number {
    return this.id === 0 ? 0 : this.frameBytes;
  }

  /** A copy for a session elsewhere; null: there is none. */
  copied(): NeededUnnamed | null {
    if (this.id === 0) return null;
    const reported = this.changes === this.session.statements.encodingChanges ? this.reported : null;
    return { frame: this.frame.slice(0, this.frameBytes), plan: this.plan, reported };
  }

  /** The statement of another session instead of its own. */
  takeOver(from: NeededUnnamed | null): void {
    if (from === null) {
      this.id = 0;
      return;
    }
    this.copy(from.frame, 0, from.frame.length, from.plan);
    this.reported = from.reported;
  }

  /** Its bytes may be other characters than they were when it came. */
  get isForeign(): boolean {
    const { session, frame, frameBytes, reported } = this;
    if (reported !== null && this.changes === session.statements.encodingChanges) {
      if (reported === session.reported || encodingOf({ reported }) === encodingOf(session)) return false;
    }
    const fields = readParse(frame, HEADER_BYTES, frameBytes);
    return fields === null || !isAscii(frame.subarray(fields.textStart, fields.textEnd));
  }

  private copy(bytes: Uint8Array, start: number, end: number, plan: SqlPlan | null): void {
    const size = end - start;
    const isWasteful = this.frame.length > KEPT_BYTES && size <= KEPT_BYTES;
    if (this.frame.length < size || isWasteful) this.frame = new Uint8Array(Math.max(128, size));
    copyBytes(this.frame, 0, bytes, start, end);
    this.frameBytes = size;
    this.plan = plan;
    this.figures = null;
    this.settings = readingSettings(this.session);
    // What only the server could tell it tells now.
    if (this.settings.readingKey !== '') this.settings.readingValues(this.session.reported);
    this.reported = this.session.reported;
    this.changes = this.session.statements.encodingChanges;
    this.id = ++counter;
  }

  /** As `figures`, unless their shape has been thrown out since. */
  currentFigures(queries: QueryStats): QueryFigures | null {
    if (this.figures !== null && this.figures.entry < 0) this.figures = queries.current(this.figures);
    return this.figures;
  }

  /** What a host is chosen by, be there anything to note for the session or not; null: there is no statement. */
  wholePlan(cache: PlanCache): SqlPlan | null {
    if (this.id === 0) return null;
    return planOfParse(this.frame, this.frameBytes, cache, this.session.clientReading);
  }

  /** Null: there is none. Replaced when another one comes. */
  get parseFrame(): Uint8Array | null {
    return this.id === 0 ? null : this.frame.subarray(0, this.frameBytes);
  }

  get text(): string {
    const fields = readParse(this.frame, HEADER_BYTES, this.frameBytes);
    return fields === null ? '' : decodeText(this.frame, fields.textStart, fields.textEnd);
  }

  /** Makes the server have it, ahead of the message that needs it. False: there is none, or it isForeign. */
  ensure(server: ServerConnection): boolean {
    if (this.id === 0) return false;
    if (server.unnamedId === this.id) return true;
    if (this.isForeign) return false;
    server.unnamedId = this.id;
    const frame = this.frame.subarray(0, this.frameBytes);
    const send = () => {
      server.pending.push(KIND_PARSE | SWALLOW, null);
      sendParse(server, frame);
    };
    const { session, settings } = this;
    const now = server.isSettingPending || isReadingUnknown(session) ? null : readingSettings(session);
    const isSame = settings === null || now?.readingKey === settings.readingKey;
    const values = isSame ? null : settings.readingValues(session.reported);
    if (values === null || !dependsOnReading(frame)) send();
    else readUnder(server, values, now?.readingValues(session.reported) ?? null, send);
    server.pool.row.serverParse();
    return true;
  }

  /** A Parse that fails leaves no unnamed statement, neither here nor there. One object serves all Parses. */
  private useOn(server: ServerConnection): StatementUse {
    this.useServer = server;
    this.use ??= {
      kind: 'statementUse',
      serverName: '',
      undo: () => {
        // A later one is on its way already: that is the one the client has.
        if (this.useServer?.pending.includesRef(this.use) === true) return;
        this.id = 0;
        if (this.useServer !== null) this.useServer.unnamedId = 0;
      },
    };
    return this.use;
  }
}
