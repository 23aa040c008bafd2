import {
  CLIENT_OTHER,
  CLIENT_UTF8,
  NO_SCOPE,
  PgDogError,
  type PrepareEffect,
  type SqlPlan,
} from '@pgdog-cluster/core';
import { askReadingBehind } from '../backend/read-under.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { definitionsOf } from '../plan/definitions.js';
import { dependsOnReading } from '../plan/depends-on-reading.js';
import type { PreparedStatement, ReadingOrigin, TextReading } from '../plan/prepared-statements.js';
import type { WorkerContext } from '../worker-context.js';
import { NamesUnderWay } from './names-under-way.js';
import type { ParameterSet } from './parameter-set.js';
import { PIN_UNKNOWN_SETTING } from './pin-reasons.js';
import type { Session } from './session.js';

export type ReadingSession = Pick<
  Session,
  'context' | 'database' | 'user' | 'parameters' | 'reported' | 'isStateUnread' | 'pins'
> & {
  readonly transaction: Pick<Session['transaction'], 'local'>;
};

/** When one was made whose encoding was not known. */
const madeAt = new WeakMap<PreparedStatement, { changes: number; encoding: string }>();

/** client_encoding as the server has told it last. */
export function encodingOf({ reported }: Pick<Session, 'reported'>): string {
  return reported.get('client_encoding') ?? 'UTF8';
}

/** How a text is read that the session sends now. */
export function currentReading(session: ReadingSession): TextReading {
  const settings = readingSettings(session);
  const values = isReadingUnknown(session) ? null : settings.readingValues(session.reported);
  const encoding = encodingOf(session);
  const definitions = definitionsOf(session);
  return { readingKey: settings.readingKey, encoding, values, origin: null, ownKey: '', definitions };
}

/** Only the server connection, which the session keeps, knows what its settings are. */
export function isReadingUnknown({ isStateUnread, pins }: Pick<Session, 'isStateUnread' | 'pins'>): boolean {
  return isStateUnread || (pins & PIN_UNKNOWN_SETTING) !== 0;
}

/** The settings by which Postgres reads a text of the session now. */
export function readingSettings({ transaction, parameters }: ReadingSession): ParameterSet {
  return transaction.local ?? parameters;
}

/** Under which settings the client has had the statement read, if that can tell and they are others than `now`. */
function originOf(statement: PreparedStatement, now: TextReading): ReadingOrigin | null {
  const { origin, values, frame } = statement;
  if ((origin === null && values === null) || !dependsOnReading(frame)) return null;
  const first = origin ?? { key: JSON.stringify(values), values: values ?? [] };
  const isSame = now.values?.every((value, index) => value === first.values[index]) === true;
  return isSame ? null : first;
}

/** What runs at EXECUTE. */
export function planOfBody({ plans }: WorkerContext, { body, encoding }: PrepareEffect): SqlPlan {
  const bytes = Buffer.from(body, encoding);
  const client = encoding === 'latin1' ? CLIENT_OTHER : CLIENT_UTF8;
  return plans.lookup(bytes, 0, bytes.length, NO_SCOPE, client);
}

/** Of a DEALLOCATE that has been sent: it has run, or an error came before it. */
export interface TakenNames {
  done(): void;
  undo(): void;
}

/** No statement's count is that. */
const OUTDATED = -1;

