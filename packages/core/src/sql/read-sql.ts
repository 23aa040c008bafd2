import { isAscii, isUtf8 } from 'node:buffer';
import { mayHaveOrderedRows } from '../rewrite/ordered-rows.js';
import { readFill } from '../rewrite/read-fill.js';
import { readMade } from '../rewrite/read-made.js';
import { type LiteralPlaces, NO_SCOPE, type ShardScope } from '../shard/reading-scope.js';
import type { ShardReading } from '../shard/shard-reading.js';
import { joinTenants, readTenant } from '../tenant/tenant-facts.js';
import { CLIENT_ASCII_ENDS, CLIENT_UTF8 } from './client-encoding.js';
import { readDirective } from './directive.js';
import { dottedNames } from './dotted-names.js';
import { readExecuteHead } from './read-execute-head.js';
import { readRoute } from './read-route.js';
import { readStatement } from './read-statement.js';
import { joinRoutes } from './route-facts.js';
import { shape } from './shape.js';
import type { PrepareEffect } from './sql-effect.js';
import { DEPENDS_ON_SETTINGS, SETS_PARAMETER, SYNTAX_ERROR, UNKNOWN_EFFECT } from './sql-flags.js';
import {
  type ParsedStatement,
  SQL_PARSE_BYTES_MAX,
  SQL_PARSE_DEPTH_MAX,
  SQL_PARSE_TOKENS_MAX,
  type SqlParser,
} from './sql-parser.js';
import {
  bareSqlPlan,
  PLAIN_DEPENDENT_PLAN,
  PLAIN_PLAN,
  type SqlPlan,
  type StatementPlan,
  UNREAD_PLAN,
} from './sql-plan.js';
import { StatementText } from './statement-text.js';
import { TextScan } from './text-scan.js';

const encoder = new TextEncoder();
/** Shared by all calls of a thread: none of them awaits. */
const scan = new TextScan();

const REFUSED_PLAN = bareSqlPlan(SYNTAX_ERROR);
const REFUSED_UNKNOWN_PLAN = bareSqlPlan(SYNTAX_ERROR | UNKNOWN_EFFECT);

/** The same for a text at hand as a string. */
export function readSql(text: string, parser: SqlParser, wantsRoute = false): SqlPlan {
  const bytes = encoder.encode(text);
  return readSqlBytes(bytes, 0, bytes.length, parser, wantsRoute);
}

/**
 * Reads a text of any number of statements.
 *
 * Statements that the lexer alone proves harmless get a shared plan without statements, and are not parsed.
 * Never throws on any bytes. Offsets in the plan count from `start`.
 *
 * @param bytes the client's bytes from `start` to `end`, without the closing NUL
 * @param wantsRoute forbids that short cut
 */
export function readSqlBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  parser: SqlParser,
  wantsRoute = false,
  tenantColumn: string | null = null,
  client = CLIENT_UTF8,
): SqlPlan {
  const plan = readText(bytes.subarray(start, end), parser, wantsRoute, tenantColumn, client);
  return wantsRoute ? withDirective(plan, bytes, start, end) : plan;
}

function readText(
  text: Uint8Array,
  parser: SqlParser,
  wantsRoute: boolean,
  tenantColumn: string | null,
  client: number,
): SqlPlan {
  const encoding = isAscii(text) ? TEXT_ASCII : textEncoding(text, 0, text.length, client);
  if (encoding === TEXT_UNCERTAIN) return readExecuteHead(text, 0, text.length);
  scan.read(text, 0, text.length);
  const isDependent = scan.hasBackslash || encoding !== TEXT_ASCII;
  if (scan.isHarmless && !wantsRoute) return isDependent ? PLAIN_DEPENDENT_PLAN : PLAIN_PLAN;
  if (scan.isMalformed) return isDependent ? REFUSED_UNKNOWN_PLAN : REFUSED_PLAN;
  if (text.length > SQL_PARSE_BYTES_MAX) return UNREAD_PLAN;
  if (scan.depthMax > SQL_PARSE_DEPTH_MAX || scan.tokenCount > SQL_PARSE_TOKENS_MAX) return UNREAD_PLAN;
  const flags = isDependent ? DEPENDS_ON_SETTINGS : 0;
  const parse = encoding === TEXT_LATIN1 ? parseLatin1 : parseUtf8;
  return parse(text, parser, flags, false, tenantColumn)!;
}

