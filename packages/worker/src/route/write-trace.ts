// ● per-frame path
import { systemClock } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { Session } from '../session/session.js';
import { rowTexts } from '../wire/row-texts.js';

/** Behind everything this session has made durable: the commit record has been inserted when its client is told. */
const LSN_SQL = 'SELECT pg_catalog.pg_current_wal_insert_lsn()';
/** No replica has replayed this: the position could not be found out. */
const NOWHERE_YET = Number.MAX_SAFE_INTEGER;

/** What a session has written, so that it reads it again (read_your_writes). */
export class WriteTrace {
  private readonly session: Session;
  private isWriting = false;
  /** The client has its answer, and the server is asked where the log stands. */
  isAsking = false;
  /** Of this turn, for `session`. */
  private wroteMs = 0;
  /** Of the machine's monotonic clock: compared with what the supervisor has measured. */
  private wroteAtMs = 0;
  private wroteLsn = 0;

  constructor(session: Session) {
    this.session = session;
  }

  private get mode(): 'off' | 'session' | 'lsn' {
    return this.session.context.config.routing.readYourWrites;
  }

  /** What goes out now may write. */
  willWrite(): void {
    this.isWriting = true;
  }

  /** It did not go out after all. */
  refused(): void {
    this.isWriting = false;
  }

  /** By systemClock; 0: nothing that a replica must have seen. */
  get writtenMs(): number {
    return this.mode === 'session' ? this.wroteAtMs : 0;
  }

  get writtenLsn(): number {
    return this.mode === 'lsn' ? this.wroteLsn : 0;
  }

  /** Written so lately that reads go to the primary whatever is known of replicas. */
  get isFresh(): boolean {
    if (this.isWriting) return this.mode !== 'off';
    if (this.mode !== 'session' || this.wroteMs === 0) return false;
    const { context } = this.session;
    return context.nowMs - this.wroteMs < context.config.routing.readYourWritesMs;
  }

  /** Everything asked has been answered. True: the server is asked where the log stands, and is not free yet. */
  exchangeEnded(server: ServerConnection, isPrimary: boolean): boolean {
    if (!this.isWriting) return false;
    this.isWriting = false;
    this.isAsking = false;
    // A replica writes nothing, whatever was thought of the statement.
    if (!isPrimary) return false;
    this.wroteMs = this.session.context.nowMs;
    this.wroteAtMs = systemClock.nowMs();
    if (this.mode !== 'lsn') return false;
    this.wroteLsn = NOWHERE_YET;
    this.isAsking = true;
    server.ask({
      sql: LSN_SQL,
      onRow: (bytes, start, end) => {
        this.wroteLsn = parseLsn(rowTexts(bytes, start, end)[0] ?? '');
      },
      onError() {},
      onDone: () => {
        this.isAsking = false;
      },
    });
    return true;
  }
}

/** `16/B374D848` as bytes from the start of the log (pg_lsn.c). */
function parseLsn(text: string): number {
  const slash = text.indexOf('/');
  const high = Number.parseInt(text.slice(0, slash), 16);
  const low = Number.parseInt(text.slice(slash + 1), 16);
  return slash > 0 && Number.isFinite(high) && Number.isFinite(low) ? high * 2 ** 32 + low : NOWHERE_YET;
}
