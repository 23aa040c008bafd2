// ● per-frame path
import {
  type BindFields,
  decodeName,
  readParse,
  type ShardScope,
  type SqlPlan,
  UNREAD_PLAN,
} from '@pgdog-cluster/core';
import type { PlanCache } from '../plan/plan-cache.js';
import { encodingOf } from '../session/client-statements.js';
import type { Session } from '../session/session.js';

const HEADER_BYTES = 5;

/** Where the text and the parameter types of a prepared statement stand. */
export interface PreparedText {
  bytes: Uint8Array;
  textStart: number;
  textEnd: number;
  /** First of `typeCount` oids. */
  typesStart: number;
  typeCount: number;
  /** What it was last read as, and in which scope. */
  plan: SqlPlan | null;
  scopeId: number;
}

export function newPreparedText(): PreparedText {
  return {
    bytes: NO_BYTES,
    textStart: 0,
    textEnd: 0,
    typesStart: 0,
    typeCount: 0,
    plan: null,
    scopeId: -1,
  };
}

const NO_BYTES = new Uint8Array(0);
/** Of statements with a name; their frames never change. */
const texts = new WeakMap<Uint8Array, PreparedText>();
const unnamedText = newPreparedText();
/** Of one whose bytes would now be read as other characters. */
const UNREADABLE = newPreparedText();

/** What a Bind's statement is: one that was prepared before; null: there is none. Valid until the next call. */
export function preparedText(session: Session, bytes: Uint8Array, fields: BindFields): PreparedText | null {
  const { statementStart, statementEnd } = fields;
  if (statementStart === statementEnd) return unnamed(session);
  const statement = session.statements.get(decodeName(bytes, statementStart, statementEnd));
  // What PREPARE has made cannot be bound.
  if (statement === undefined || statement.isSqlLevel) return null;
  if (statement.encoding !== '' && statement.encoding !== encodingOf(session)) return UNREADABLE;
  let text = texts.get(statement.frame);
  if (text === undefined) {
    text = newPreparedText();
    if (!readInto(text, statement.frame, 0, statement.frame.length)) return null;
    texts.set(statement.frame, text);
  }
  return text;
}

function unnamed(session: Session): PreparedText | null {
  const frame = session.requests?.extended.unnamed.parseFrame ?? null;
  if (frame === null) return null;
  if (session.requests?.extended.unnamed.isForeign === true) return UNREADABLE;
  return readInto(unnamedText, frame, 0, frame.length) ? unnamedText : null;
}

/** bytes[start, end) is a whole Parse frame. */
export function readInto(text: PreparedText, bytes: Uint8Array, start: number, end: number): boolean {
  const fields = readParse(bytes, start + HEADER_BYTES, end);
  if (fields === null) return false;
  text.bytes = bytes;
  text.textStart = fields.textStart;
  text.textEnd = fields.textEnd;
  text.typesStart = fields.typesStart;
  text.typeCount = fields.typeCount;
  text.plan = null;
  text.scopeId = -1;
  return true;
}

/** @param client one of CLIENT_…; of a text that is kept always the same, see preparedText() */
export function planOfText(text: PreparedText, cache: PlanCache, scope: ShardScope, client: number): SqlPlan {
  if (text.plan !== null && text.scopeId === scope.id) return text.plan;
  if (text.bytes.length === 0) return UNREAD_PLAN;
  const { bytes, textStart, textEnd } = text;
  text.plan = cache.lookup(bytes, textStart, textEnd, scope, client, Number.POSITIVE_INFINITY);
  text.scopeId = scope.id;
  return text.plan;
}
