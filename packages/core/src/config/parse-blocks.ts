/**
 * Files of thousands of [[databases]] and [[users]]: each such table is parsed and checked by itself, and those whose text was
 * read before are taken as they were. What this gives is what reading the file as a whole gives, or nothing: then the whole
 * is read, which also finds the words for what is wrong with it.
 */
import { parse } from 'smol-toml';
import type * as z from 'zod';
import { type ParsedDocument, type SourceText, withoutBigInts } from './parse-document.js';
import { Origin } from './problem-list.js';
import { type DatabaseInput, databaseSchema, type UserInput, userSchema } from './schema.js';
import { type KeyPath, TomlPositions } from './toml-positions.js';

const SCHEMAS = { databases: databaseSchema, users: userSchema } as const;

type Kind = keyof typeof SCHEMAS;

const KINDS = ['databases', 'users'] as const satisfies readonly Kind[];

/** Fewer of them are read as fast without all this. */
const BLOCKS_MIN = 16;

/** What the tables of one file were, by their text. */
export type KnownBlocks = ReadonlyMap<string, DatabaseInput | UserInput>;

export interface BlockedDocument<T> {
  document: ParsedDocument<T>;
  blocks: KnownBlocks;
}

/** A file cut where a line begins with a bracket. */
interface Pieces {
  /** Where in the text each table of a kind begins. */
  starts: Record<Kind, number[]>;
  blocks: [kind: Kind, text: string][];
  /** What stands between them, each as it stands there. */
  others: string[];
}

function kindOf(text: string, at: number): Kind | null {
  return KINDS.find((kind) => text.startsWith(`[[${kind}]]`, at)) ?? null;
}

/**
 * Whether a bracket at the beginning of a line begins a table is not asked here. A cut in the middle of a list or a text
 * leaves pieces that are no documents by themselves, and that is looked at. Where every piece is one, reading them one after
 * another is reading the whole: whoever reads it stands at the beginning of a line, outside of everything, at each cut.
 */
function cut(text: string): Pieces {
  const pieces: Pieces = { starts: { databases: [], users: [] }, blocks: [], others: [] };
  let otherAt = 0;
  for (let at = text.startsWith('[') ? 0 : lineAfter(text, 0); at < text.length; ) {
    const next = lineAfter(text, at);
    const kind = kindOf(text, at);
    if (kind !== null) {
      if (otherAt < at) pieces.others.push(text.slice(otherAt, at));
      otherAt = next;
      pieces.starts[kind].push(at);
      pieces.blocks.push([kind, text.slice(at, next)]);
    }
    at = next;
  }
  if (otherAt < text.length) pieces.others.push(text.slice(otherAt));
  return pieces;
}

/** Of the next line that begins with a bracket. */
function lineAfter(text: string, at: number): number {
  const found = text.indexOf('\n[', at);
  return found === -1 ? text.length : found + 1;
}

/** Of its own: a piece of a text keeps the whole of it in memory, and so would every value that is a piece of that. */
function copyOf(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

function parsed(text: string): Record<string, unknown> {
  return withoutBigInts(parse(text, { integersAsBigInt: 'asNeeded' })) as Record<string, unknown>;
}

/** Null: it is not one table and nothing else, or not a good one. */
function readBlock(kind: Kind, text: string): DatabaseInput | UserInput | null {
  const raw = parsed(copyOf(text));
  const entries = raw[kind];
  if (Object.keys(raw).length !== 1 || !Array.isArray(entries) || entries.length !== 1) return null;
  const result = SCHEMAS[kind].safeParse(entries[0]);
  return result.success ? result.data : null;
}

/** The file without its tables. Null: something of them is in there, or it is none by itself. */
function readOthers(others: readonly string[], schema: z.ZodObject): Record<string, unknown> | null {
  // Each by itself as well: two halves of a list would fit together, and what stands between them would be a part of it.
  if (others.length > 1) for (const text of others) parse(text, { integersAsBigInt: 'asNeeded' });
  const raw = parsed(copyOf(others.join('')));
  if (KINDS.some((kind) => kind in raw)) return null;
  const result = schema.safeParse(raw);
  return result.success ? result.data : null;
}

function readPieces<S extends z.ZodObject>(
  { blocks, others }: Pieces,
  schema: S,
  known: KnownBlocks,
): { data: z.infer<S>; blocks: KnownBlocks } | null {
  const inputs: Record<Kind, unknown[]> = { databases: [], users: [] };
  const read = new Map<string, DatabaseInput | UserInput>();
  for (const [kind, text] of blocks) {
    // The section is refused in this file, or an entry is there twice: they are told apart by what they are.
    if (!(kind in schema.shape) || read.has(text)) return null;
    const input = known.get(text) ?? readBlock(kind, text);
    if (input === null) return null;
    read.set(text, input);
    inputs[kind].push(input);
  }
  const rest = readOthers(others, schema);
  if (rest === null) return null;
  const data: Record<string, unknown> = {};
  // In the order of the schema, as it gives them itself.
  for (const key of Object.keys(schema.shape)) {
    if ((key === 'databases' || key === 'users') && inputs[key].length > 0) data[key] = inputs[key];
    else if (key in rest) data[key] = rest[key];
  }
  return { data: data as z.infer<S>, blocks: read };
}

/** Lines of keys, found when they are asked for: in its table, which is quicker than in the whole. */
class BlockPositions {
  readonly #text: string;
  readonly #starts: Pieces['starts'];
  #whole: TomlPositions | null = null;
  /** Lines before each table. */
  #lines: Record<Kind, number[]> | null = null;

  constructor(text: string, starts: Pieces['starts']) {
    this.#text = text;
    this.#starts = starts;
  }

  lineOf(path: KeyPath): number {
    const [kind, index, ...rest] = path;
    if ((kind === 'databases' || kind === 'users') && typeof index === 'number') {
      const start = this.#starts[kind][index];
      if (start === undefined) return 0;
      const own = this.#text.slice(start, lineAfter(this.#text, start));
      this.#lines ??= { databases: this.#countLines('databases'), users: this.#countLines('users') };
      return this.#lines[kind][index] + new TomlPositions(own).lineOf([kind, 0, ...rest]);
    }
    this.#whole ??= new TomlPositions(this.#text);
    return this.#whole.lineOf(path);
  }

  #countLines(kind: Kind): number[] {
    let [count, at] = [0, 0];
    return this.#starts[kind].map((start) => {
      for (let end = this.#text.indexOf('\n', at); end !== -1 && end < start; ) {
        count++;
        at = end + 1;
        end = this.#text.indexOf('\n', at);
      }
      return count;
    });
  }
}

/** Null: read it as a whole. */
export function parseBlocks<S extends z.ZodObject>(
  { name, text }: SourceText,
  schema: S,
  known: KnownBlocks,
): BlockedDocument<z.infer<S>> | null {
  const pieces = cut(text);
  if (pieces.blocks.length < BLOCKS_MIN) return null;
  try {
    const read = readPieces(pieces, schema, known);
    if (read === null) return null;
    const origin = new Origin(name, new BlockPositions(text, pieces.starts));
    return { document: { data: read.data, origin }, blocks: read.blocks };
  } catch {
    // What is wrong, and on which line, the whole says.
    return null;
  }
}
