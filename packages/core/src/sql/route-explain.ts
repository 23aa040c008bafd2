import { isUtf8 } from 'node:buffer';
import { PgDogError } from '../base/errors.js';
import { NO_SCOPE, type ShardScope } from '../shard/reading-scope.js';
import { readTenant } from '../tenant/tenant-facts.js';
import { isSwitchedOn } from './explain-options.js';
import { SqlLexer, TOKEN_END, TOKEN_MALFORMED } from './lexer.js';
import { readRoute } from './read-route.js';
import { readTextPlan, TEXT_UTF8, withDirective } from './read-sql.js';
import { readStatement } from './read-statement.js';
import { nodeOf, nodesOf, type SqlNode, type SqlValue, textOf } from './sql-node.js';
import {
  type ParsedStatement,
  SQL_PARSE_BYTES_MAX,
  SQL_PARSE_DEPTH_MAX,
  SQL_PARSE_TOKENS_MAX,
  type SqlParser,
} from './sql-parser.js';
import type { SqlPlan } from './sql-plan.js';
import { StatementText } from './statement-text.js';
import { TextScan } from './text-scan.js';

/** EXPLAIN (PGDOG) as its tree has it. */
export interface RouteExplain {
  /** Type of the explained statement's node. */
  readonly kind: string;
  /** Of the explained statement alone, with the directives of the whole text. */
  readonly plan: SqlPlan;
  readonly isJson: boolean;
  /** Highest $n. */
  readonly parameterCount: number;
}

/** Options of Postgres's own that say what to show of a plan of its: there is none, so they change nothing. */
const IDLE_OPTIONS: ReadonlySet<string> = new Set(
  'pgdog verbose costs settings generic_plan buffers timing summary memory serialize wal'.split(' '),
);

const scan = new TextScan();
const encoder = new TextEncoder();

/**
 * Reads bytes[start, end), of which asksRoute() says that it may be an EXPLAIN (PGDOG). null: it is none, a server may
 * have it. The text is parsed each time: people ask, not programs.
 * @throws PgDogError what is wrong with it
 */
export function readRouteExplain(
  bytes: Uint8Array,
  start: number,
  end: number,
  parser: SqlParser,
  tenantColumn: string | null = null,
  scope: ShardScope = NO_SCOPE,
): RouteExplain | null {
  const given = bytes.subarray(start, end);
  const string = Buffer.from(given).toString(isUtf8(given) ? 'utf8' : 'latin1');
  const text = encoder.encode(string);
  scan.read(text, 0, text.length);
  if (scan.isMalformed) return null;
  const isTooLong =
    text.length > SQL_PARSE_BYTES_MAX ||
    scan.depthMax > SQL_PARSE_DEPTH_MAX ||
    scan.tokenCount > SQL_PARSE_TOKENS_MAX;
  if (isTooLong) throw new PgDogError('unsupported_feature', 'EXPLAIN (PGDOG): the statement is too long');
  const statements = parser.parse(string);
  if (statements === null || statements === 'unread') return null;
  if (!statements.some(isRouteExplain)) return null;
  if (statements.length > 1) {
    throw new PgDogError('unsupported_feature', 'EXPLAIN (PGDOG) must be the only statement of its text');
  }
  const { node } = statements[0];
  const isJson = readOptions(node);
  const query = nodeOf(node, 'query') ?? {};
  const kind = Object.keys(query)[0] ?? '';
  const inner = nodeOf(query, kind) ?? {};
  const reading = readStatement(kind, inner, new StatementText(text, 0, text.length));
  const route = readRoute(kind, inner);
  const plan: SqlPlan = {
    statements: [{ ...reading, route }],
    flags: reading.flags,
    encoding: 'utf8',
    route,
    ...shardsOf(scope, text, parser),
    ...(tenantColumn === null ? {} : { tenant: readTenant(kind, inner, route, tenantColumn) }),
  };
  return {
    kind,
    plan: withDirective(plan, bytes, start, end),
    isJson,
    parameterCount: highestParameter(inner),
  };
}

/** Read as it would be by itself: what is written for the shards instead of it is made of its text. */
function shardsOf(scope: ShardScope, text: Uint8Array, parser: SqlParser): Pick<SqlPlan, 'shards'> {
  const explained = text.subarray(startOfExplained(text));
  const { shards } = readTextPlan(explained, TEXT_UTF8, false, parser, null, scope);
  return shards === undefined ? {} : { shards };
}

/** Behind the options, which stand in parentheses. */
function startOfExplained(text: Uint8Array): number {
  const lexer = new SqlLexer();
  lexer.reset(text, 0, text.length);
  let depth = 0;
  for (let kind = lexer.next(); kind !== TOKEN_END && kind !== TOKEN_MALFORMED; kind = lexer.next()) {
    if (kind === OPEN) depth++;
    else if (kind === CLOSE && --depth === 0) return lexer.end;
  }
  return 0;
}

const OPEN = 0x28;
const CLOSE = 0x29;

function isRouteExplain({ kind, node }: ParsedStatement): boolean {
  return kind === 'ExplainStmt' && isSwitchedOn(node, 'pgdog');
}

/** Whether FORMAT JSON is asked for. */
function readOptions(explain: SqlNode): boolean {
  let isJson = false;
  for (const option of nodesOf(explain, 'options')) {
    const element = nodeOf(option, 'DefElem');
    const name = textOf(element, 'defname');
    if (name === 'format') isJson = readFormat(nodeOf(element, 'arg'));
    else if (name === 'analyze') {
      if (isSwitchedOn(explain, name)) throw wrong('EXPLAIN (PGDOG) runs nothing: it cannot ANALYZE');
    } else if (!IDLE_OPTIONS.has(name)) throw wrong(`unrecognized EXPLAIN option "${name}"`);
  }
  return isJson;
}

function readFormat(value: SqlNode | undefined): boolean {
  const format = textOf(nodeOf(value, 'String'), 'sval');
  if (format === 'json') return true;
  if (format === 'text') return false;
  throw wrong('EXPLAIN (PGDOG) has the formats text and json');
}

function wrong(text: string): PgDogError {
  return new PgDogError('explain_option', text);
}

/** Walks with its own stack: a tree may be thousands of nodes deep. */
function highestParameter(root: SqlValue): number {
  let highest = 0;
  const stack: SqlValue[] = [root];
  while (stack.length > 0) {
    const value = stack.pop();
    if (typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (const item of value) stack.push(item);
      continue;
    }
    const node = value as SqlNode;
    const number = nodeOf(node, 'ParamRef')?.number;
    if (typeof number === 'number') highest = Math.max(highest, number);
    for (const key in node) stack.push(node[key]);
  }
  return highest;
}
