import { nodeOf, nodesOf, type SqlNode, type SqlValue } from '../sql/sql-node.js';
import type { SqlParser } from '../sql/sql-parser.js';
import type { GroupExpression } from './group-expression.js';
import { NoMerge } from './no-merge.js';
import type { AggregateKind, PlainColumn } from './shard-reading.js';
import { walkNodes } from './value-facts.js';

/** A column that shards are asked for: a group's key, or a partial result over its rows. */
export interface PartialColumn {
  readonly text: string;
  /** In the client's words, where `text` is not. */
  readonly label?: string;
  /** What `text` must be to Postgres's grammar. */
  readonly node: SqlNode;
  /** null: of the group's key. */
  readonly fold: AggregateKind | null;
  /** The client's column in whose format it is asked for; -1: in binary. */
  readonly format: number;
  /** What its type must be is seen when the shards tell it; null: it is known. */
  plain: Omit<PlainColumn, 'column'> | null;
  /** How its values are ordered is known, whatever type they are of. */
  readonly isOrderKnown: boolean;
}

/** All of a statement, each once. */
export class PartialColumns {
  readonly list: PartialColumn[] = [];
  readonly #places = new Map<string, number>();

  add(column: PartialColumn): number {
    const key = `${column.fold} ${column.format} ${column.text}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.list.length);
    this.list.push(column);
    return this.list.length - 1;
  }

  /** Values of this are put in order here: whichever columns they may be of must be of types whose order is known. */
  requireOrder(expression: GroupExpression): void {
    for (const index of valueColumns(expression)) {
      const column = this.list[index];
      const { mayBeInexact = true, mayBeFloat = false } = column.plain ?? {};
      if (!column.isOrderKnown) column.plain = { mayBeText: false, mayBeInexact, mayBeFloat };
    }
  }

  /** In the client's words, no longer than an error should be. */
  get names(): string[] {
    return this.list.map(({ label, text }) => nameOfPiece(label ?? text));
  }

  get plain(): PlainColumn[] {
    return this.list.flatMap(({ plain }, column) => (plain === null ? [] : [{ column, ...plain }]));
  }
}

const NAME_LENGTH_MAX = 60;

/** Of what a client has written, on one line. */
export function nameOfPiece(text: string): string {
  const line = text.split(/\s+/).join(' ');
  return line.length > NAME_LENGTH_MAX ? `${line.slice(0, NAME_LENGTH_MAX - 1)}…` : line;
}

/** Columns whose value an expression may be, as it is. */
function valueColumns(root: GroupExpression): number[] {
  const found: number[] = [];
  const pending = [root];
  for (let each = pending.pop(); each !== undefined; each = pending.pop()) {
    if (each.kind === 'column') found.push(each.column);
    else if (each.kind === 'call') pending.push(...valueArguments(each));
  }
  return found;
}

function valueArguments({ operator, args }: Extract<GroupExpression, { kind: 'call' }>): GroupExpression[] {
  switch (operator) {
    case 'coalesce':
    case 'greatest':
    case 'least':
      return [...args];
    case 'nullif':
      return args.slice(0, 1);
    case 'case':
      return args.filter((_, i) => i % 2 === 1 || i === args.length - 1);
    default:
      return [];
  }
}

/** SQL with $1, $2 … in the place of what stands in the statement: its text, and the tree that it is meant to be. */
export interface Piece {
  readonly text: string;
  readonly node: SqlNode;
}

/** Of templates, of which there are as many as aggregates and types. */
const templateTrees = new Map<string, SqlNode>();

function templateTree(parser: SqlParser, template: string): SqlNode {
  const known = templateTrees.get(template);
  if (known !== undefined) return known;
  const parsed = parser.parse(`SELECT ${template}`);
  const target = Array.isArray(parsed) ? nodesOf(parsed[0]?.node, 'targetList')[0] : undefined;
  const value = nodeOf(nodeOf(target, 'ResTarget'), 'val');
  if (value === undefined) throw new NoMerge('a statement that cannot be rewritten');
  templateTrees.set(template, value);
  return value;
}

export function fillTemplate(parser: SqlParser, template: string, parts: readonly Piece[]): Piece {
  const value = templateTree(parser, template);
  let text = template;
  // From the last one on, so that $1 is not found in what another stands for.
  const places: [number, number, string][] = [];
  walkNodes(value, (type, { number, location }) => {
    if (type !== 'ParamRef' || typeof number !== 'number') return true;
    const at = (typeof location === 'number' ? location : 0) - 'SELECT '.length;
    places.push([at, at + `$${number}`.length, `(${parts[number - 1].text})`]);
    return true;
  });
  for (const [start, end, part] of places.sort(([a], [b]) => b - a)) {
    text = text.slice(0, start) + part + text.slice(end);
  }
  return { text, node: filled(value, parts) as SqlNode };
}

function filled(value: SqlValue, parts: readonly Piece[]): SqlValue {
  if (Array.isArray(value)) return value.map((item: SqlValue) => filled(item, parts));
  if (typeof value !== 'object' || value === null) return value;
  const number = nodeOf(value as SqlNode, 'ParamRef')?.number;
  if (typeof number === 'number') return parts[number - 1].node;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner, parts)]));
}