/** Every byte is below 0x80; UTF-8; some single-byte encoding; none that can be read for certain. */
export const TEXT_ASCII = 0;
export const TEXT_UTF8 = 1;
export const TEXT_LATIN1 = 2;
export const TEXT_UNCERTAIN = 3;

/** How a text with bytes from 0x80 up is to be read. @param client one of CLIENT_… */
export function textEncoding(bytes: Uint8Array, start: number, end: number, client = CLIENT_UTF8): number {
  const text = bytes.subarray(start, end);
  if (client === CLIENT_UTF8) {
    if (isUtf8(text)) return TEXT_UTF8;
    return hasAsciiTrail(text) ? TEXT_UNCERTAIN : TEXT_LATIN1;
  }
  return client === CLIENT_ASCII_ENDS && mayEndInAscii(text) ? TEXT_UNCERTAIN : TEXT_LATIN1;
}

/**
 * The plan of a shape (shape.ts), which all texts of it have in common; null when there is none, because something
 * in it depends on literals, or the grammar refuses it: then each text has its own.
 */
export function readShapePlan(
  text: Uint8Array,
  encoding: number,
  hasBackslash: boolean,
  parser: SqlParser,
  wantsRoute: boolean,
  tenantColumn: string | null,
  scope: ShardScope = NO_SCOPE,
): SqlPlan | null {
  scan.read(text, 0, text.length);
  const isDependent = hasBackslash || encoding !== TEXT_ASCII;
  if (scan.isHarmless && !wantsRoute) return isDependent ? PLAIN_DEPENDENT_PLAN : PLAIN_PLAN;
  if (scan.depthMax > SQL_PARSE_DEPTH_MAX || scan.tokenCount > SQL_PARSE_TOKENS_MAX) return UNREAD_PLAN;
  const flags = isDependent ? DEPENDS_ON_SETTINGS : 0;
  const parse = encoding === TEXT_LATIN1 ? parseLatin1 : parseUtf8;
  return parse(text, parser, flags, true, tenantColumn, scope);
}

/** The plan of one text, literals and all; directives are left to withDirective(). */
export function readTextPlan(
  text: Uint8Array,
  encoding: number,
  hasBackslash: boolean,
  parser: SqlParser,
  tenantColumn: string | null,
  scope: ShardScope = NO_SCOPE,
): SqlPlan {
  if (text.length > SQL_PARSE_BYTES_MAX) return UNREAD_PLAN;
  scan.read(text, 0, text.length);
  if (scan.depthMax > SQL_PARSE_DEPTH_MAX || scan.tokenCount > SQL_PARSE_TOKENS_MAX) return UNREAD_PLAN;
  const flags = hasBackslash || encoding !== TEXT_ASCII ? DEPENDS_ON_SETTINGS : 0;
  const parse = encoding === TEXT_LATIN1 ? parseLatin1 : parseUtf8;
  return parse(text, parser, flags, false, tenantColumn, scope)!;
}

/** The same plan for one of its texts, with all in that text that could be the name of a custom setting. */
export function withMentions(plan: SqlPlan, bytes: Uint8Array, start: number, end: number): SqlPlan {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString(plan.encoding);
  const mentions = dottedNames(text);
  const statements = plan.statements.map((statement) =>
    (statement.flags & UNKNOWN_EFFECT) === 0 ? statement : { ...statement, mentions },
  );
  return { ...plan, statements };
}

/** The full reading with no short cut: for tests that hold the short cuts against it. */
export function parseSql(text: string, parser: SqlParser): SqlPlan {
  return parseUtf8(encoder.encode(text), parser, 0, false, null)!;
}