/** A client's names of prepared statements, protocol level and SQL level together, as in Postgres. */
export class ClientStatements {
  private readonly context: WorkerContext;
  /** Made at the first statement: most clients that idle have none. */
  private byName: Map<string, PreparedStatement> | null = null;
  /** Of their frames, which are shared. */
  frameBytes = 0;
  /** How many come from SQL-level PREPARE: those a server must have before the client's next text runs. */
  sqlLevelCount = 0;
  /** `PreparedStatement.shapes` of the session's database when the client prepared them, where it was not 0; or OUTDATED. */
  private shapes: Map<PreparedStatement, number> | null = null;
  /** Of the batch that is open. */
  underWay: NamesUnderWay | null = null;
  /** How PREPAREs on their way are read. */
  private expected: Map<string, TextReading> | null = null;
  /** How many statements have texts in which encoding, where they are not ASCII; made when there is one. */
  private encodings: Map<string | null, number> | null = null;
  /** The search_path under which the client has prepared; and where that was another one, under which each has been read. */
  private usualPath: string | null = null;
  private paths: Map<PreparedStatement, string> | null = null;
  /** Counts what may have changed client_encoding. */
  encodingChanges = 0;

  constructor(context: WorkerContext) {
    this.context = context;
  }

  beginUnderWay(): NamesUnderWay {
    this.underWay ??= new NamesUnderWay();
    return this.underWay;
  }

  get count(): number {
    return this.byName === null ? 0 : this.byName.size;
  }

  /** Why it may not prepare another one; null while it may. */
  refusal(): PgDogError | null {
    const { clientPreparedStatementsLimit } = this.context.config.general;
    if (this.count < clientPreparedStatementsLimit) return null;
    const text = `too many prepared statements (client_prepared_statements_limit = ${clientPreparedStatementsLimit})`;
    return new PgDogError('prepared_statements_limit', text);
  }

  get(name: string): PreparedStatement | undefined {
    return this.byName?.get(name);
  }

  /** The statement of that name for the session's settings: as they were when it was prepared it was read. */
  current(name: string, session: ReadingSession): PreparedStatement | undefined {
    const statement = this.byName?.get(name);
    if (statement === undefined || statement.readingKey === readingSettings(session).readingKey)
      return statement;
    // The server has not told yet what it has just been read under: it is the client's own, and as it should be.
    if (statement.values === null && isReadingUnknown(session)) return statement;
    const reading = currentReading(session);
    const { encoding } = reading;
    const made = madeAt.get(statement);
    const isSure = made?.changes === this.encodingChanges && made.encoding === encoding;
    // Only where it is: nobody knows any more which characters its bytes were.
    if (statement.encoding === null && !isSure) return statement;
    const origin = this.isOfOtherPath(statement, session) ? null : originOf(statement, reading);
    const reread = this.context.statements.acquireReread(statement, { ...reading, origin });
    this.beginUnderWay().rereads(name, statement);
    this.set(name, reread, session);
    return reread;
  }

  /** Some have a text that would be another if it were sent as the session's others are. */
  hasForeign(session: ReadingSession): boolean {
    const { encodings } = this;
    if (encodings === null || encodings.size === 0) return false;
    return encodings.size > 1 || !encodings.has(encodingOf(session));
  }

  names(): string[] {
    return this.byName === null ? [] : [...this.byName.keys()];
  }

  values(): Iterable<PreparedStatement> {
    return this.byName === null ? [] : this.byName.values();
  }

  /** The client knows what the result is like now. */
  noteShape(statement: PreparedStatement, database: string): void {
    const shape = statement.shapes?.get(database) ?? 0;
    if (shape === 0) this.shapes?.delete(statement);
    else this.knownShapes().set(statement, shape);
  }

  /** What it binds by is no more, whatever that says of others. */
  noteOutdated(statement: PreparedStatement): void {
    this.knownShapes().set(statement, OUTDATED);
  }

  /** The result has become another since the client was told of it. */
  isOutdated(statement: PreparedStatement, database: string): boolean {
    if (statement.shapes === null && this.shapes === null) return false;
    return (this.shapes?.get(statement) ?? 0) !== (statement.shapes?.get(database) ?? 0);
  }

  private knownShapes(): Map<PreparedStatement, number> {
    this.shapes ??= new Map();
    return this.shapes;
  }

  private notePath(statement: PreparedStatement, path: string): void {
    this.usualPath ??= path;
    if (path === this.usualPath) {
      this.paths?.delete(statement);
      return;
    }
    this.paths ??= new Map();
    this.paths.set(statement, path);
  }

