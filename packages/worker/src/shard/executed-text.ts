/** EXECUTE as a statement of SQL: read as if what was prepared had been bound with its arguments. */
import {
  decodeText,
  type ExecuteUse,
  FrameWriter,
  readPreparedBody,
  SqlLexer,
  TOKEN_END,
  TOKEN_MALFORMED,
  TOKEN_PARAMETER,
} from '@pgdog-cluster/core';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import { encodingOf } from '../session/client-statements.js';
import type { Session } from '../session/session.js';
import { newPreparedText, type PreparedText, readInto } from './prepared-text.js';

const HEADER_BYTES = 5;
const writer = new FrameWriter(1024);

/** The server has its own words for it: there is no such statement, or it takes another number of values. */
export const UNFIT = 'unfit';

export interface Executed {
  readonly text: PreparedText;
  /** What stands in a Bind behind the name of the statement. */
  readonly values: Uint8Array;
}

interface Known {
  readonly text: PreparedText;
  readonly parameterCount: number;
}

/** Frames of statements never change. Null: it is not understood. */
const texts = new WeakMap<Uint8Array, Known | null>();

/** @returns null: its text cannot be read */
export function executedText(session: Session, { name, values }: ExecuteUse): Executed | typeof UNFIT | null {
  const statement = session.statements.get(name);
  if (statement === undefined) return UNFIT;
  if (statement.encoding !== '' && statement.encoding !== encodingOf(session)) return null;
  let known = texts.get(statement.frame);
  if (known === undefined) {
    known = read(statement, session);
    texts.set(statement.frame, known);
  }
  if (known === null) return null;
  return values.length === known.parameterCount ? { text: known.text, values: bound(values) } : UNFIT;
}

function read(statement: PreparedStatement, session: Session): Known | null {
  const text = statement.isSqlLevel ? sqlText(statement, session) : parsedText(statement);
  return text === null ? null : { text, parameterCount: parameterCount(text) };
}

function parsedText({ frame }: PreparedStatement): PreparedText | null {
  const text = newPreparedText();
  return readInto(text, frame, 0, frame.length) ? text : null;
}

/** Of the Query that prepares it on a server, the statement, with the types behind it as a Parse has them. */
function sqlText({ frame }: PreparedStatement, { context }: Session): PreparedText | null {
  const query = frame.subarray(HEADER_BYTES, frame.length - 1);
  const body = readPreparedBody(query, context.parser);
  if (body === null) return null;
  const textEnd = query.length - body.start;
  const bytes = new Uint8Array(textEnd + 4 * body.types.length);
  bytes.set(query.subarray(body.start));
  const view = new DataView(bytes.buffer);
  for (const [index, oid] of body.types.entries()) view.setUint32(textEnd + 4 * index, oid);
  return { ...newPreparedText(), bytes, textEnd, typesStart: textEnd, typeCount: body.types.length };
}

/** As many as are declared, or as its text has. */
function parameterCount({ bytes, textStart, textEnd, typeCount }: PreparedText): number {
  const lexer = new SqlLexer();
  lexer.reset(bytes, textStart, textEnd);
  let count = typeCount;
  for (let kind = lexer.next(); kind !== TOKEN_END && kind !== TOKEN_MALFORMED; kind = lexer.next()) {
    if (kind !== TOKEN_PARAMETER) continue;
    count = Math.max(count, Number(decodeText(bytes, lexer.start + 1, lexer.end)));
  }
  return count;
}

/** All of them as texts. */
function bound(values: ExecuteUse['values']): Uint8Array {
  writer.reset().int16(0).int16(values.length);
  for (const value of values) {
    if (value === null) writer.int32(-1);
    else {
      const bytes = Buffer.from(value ?? '');
      writer.int32(bytes.length).bytes(bytes);
    }
  }
  writer.int16(0);
  return writer.take();
}