/** Of these statements the plan takes nothing from literals, but for the values of set_config(). */
const SHAPED_KINDS: ReadonlySet<string> = new Set(
  (
    'SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt TransactionStmt VariableShowStmt DeclareCursorStmt ' +
    'FetchStmt ClosePortalStmt'
  ).split(' '),
);

/**
 * A text the grammar refuses may be fine for an older or newer server, so its effect is unknown; when the
 * server answers 42601 to the whole text, nothing has happened.
 */
function parseUtf8(
  text: Uint8Array,
  parser: SqlParser,
  textFlags: number,
  isShape: boolean,
  tenantColumn: string | null,
  scope: ShardScope = NO_SCOPE,
): SqlPlan | null {
  const parsed = parser.parse(Buffer.from(text.buffer, text.byteOffset, text.length).toString('utf8'));
  if (parsed === null) return isShape ? null : REFUSED_UNKNOWN_PLAN;
  if (parsed === 'unread') return UNREAD_PLAN;
  let flags = textFlags;
  if (isShape && !parsed.every(({ kind }) => SHAPED_KINDS.has(kind))) return null;
  const statements = parsed.map((statement) => readParsed(statement, text));
  // Values of settings are literals.
  if (isShape && statements.some((statement) => (statement.flags & SETS_PARAMETER) !== 0)) return null;
  for (const statement of statements) flags |= statement.flags;
  const route = joinRoutes(statements.map((statement) => statement.route));
  const plan: SqlPlan = { statements, flags, encoding: 'utf8', route };
  const isOneText = !isShape && parsed.length === 1;
  const reading = scope.read(parsed, isShape ? literalPlaces(text) : null, isOneText ? text : null);
  if (isShape && (reading?.needsText === true || reading?.differs === true)) return null;
  const shards =
    reading?.differs === true
      ? filledReading(text, parsed, parser, scope, reading)
      : isOneText && reading?.time !== undefined
        ? timedReading(text, parsed, parser, scope, reading)
        : reading;
  const made = readMade(text, parsed, parser, shards?.isOneRow === true, scope);
  // What is filled in, and the order of rows, stand in the text itself.
  if (isShape && (made !== null || (scope !== NO_SCOPE && mayHaveOrderedRows(parsed)))) return null;
  const read = { ...plan, ...(shards === null ? {} : { shards }), ...(made === null ? {} : { made }) };
  if (tenantColumn === null) return read;
  const tenant = joinTenants(
    parsed.map(({ kind, node }, i) => readTenant(kind, node, statements[i].route, tenantColumn)),
  );
  return { ...read, tenant };
}

/** The same for all shards, if what differs is had from one of them. */
function filledReading(
  text: Uint8Array,
  parsed: readonly ParsedStatement[],
  parser: SqlParser,
  scope: ShardScope,
  reading: ShardReading,
): ShardReading {
  const filled = readFill(text, parsed, { parser, find: scope.find });
  const read = filled === null ? null : scope.read(filled.statements, null, null);
  if (filled === null || read === null || read.refusal !== null || read.home !== 'every') return reading;
  return { ...read, fill: filled.fill };
}

/** With what it is when its times are had from one server, where that leaves none of them. */
function timedReading(
  text: Uint8Array,
  parsed: readonly ParsedStatement[],
  parser: SqlParser,
  scope: ShardScope,
  reading: ShardReading,
): ShardReading {
  if (reading.refusal !== null) return reading;
  const filled = readFill(text, parsed, { parser, find: scope.find, isTimeOnly: true });
  const read = filled === null ? null : scope.read(filled.statements, null, null);
  if (filled === null || read === null || read.refusal !== null || read.time !== undefined) return reading;
  return { ...reading, timed: { fill: filled.fill, spread: read.spread } };
}

