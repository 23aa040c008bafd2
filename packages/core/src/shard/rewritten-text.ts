/** The text that shards are asked instead of a client's, held against what it is meant to be by Postgres's grammar. */
import type { SqlNode } from '../sql/sql-node.js';
import type { SqlParser } from '../sql/sql-parser.js';
import { neverMerged } from './no-merge.js';
import type { Piece } from './partial-columns.js';
import type { SelectText } from './select-text.js';
import type { CountSource } from './shard-reading.js';
import { canonical, parametersOf } from './value-facts.js';

/** Of which what is shown has no other name: names of Postgres's own are never looked for there. */
const columnName = (index: number): string => `pgdog.${index}`;
const LIMITS = new Set(['limitCount', 'limitOffset', 'limitOption']);

export interface Limits {
  readonly limit: CountSource | null;
  readonly offset: CountSource | null;
}

/** Partial results of groups: what stands before FROM, and behind WHERE, is another. */
export function groupText(
  parser: SqlParser,
  text: SelectText,
  node: SqlNode,
  columns: readonly Piece[],
  keys: readonly Piece[],
  keepsHaving: boolean,
  limits: Limits,
): string {
  const list = columns.map((column, i) => `${column.text} AS "${columnName(i)}"`).join(', ');
  const parts = [text.head(false), list, text.source];
  if (keys.length > 0) parts.push(`GROUP BY ${keys.map((key) => key.text).join(', ')}`);
  if (keepsHaving) parts.push(text.having);
  parts.push(unlimited(limits));
  const { targetList, groupClause, havingClause, sortClause, distinctClause, ...rest } = node;
  const meant: SqlNode = {
    ...rest,
    targetList: namedTargets(columns),
    ...(keys.length > 0 ? { groupClause: keys.map((key) => key.node) } : {}),
    ...(keepsHaving ? { havingClause } : {}),
  };
  return checked(parser, parts, node, meant);
}

/** Rows with more behind them. @param wanted all of each shard, or as many as there may be of all shards */
export function widerText(
  parser: SqlParser,
  text: SelectText,
  node: SqlNode,
  columns: readonly Piece[],
  limits: Limits,
  wanted: 'all' | 'some' = 'some',
): string {
  const list = columns.map((column, i) => `, ${column.text} AS "${columnName(i)}"`).join('');
  const parts = [
    text.head(true),
    text.list + list,
    text.source,
    text.clauses,
    wanted === 'all' ? unlimited(limits) : limited(limits),
  ];
  const shown = Array.isArray(node.targetList) ? node.targetList : [];
  return checked(parser, parts, node, { ...node, targetList: [...shown, ...namedTargets(columns)] });
}

function namedTargets(columns: readonly Piece[]): SqlNode[] {
  return columns.map((column, i) => ({ ResTarget: { name: columnName(i), val: column.node } }));
}

/** Nothing but the text itself is believed. */
function checked(parser: SqlParser, parts: readonly string[], node: SqlNode, meant: SqlNode): string {
  const text = parts.filter((part) => part !== '').join('\n');
  const parsed = parser.parse(text);
  const [statement] = Array.isArray(parsed) ? parsed : [];
  const isOne = Array.isArray(parsed) && parsed.length === 1 && statement?.kind === 'SelectStmt';
  if (!isOne || canonical(withoutLimits(statement.node)) !== canonical(withoutLimits(meant))) {
    throw neverMerged('a statement that cannot be rewritten');
  }
  const asked = parametersOf(statement.node);
  for (const number of parametersOf(node).keys()) {
    if (!asked.has(number)) throw neverMerged(`$${number}, which the shards would not be asked`);
  }
  return text;
}

function withoutLimits(node: SqlNode): SqlNode {
  return Object.fromEntries(Object.entries(node).filter(([key]) => !LIMITS.has(key)));
}

/** With its cast: that is its type, and what its binary form is of. */
function parameterText({ number, type }: Extract<CountSource, { kind: 'parameter' }>): string {
  return type === null ? `$${number}` : `$${number}::pg_catalog.${type}`;
}

function countText(source: CountSource): string {
  const count =
    source.kind === 'parameter' ? parameterText(source) : source.kind === 'value' ? source.value : '';
  if (count === '') throw neverMerged('LIMIT or OFFSET that cannot be moved');
  return `${count}::pg_catalog.int8`;
}

/** All rows; parameters are given all the same, and must stand somewhere. */
function unlimited({ limit, offset }: Limits): string {
  const given = [limit, offset].flatMap((source) =>
    source?.kind === 'parameter' ? [countText(source)] : [],
  );
  return given.length === 0 ? '' : `OFFSET ${given.map((count) => `${count} * 0`).join(' + ')}`;
}

/** Of each shard as many as there may be of all. */
function limited(limits: Limits): string {
  const { limit, offset } = limits;
  if (limit === null) return unlimited(limits);
  return `LIMIT ${countText(limit)}${offset === null ? '' : ` + ${countText(offset)}`}`;
}
