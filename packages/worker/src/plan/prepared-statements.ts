import { createHash } from 'node:crypto';
import { decodeText, FRONTEND, FrameWriter, type SqlPlan } from '@pgdog-cluster/core';
import type { QueryFigures } from './query-figures.js';

/** Names on servers begin with this; a client's own names never reach a server. */
export const SERVER_NAME_PREFIX = '__pgdog_';

const HEADER_BYTES = 5;
const PREPARE = 'PREPARE ';

/** One distinct statement: its text, parameter types and reading, whoever prepared it under whatever name. */
export interface PreparedStatement {
  /** Prefix and 128 bits of SHA-256 over text and types: the same in every worker and every proxy. */
  readonly serverName: string;
  readonly serverNameBytes: Uint8Array;
  /** What makes a server have it: a Parse frame, or for SQL-level PREPARE a Query frame. */
  readonly frame: Uint8Array;
  readonly isSqlLevel: boolean;
  /** What executing it does to the session; null = nothing. */
  readonly plan: SqlPlan | null;
  /** Under which settings its text was read: ParameterSet.readingKey. */
  readonly readingKey: string;
  /** Of the database on which it ran last. */
  figures: QueryFigures | null;
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

  all(): Iterable<PreparedStatement> {
    return this.byName.values();
  }

  /**
   * The statement of a Parse message. bytes[start, end) is its body behind the name: text, NUL, parameter
   * type count and object ids.
   */
  acquireParsed(
    bytes: Uint8Array,
    start: number,
    end: number,
    plan: SqlPlan | null,
    readingKey: string,
  ): PreparedStatement {
    const body = bytes.subarray(start, end);
    const serverName = serverNameOf('P', body, readingKey);
    const known = this.byName.get(serverName);
    if (known !== undefined) return this.retain(known);
    this.writer.reset().begin(FRONTEND.Parse).cstring(serverName).bytes(body).end();
    return this.add(serverName, this.writer.take(), false, plan, readingKey);
  }

  /** What PREPARE name (types) AS body is called on servers. */
  sqlServerName(argumentTypes: string, body: string, readingKey: string): string {
    return serverNameOf('S', Buffer.from(`${argumentTypes} AS ${body}`), readingKey);
  }

  /** The statement of PREPARE name (types) AS body. */
  acquireSql(
    argumentTypes: string,
    body: string,
    plan: SqlPlan | null,
    readingKey: string,
  ): PreparedStatement {
    return this.acquireSqlText(`${argumentTypes} AS ${body}`, plan, readingKey);
  }

  private acquireSqlText(text: string, plan: SqlPlan | null, readingKey: string): PreparedStatement {
    const serverName = serverNameOf('S', Buffer.from(text), readingKey);
    const known = this.byName.get(serverName);
    if (known !== undefined) return this.retain(known);
    this.writer.reset().begin(FRONTEND.Query).cstring(`${PREPARE}${serverName}${text}`).end();
    return this.add(serverName, this.writer.take(), true, plan, readingKey);
  }

  /** The same text, read under other settings. */
  acquireReread(statement: PreparedStatement, readingKey: string): PreparedStatement {
    const { frame, plan, serverName } = statement;
    if (statement.isSqlLevel) {
      const head = HEADER_BYTES + PREPARE.length + serverName.length;
      return this.acquireSqlText(decodeText(frame, head, frame.length - 1), plan, readingKey);
    }
    return this.acquireParsed(frame, HEADER_BYTES + serverName.length + 1, frame.length, plan, readingKey);
  }

  /** One that was known, and may have been let go of since. */
  acquire(statement: PreparedStatement): PreparedStatement {
    const known = this.byName.get(statement.serverName);
    if (known !== undefined) return this.retain(known);
    const { serverName, frame, isSqlLevel, plan, readingKey } = statement;
    return this.add(serverName, frame, isSqlLevel, plan, readingKey);
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
    readingKey: string,
  ): PreparedStatement {
    const made: PreparedStatement = {
      serverName,
      serverNameBytes: Buffer.from(serverName, 'latin1'),
      frame,
      isSqlLevel,
      plan,
      readingKey,
      figures: null,
      references: 1,
    };
    this.byName.set(serverName, made);
    this.texts += frame.length;
    return made;
  }
}

/** A collision would run another client's text, hence a cryptographic hash; the kind keeps both levels apart. */
function serverNameOf(kind: 'P' | 'S', body: Uint8Array, readingKey: string): string {
  // The length says where the key ends: no two pairs of key and body read the same.
  const head = readingKey === '' ? kind : `${kind.toLowerCase()}${readingKey.length}:${readingKey}`;
  const digest = createHash('sha256').update(head).update(body).digest('hex');
  return SERVER_NAME_PREFIX + digest.slice(0, 32);
}