/** Which literal of the shape read last stands where the tree says. A negative number's place is that of its '-'. */
function literalPlaces(text: Uint8Array): LiteralPlaces {
  const places = shape.literalPlaces.slice(0, Math.min(shape.literalCount, shape.literalPlaces.length));
  const indexes = new Map(Array.from(places, (place, index) => [place, index]));
  return (location) => {
    let at = location;
    const isNegative = text[at] === 0x2d;
    if (isNegative) at++;
    while (text[at] === 0x20) at++;
    const index = indexes.get(at);
    return index === undefined ? null : { index, isNegative };
  };
}

function readParsed(statement: ParsedStatement, text: Uint8Array): StatementPlan {
  const end = Math.min(statement.end, text.length);
  const span = new StatementText(text, statement.start, end);
  const plan = readStatement(statement.kind, statement.node, span);
  if ((plan.flags & UNKNOWN_EFFECT) !== 0) plan.mentions = dottedNames(span.whole);
  return { ...plan, route: readRoute(statement.kind, statement.node) };
}

/** The same plan with what the comments of this one text ask for. */
export function withDirective(plan: SqlPlan, bytes: Uint8Array, start: number, end: number): SqlPlan {
  const directive = readDirective(bytes, start, end);
  return directive === null ? plan : { ...plan, route: { ...plan.route, directive } };
}

/**
 * A text in some single-byte encoding, which one we need not know: as Latin 1 every byte is one character,
 * so names and offsets come back as they went in.
 */
function parseLatin1(
  text: Uint8Array,
  parser: SqlParser,
  textFlags: number,
  isShape: boolean,
  tenantColumn: string | null,
): SqlPlan | null {
  // Not read for shards: how the server stores its texts, by which keys are hashed, is not known.
  const utf8 = encoder.encode(Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1'));
  const plan = parseUtf8(utf8, parser, textFlags, isShape, tenantColumn);
  if (plan === null || plan.statements.length === 0) return plan;
  const statements = plan.statements.map((statement) => ({
    ...statement,
    effect: statement.effect?.type === 'prepare' ? bytewise(statement.effect) : statement.effect,
    nameSpans: statement.nameSpans.map(({ start, end, name }) => ({
      start: characterCount(utf8, start),
      end: characterCount(utf8, end),
      name,
    })),
  }));
  const made = plan.made === undefined ? {} : { made: { edits: [], refusal: FOREIGN_MADE } };
  return { ...plan, ...made, statements, encoding: 'latin1' };
}

/** It is sent again, byte for byte. */
function bytewise(effect: PrepareEffect): PrepareEffect {
  return { ...effect, encoding: 'latin1' };
}

const FOREIGN_MADE = {
  reason: 'pgdog.unique_id() in a text that is not UTF-8',
  remedy: 'set client_encoding to UTF8, or give the id as a parameter',
};

function characterCount(utf8: Uint8Array, end: number): number {
  let count = 0;
  for (let i = 0; i < end; i++) if ((utf8[i] & 0xc0) !== 0x80) count++;
  return count;
}

/**
 * Whether an ASCII byte other than a letter, digit or '_' follows a high one in the range that Shift JIS, Big5,
 * GBK and their kin use for second bytes (0x40-0x7E): it may be half of a character, for instance a backslash
 * that escapes nothing. Such a text has no certain reading without knowing the encoding.
 */
function hasAsciiTrail(text: Uint8Array): boolean {
  for (let i = 0; i + 1 < text.length; i++) {
    if (text[i] < 0x80) continue;
    const byte = text[i + 1];
    const lower = byte | 0x20;
    const isWordByte = (lower >= 0x61 && lower <= 0x7a) || byte === 0x5f;
    if (byte >= 0x40 && byte < 0x7f && !isWordByte) return true;
  }
  return false;
}

/**
 * Whether a character may end in an ASCII byte, known that some do in this encoding: letters, which a name is folded by, and in
 * GB18030 and JOHAB digits and a semicolon are among them.
 */
function mayEndInAscii(text: Uint8Array): boolean {
  for (let i = 0; i + 1 < text.length; i++) {
    if (text[i] >= 0x80 && text[i + 1] >= 0x30 && text[i + 1] < 0x7f) return true;
  }
  return false;
}