  /** Postgres itself reads a statement anew, by what is set then, where its names may mean something else than before. */
  private isOfOtherPath(statement: PreparedStatement, session: ReadingSession): boolean {
    return session.parameters.pathKey !== (this.paths?.get(statement) ?? this.usualPath ?? '');
  }

  nameOf(statement: PreparedStatement): string | null {
    if (this.byName !== null) {
      for (const [name, known] of this.byName) if (known === statement) return name;
    }
    return null;
  }

  /** Takes over the caller's reference. */
  set(name: string, statement: PreparedStatement, session: ReadingSession): void {
    this.remove(name);
    if (statement.encoding !== '') this.countEncoding(statement.encoding, 1);
    if (statement.encoding === null && !madeAt.has(statement)) {
      madeAt.set(statement, { changes: this.encodingChanges, encoding: encodingOf(session) });
    }
    this.byName ??= new Map();
    this.byName.set(name, statement);
    this.noteShape(statement, session.database);
    this.notePath(statement, session.parameters.pathKey);
    this.frameBytes += statement.frame.length;
    if (statement.isSqlLevel) this.sqlLevelCount++;
  }

  remove(name: string): void {
    const statement = this.byName?.get(name);
    if (statement === undefined) return;
    this.byName?.delete(name);
    const isNoted = this.shapes?.has(statement) === true || this.paths?.has(statement) === true;
    if (isNoted && this.nameOf(statement) === null) {
      this.shapes?.delete(statement);
      this.paths?.delete(statement);
    }
    this.frameBytes -= statement.frame.length;
    if (statement.isSqlLevel) this.sqlLevelCount--;
    if (statement.encoding !== '') this.countEncoding(statement.encoding, -1);
    this.context.statements.release(statement);
  }

  /** Takes them away, and keeps them until it is known whether for good. */
  takeAway(names: readonly string[], session: Session): TakenNames {
    const { statements: registry } = this.context;
    const taken = new Map<string, PreparedStatement>();
    for (const name of names) {
      const statement = this.byName?.get(name);
      if (statement === undefined) continue;
      taken.set(name, registry.retain(statement));
      this.beginUnderWay().closes(name, statement.serverName);
      this.remove(name);
    }
    const done = () => {
      for (const statement of taken.values()) registry.release(statement);
    };
    const undo = () => {
      if (session.phase === 'closed') done();
      else for (const [name, statement] of taken) this.set(name, statement, session);
    };
    return { done, undo };
  }

  clear(): void {
    if (this.byName === null) return;
    for (const statement of this.byName.values()) this.context.statements.release(statement);
    this.byName = null;
    this.shapes = null;
    this.paths = null;
    this.expected = null;
    this.encodings = null;
    this.frameBytes = 0;
    this.sqlLevelCount = 0;
  }

  /** A PREPARE goes to the server under a name made with this reading. */
  expectSql(name: string, reading: TextReading): void {
    this.expected ??= new Map();
    this.expected.set(name, reading);
  }

  /** PREPARE has succeeded, under our name, on `server`. */
  prepareSql(effect: PrepareEffect, session: Session, server: ServerConnection): void {
    const { name } = effect;
    const reading = this.expected?.get(name) ?? currentReading(session);
    this.expected?.delete(name);
    const statement = this.context.statements.acquireSql(effect, planOfBody(this.context, effect), reading);
    this.set(name, statement, session);
    server.prepared.add(statement.serverName);
    if (statement.values === null && dependsOnReading(statement.frame)) askReadingBehind(server, statement);
  }

  private countEncoding(encoding: string | null, step: 1 | -1): void {
    this.encodings ??= new Map();
    const count = (this.encodings.get(encoding) ?? 0) + step;
    if (count > 0) this.encodings.set(encoding, count);
    else this.encodings.delete(encoding);
  }
}
