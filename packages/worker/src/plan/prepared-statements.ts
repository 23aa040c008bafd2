import { createHash } from 'node:crypto';
import { FRONTEND, FrameWriter, type SqlPlan } from '@pgdog-cluster/core';

/** Names on servers begin with this; a client's own names never reach a server. */
export const SERVER_NAME_PREFIX = '__pgdog_';

/** One distinct statement: its text and parameter types, whoever prepared it under whatever name. */
export interface PreparedStatement {
  /** Prefix and 128 bits of SHA-256 over text and types: the same in every worker and every proxy. */
  readonly serverName: string;
  readonly serverNameBytes: Uint8Array;
  /** What makes a server have it: a Parse frame, or for SQL-level PREPARE a Query frame. */
  readonly frame: Uint8Array;
  readonly isSqlLevel: boolean;
  /** What executing it does to the session; null = nothing. */
  readonly plan: SqlPlan | null;
  /** Sessions' names that mean it. */
  references: number;
}

/**
 * All statements some session of this worker has prepared, counted by reference: a text is kept once, and no
 * longer than somebody needs it. What one client may hold is limited where it prepares.
 */
export class StatementRegistry {
  private readonly byName = new Map<string, PreparedStatement>();
  private readonly writer = new FrameWriter(1024);
  private texts = 0;

  /** Bytes of all kept frames. */
  get textBytes(): number {
    return this.texts;
  }

  get size(): number {
    return this.byName.size;
  }

  /**
   * The statement of a Parse message. bytes[start, end) is its body behind the name: text, NUL, parameter
   * type count and object ids.
   */
  acquireParsed(bytes: Uint8Array, start: number, end: number, plan: SqlPlan | null): PreparedStatement {
    const body = bytes.subarray(start, end);
    const serverName = serverNameOf('P', body);
    const known = this.byName.get(serverName);
    if (known !== undefined) return this.retain(known);
    this.writer.reset().begin(FRONTEND.Parse).cstring(serverName).bytes(body).end();
    return this.add(serverName, this.writer.take(), false, plan);
  }

  /** What PREPARE name (types) AS body is called on servers. */
  sqlServerName(argumentTypes: string, body: string): string {
    return serverNameOf('S', Buffer.from(`${argumentTypes} AS ${body}`));
  }

  /** The statement of PREPARE name (types) AS body. */
  acquireSql(argumentTypes: string, body: string, plan: SqlPlan | null): PreparedStatement {
    const text = `${argumentTypes} AS ${body}`;
    const serverName = serverNameOf('S', Buffer.from(text));
    const known = this.byName.get(serverName);
    if (known !== undefined) return this.retain(known);
    this.writer.reset().begin(FRONTEND.Query).cstring(`PREPARE ${serverName}${text}`).end();
    return this.add(serverName, this.writer.take(), true, plan);
  }

  retain(statement: PreparedStatement): PreparedStatement {
    statement.references++;
    return statement;
  }

  release(statement: PreparedStatement): void {
    statement.references--;
    if (statement.references > 0) return;
    this.byName.delete(statement.serverName);
    this.texts -= statement.frame.length;
  }

  private add(
    serverName: string,
    frame: Uint8Array,
    isSqlLevel: boolean,
    plan: SqlPlan | null,
  ): PreparedStatement {
    const made: PreparedStatement = {
      serverName,
      serverNameBytes: Buffer.from(serverName, 'latin1'),
      frame,
      isSqlLevel,
      plan,
      references: 1,
    };
    this.byName.set(serverName, made);
    this.texts += frame.length;
    return made;
  }
}

/** A collision would run another client's text, hence a cryptographic hash; the kind keeps both levels apart. */
function serverNameOf(kind: 'P' | 'S', body: Uint8Array): string {
  const digest = createHash('sha256').update(kind).update(body).digest('hex');
  return SERVER_NAME_PREFIX + digest.slice(0, 32);
}
