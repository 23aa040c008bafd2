import { isAscii } from 'node:buffer';
import { createHash } from 'node:crypto';
import {
  FRONTEND,
  FrameWriter,
  findNul,
  PREPARE_LEVEL,
  type PrepareEffect,
  type SqlPlan,
} from '@pgdog-cluster/core';
import type { ReadingValues } from '../session/parameter-set.js';
import type { QueryFigures } from './query-figures.js';

/** Names on servers begin with this; a client's own names never reach a server. */
export const SERVER_NAME_PREFIX = '__pgdog_';
/** What a client's DEALLOCATE takes away in place of a statement that others may have prepared too. */
export const STAND_IN_PREFIX = `${SERVER_NAME_PREFIX}standin_`;

/** As long as any other name. */
export function standInName(index: number): string {
  return STAND_IN_PREFIX + index.toString().padStart(24, '0');
}

const HEADER_BYTES = 5;
const PREPARE = 'PREPARE ';
/** Of a few hundred bytes each. */
const DESCRIPTIONS_MAX = 4096;

/** Under what a text is read: the constants in it are made then, and stay what they are. */
export type TextReading = Pick<
  PreparedStatement,
  'readingKey' | 'encoding' | 'values' | 'origin' | 'ownKey' | 'definitions'
>;

/** Settings that a text was read under by its client, who has others now. */
export interface ReadingOrigin {
  /** No two that differ have the same. */
  readonly key: string;
  readonly values: ReadingValues;
}

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
  /**
   * Under which settings it is run: ParameterSet.readingKey. Its text was read under them as well, unless it has an `origin`: then
   * the name on servers tells of both, for a server may read it anew by itself (after a DDL, ANALYZE…), by what is set then.
   */
  readonly readingKey: string;
  readonly origin: ReadingOrigin | null;
  /** Of one that is shared with nobody; '' of all others. */
  readonly ownKey: string;
  /** The settings that `readingKey` stands for; null: nobody knows. */
  values: ReadingValues | null;
  /** The client_encoding of its bytes; '' where they are ASCII, the same in all. Null: it was being changed, and is not known. */
  readonly encoding: string | null;
  /** How often definitions had changed when it was prepared (definitions.ts): by what it reads they are those of then. */
  readonly definitions: number;
  /** Of its result (columnsOf), as the server told that parsed it first; null: it has not yet, or it is another one for each search_path. */
  columns: string | null;
  /** Of the database on which it ran last. */
  figures: QueryFigures | null;
  /**
   * By database, how often its result was found to be of another type than before: who prepared it before the last time goes by
   * the old one. Null: never.
   */
  shapes: Map<string, number> | null;
  /**
   * Count and object ids of its parameters' types as a client was told, who binds by them (definitions.ts). Null: nobody was, or some are
   * types of users.
   */
  told: Uint8Array | null;
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
  /** By name on servers, also of statements that nobody has any more: the next client with the same text need not ask. */
  private readonly descriptions = new Map<string, Pick<PreparedStatement, 'columns' | 'told'>>();
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
    read: TextReading,
  ): PreparedStatement {
    const body = bytes.subarray(start, end);
    const reading = ofText(body.subarray(0, findNul(body, 0, body.length)), read);
    const serverName = serverNameOf('P', body, reading, clientNamesIn(plan));
    const known = this.byName.get(serverName);
    if (known !== undefined) return this.retain(known);
    this.writer.reset().begin(FRONTEND.Parse).cstring(serverName).bytes(body).end();
    return this.add(serverName, this.writer.take(), false, plan, reading);
  }

  /** What PREPARE name (types) AS body is called on servers. */
  sqlServerName(effect: PrepareEffect, read: TextReading): string {
    const text = sqlBytes(effect);
    return serverNameOf('S', text, ofText(text, read));
  }

  /** The statement of PREPARE name (types) AS body. */
  acquireSql(effect: PrepareEffect, plan: SqlPlan | null, read: TextReading): PreparedStatement {
    return this.acquireSqlText(sqlBytes(effect), plan, read);
  }

  private acquireSqlText(text: Uint8Array, plan: SqlPlan | null, read: TextReading): PreparedStatement {
    const reading = ofText(text, read);
    const serverName = serverNameOf('S', text, reading);
    const known = this.byName.get(serverName);
    if (known !== undefined) return this.retain(known);
    this.writer.reset().begin(FRONTEND.Query);
    this.writer
      .bytes(Buffer.from(`${PREPARE}${serverName}`))
      .bytes(text)
      .byte(0)
      .end();
    return this.add(serverName, this.writer.take(), true, plan, reading);
  }

  /** The same text, run under other settings; its characters are what they were. */
  acquireReread(statement: PreparedStatement, reading: TextReading): PreparedStatement {
    const { frame, plan, serverName, ownKey, definitions } = statement;
    const encoding = statement.encoding ?? reading.encoding;
    const read = { ...reading, ownKey, definitions, encoding };
    if (statement.isSqlLevel) {
      const head = HEADER_BYTES + PREPARE.length + serverName.length;
      return this.acquireSqlText(frame.subarray(head, frame.length - 1), plan, read);
    }
    const start = HEADER_BYTES + serverName.length + 1;
    const reread = this.acquireParsed(frame, start, frame.length, plan, read);
    reread.columns ??= statement.columns;
    reread.told ??= statement.told;
    return reread;
  }

  /** One that was known, and may have been let go of since. */
  acquire(statement: PreparedStatement): PreparedStatement {
    const known = this.byName.get(statement.serverName);
    if (known !== undefined) return this.retain(known);
    const { serverName, frame, isSqlLevel, plan } = statement;
    return this.add(serverName, frame, isSqlLevel, plan, statement);
  }

  /** A server has told it. */
  noteDescription(statement: PreparedStatement, columns: string): void {
    if (this.descriptions.size >= DESCRIPTIONS_MAX) this.descriptions.clear();
    statement.columns = columns;
    this.descriptions.set(statement.serverName, { columns, told: statement.told });
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
    { readingKey, encoding, values, origin, ownKey, definitions }: TextReading,
  ): PreparedStatement {
    const made: PreparedStatement = {
      serverName,
      serverNameBytes: Buffer.from(serverName, 'latin1'),
      frame,
      isSqlLevel,
      plan,
      readingKey,
      origin,
      ownKey,
      values,
      encoding,
      definitions,
      figures: null,
      shapes: null,
      ...(this.descriptions.get(serverName) ?? { columns: null, told: null }),
      references: 1,
    };
    this.byName.set(serverName, made);
    this.texts += frame.length;
    return made;
  }
}

