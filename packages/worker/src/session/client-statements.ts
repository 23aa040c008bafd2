import { PgDogError } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import type { WorkerContext } from '../worker-context.js';
import type { NamesUnderWay } from './names-under-way.js';
import type { ParameterSet } from './parameter-set.js';

/** A client's names of prepared statements, protocol level and SQL level together, as in Postgres. */
export class ClientStatements {
  private readonly context: WorkerContext;
  /** Made at the first statement: most clients that idle have none. */
  private byName: Map<string, PreparedStatement> | null = null;
  /** Of their frames, which are shared. */
  frameBytes = 0;
  /** How many come from SQL-level PREPARE: those a server must have before the client's next text runs. */
  sqlLevelCount = 0;
  /** Of the batch that is open. */
  underWay: NamesUnderWay | null = null;
  /** Reading keys of PREPAREs on their way. */
  private expected: Map<string, string> | null = null;

  constructor(context: WorkerContext) {
    this.context = context;
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

  /** The statement of that name as the session's settings have it read. */
  current(name: string, parameters: ParameterSet): PreparedStatement | undefined {
    const statement = this.byName?.get(name);
    const { readingKey } = parameters;
    if (statement === undefined || statement.readingKey === readingKey) return statement;
    const reread = this.context.statements.acquireReread(statement, readingKey);
    this.set(name, reread);
    return reread;
  }

  names(): string[] {
    return this.byName === null ? [] : [...this.byName.keys()];
  }

  values(): Iterable<PreparedStatement> {
    return this.byName === null ? [] : this.byName.values();
  }

  nameOf(statement: PreparedStatement): string | null {
    if (this.byName !== null) {
      for (const [name, known] of this.byName) if (known === statement) return name;
    }
    return null;
  }

  /** Takes over the caller's reference. */
  set(name: string, statement: PreparedStatement): void {
    this.remove(name);
    this.byName ??= new Map();
    this.byName.set(name, statement);
    this.frameBytes += statement.frame.length;
    if (statement.isSqlLevel) this.sqlLevelCount++;
  }

  remove(name: string): void {
    const statement = this.byName?.get(name);
    if (statement === undefined) return;
    this.byName?.delete(name);
    this.frameBytes -= statement.frame.length;
    if (statement.isSqlLevel) this.sqlLevelCount--;
    this.context.statements.release(statement);
  }

  clear(): void {
    if (this.byName === null) return;
    for (const statement of this.byName.values()) this.context.statements.release(statement);
    this.byName = null;
    this.expected = null;
    this.frameBytes = 0;
    this.sqlLevelCount = 0;
  }

  /** A PREPARE goes to the server under a name made with this key. */
  expectSql(name: string, readingKey: string): void {
    this.expected ??= new Map();
    this.expected.set(name, readingKey);
  }

  /** PREPARE has succeeded, under our name, on `server`. */
  prepareSql(name: string, argumentTypes: string, body: string, server: ServerConnection): void {
    const readingKey = this.expected?.get(name) ?? '';
    this.expected?.delete(name);
    const bytes = Buffer.from(body);
    const plan = this.context.plans.lookup(bytes, 0, bytes.length);
    const statement = this.context.statements.acquireSql(argumentTypes, body, plan, readingKey);
    this.set(name, statement);
    server.prepared.add(statement.serverName);
  }
}
