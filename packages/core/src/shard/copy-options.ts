import type { CopyLayout } from '../copy/copy-layout.js';
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import type { ShardContext } from './shard-context.js';

/** What COPY's options say of its data, whatever the table. */
export type CopyOptions = Pick<
  CopyLayout,
  'format' | 'delimiter' | 'quote' | 'escape' | 'nullText' | 'defaultText' | 'hasHeader' | 'encoding'
> & {
  /** '*': of all columns. */
  readonly forceNull: readonly string[] | '*';
  readonly forceNotNull: readonly string[] | '*';
};

/** They say nothing of where a row ends or belongs. */
const HARMLESS: ReadonlySet<string> = new Set(['freeze', 'log_verbosity', 'on_error']);
const READ: ReadonlySet<string> = new Set(
  'format delimiter null default header quote escape force_null force_not_null encoding'.split(' '),
);
const TRUE_WORDS: ReadonlySet<string> = new Set(['true', 'on', '1', 'match']);
const FALSE_WORDS: ReadonlySet<string> = new Set(['false', 'off', '0']);

/**
 * Options in either syntax: the grammar makes one list of both. What Postgres does not take, in this combination or
 * at all, it refuses itself: each shard is sent the statement as it is.
 */
export function readCopyOptions(ctx: ShardContext, node: SqlNode): CopyOptions {
  const options = new Map<string, SqlNode>();
  for (const each of nodesOf(node, 'options')) {
    const option = nodeOf(each, 'DefElem') ?? {};
    const name = textOf(option, 'defname');
    options.set(name, nodeOf(option, 'arg') ?? {});
    const isKnown = READ.has(name) || HARMLESS.has(name);
    if (!isKnown) refuseOption(ctx, name);
  }
  // Which rows are left out, and how many may be, would be each shard's own count.
  if (wordOf(options.get('on_error'), 'stop') !== 'stop') refuseOption(ctx, 'on_error');
  const format = wordOf(options.get('format'), 'text');
  if (format !== 'text' && format !== 'csv' && format !== 'binary') refuseOption(ctx, 'format');
  const isCsv = format === 'csv';
  const quote = byteOf(ctx, options, 'quote', '"');
  return {
    format: isCsv || format === 'binary' ? format : 'text',
    delimiter: byteOf(ctx, options, 'delimiter', isCsv ? ',' : '\t'),
    quote,
    escape: byteOf(ctx, options, 'escape', String.fromCharCode(quote)),
    nullText: markOf(ctx, options, 'null') ?? (isCsv ? '' : '\\N'),
    defaultText: markOf(ctx, options, 'default'),
    hasHeader: readHeader(ctx, options),
    encoding: options.has('encoding') ? wordOf(options.get('encoding'), '') : null,
    forceNull: columnsOf(options.get('force_null')),
    forceNotNull: columnsOf(options.get('force_not_null')),
  };
}

function refuseOption(ctx: ShardContext, name: string): void {
  ctx.refuse(`COPY to several shards with this ${name.toUpperCase()}`, 'leave the option out');
}

/** An argument as a word, however it is written; without one it is `otherwise`. */
function wordOf(argument: SqlNode | undefined, otherwise: string): string {
  if (argument === undefined) return otherwise;
  const integer = nodeOf(argument, 'Integer');
  if (integer !== undefined) return String(typeof integer.ival === 'number' ? integer.ival : 0);
  const boolean = nodeOf(argument, 'Boolean');
  if (boolean !== undefined) return String(boolean.boolval === true);
  const text = nodeOf(argument, 'String');
  return text === undefined ? otherwise : textOf(text, 'sval');
}

/** HEADER alone is HEADER true. */
function readHeader(ctx: ShardContext, options: ReadonlyMap<string, SqlNode>): boolean {
  if (!options.has('header')) return false;
  const word = wordOf(options.get('header'), 'true').toLowerCase();
  if (!TRUE_WORDS.has(word) && !FALSE_WORDS.has(word)) refuseOption(ctx, 'header');
  return TRUE_WORDS.has(word);
}

function byteOf(
  ctx: ShardContext,
  options: ReadonlyMap<string, SqlNode>,
  name: string,
  otherwise: string,
): number {
  const text = wordOf(options.get(name), otherwise);
  const byte = text.charCodeAt(0);
  const isUsable = text.length === 1 && byte < 0x80 && byte !== 0x0a && byte !== 0x0d;
  if (!isUsable) refuseOption(ctx, name);
  return isUsable ? byte : otherwise.charCodeAt(0);
}

/** What stands for NULL or for a default. In which encoding a mark beyond ASCII would be looked for is not known. */
function markOf(ctx: ShardContext, options: ReadonlyMap<string, SqlNode>, name: string): string | null {
  if (!options.has(name)) return null;
  const text = wordOf(options.get(name), '');
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) refuseOption(ctx, name);
  return text;
}

function columnsOf(argument: SqlNode | undefined): readonly string[] | '*' {
  if (argument === undefined) return [];
  return nodeOf(argument, 'A_Star') === undefined ? pathOf(nodeOf(argument, 'List'), 'items') : '*';
}