function sqlBytes({ argumentTypes, body, encoding }: PrepareEffect): Uint8Array {
  return Buffer.from(`${argumentTypes} AS ${body}`, encoding);
}

/** What of a reading matters for this text: ASCII is the same in all encodings. */
function ofText(text: Uint8Array, read: TextReading): TextReading {
  return read.encoding === '' || !isAscii(text) ? read : { ...read, encoding: '' };
}

/** The client's own names that have been replaced in an EXECUTE or its like, whose plan has them still. */
function clientNamesIn(plan: SqlPlan | null): string {
  if (plan === null || (plan.flags & PREPARE_LEVEL) === 0) return '';
  return plan.statements.flatMap(({ nameSpans }) => nameSpans.map(({ name }) => name)).join('\u0000');
}

/** A collision would run another client's text, hence a cryptographic hash; the kind keeps both levels apart. */
function serverNameOf(
  kind: 'P' | 'S',
  body: Uint8Array,
  { readingKey, encoding, origin, ownKey, definitions }: TextReading,
  clientNames = '',
): string {
  const isUsual = encoding === null || encoding === '' || encoding === 'UTF8';
  let key = isUsual ? readingKey : `${readingKey}\u0000${encoding}`;
  if (origin !== null) key += `\u0001${origin.key}`;
  if (ownKey !== '') key += `\u0002${ownKey}`;
  if (clientNames !== '') key += `\u0000\u0000${clientNames}`;
  // The length says where the key ends: no two pairs of key and body read the same.
  let head = key === '' ? kind : `${kind.toLowerCase()}${key.length}:${key}`;
  if (definitions !== 0) head = `d${definitions}:${head}`;
  const digest = createHash('sha256').update(head).update(body).digest('hex');
  return SERVER_NAME_PREFIX + digest.slice(0, 32);
}
