/** What readShards() says of a statement about the tables of the fixture, in one line. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  catalogLookup,
  joinShards,
  type KeySource,
  type MergePlan,
  type ReadTerms,
  readShape,
  readShards,
  type ShardReading,
  type SqlParser,
  shape,
} from '@pgdog-cluster/core';
import { CATALOG, SHARDING } from './shard-fixture-catalog.js';

const IMMUTABLE: ReadonlySet<string> = new Set(['fine', 'app.fine', '<=>']);

export function termsOf(parser: SqlParser, more: Partial<ReadTerms> = {}): ReadTerms {
  return {
    lookup: catalogLookup(CATALOG, ['public']),
    parser,
    sharding: SHARDING,
    literals: null,
    isImmutable: (name) => IMMUTABLE.has(name),
    ...more,
  };
}

/** Of a text with its values. */
export function readText(sql: string, terms: ReadTerms): ShardReading {
  const statements = terms.parser.parse(sql);
  if (statements === null || statements === 'unread') throw new Error(`not SQL: ${sql}`);
  return joinShards(statements.map(({ kind, node }) => readShards(kind, node, terms)));
}

/** Of the shape of a text: literals are known by their places. */
export function readShaped(sql: string, terms: ReadTerms): ShardReading {
  const bytes = Buffer.from(sql);
  if (readShape(bytes, 0, bytes.length) !== 0) throw new Error(`no shape: ${sql}`);
  const text = Buffer.from(shape.bytes.subarray(0, shape.length)).toString();
  return readText(text, { ...terms, literals: literalPlaces(text) });
}

/** Where literals stand in a shape: 0, 0.0 and ''. A '-' right before a number may be its sign. */
export function literalPlaces(text: string): NonNullable<ReadTerms['literals']> {
  const places = new Map<number, { index: number; isNegative: boolean }>();
  let index = 0;
  let isInWord = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = text.indexOf('"', at + 1);
    else if (char === "'" || (char === '0' && !isInWord)) {
      places.set(at, { index, isNegative: false });
      if (text[at - 1] === '-') places.set(at - 1, { index, isNegative: true });
      index++;
      at += char === "'" ? 1 : text.startsWith('0.0', at) ? 2 : 0;
    }
    isInWord =
      char === '_' ||
      char === '$' ||
      char.toLowerCase() !== char.toUpperCase() ||
      (isInWord && char >= '0' && char <= '9');
  }
  return (location) => places.get(location) ?? null;
}

function sourceText(source: KeySource): string {
  switch (source.kind) {
    case 'value':
      return source.text;
    case 'literal':
      return `${source.isNegative ? '-' : ''}#${source.index}`;
    case 'literalList':
      return `#${source.index}…`;
    case 'literalArray':
      return `{#${source.index}}`;
    case 'parameter':
      return `$${source.number}`;
    case 'parameterArray':
      return `{$${source.number}}`;
    case 'null':
      return 'null';
    case 'shard':
      return `shard ${source.shard}`;
  }
}

/**
 * `refused`; without sharded tables where it runs; `direct` with the pins of each group (`,` one of, `^` and, `&` the next
 * group); else how it is spread, `no`: not at all.
 */
export function verdict(reading: ShardReading): string {
  const { refusal, move } = reading;
  if (refusal !== null) return 'refused';
  const [source] = move?.pins[0]?.sources ?? [];
  if (move === undefined) return placed(reading);
  return `${placed(reading)} > ${source === undefined ? 'each' : sourceText(source)}`;
}

function placed({ groups, home, spread }: ShardReading): string {
  if (groups.length === 0) return home;
  if (groups.every(({ pins }) => pins.length > 0)) {
    const all = groups.map(({ pins }) =>
      pins.map(({ sources }) => sources.map(sourceText).join(',')).join('^'),
    );
    return `direct ${[...new Set(all)].join(' & ')}`;
  }
  return spread.kind === 'refused' ? 'no' : spread.kind;
}

/** A test for each line of `verdict | statement`. */
export function checkVerdicts(title: string, lines: string, terms: () => ReadTerms): void {
  for (const line of lines.trim().split('\n')) {
    const bar = line.indexOf('|');
    const [expected, sql] = [line.slice(0, bar).trim(), line.slice(bar + 1).trim()];
    it(`${title}: ${sql}`, () => {
      const reading = readText(sql, terms());
      const why = reading.spread.kind === 'refused' ? reading.spread.reason : '';
      const got = verdict(reading);
      assert.equal(got, expected, `${got}, not ${expected}: ${reading.refusal?.reason ?? why}`);
    });
  }
}

/** `sort 0 asc last; group 0; count -; distinct; limit 3; offset $1`, of what there is. */
export function planText({ sort, group, aggregates, isDistinct, firstOf, limit, offset }: MergePlan): string {
  const count = (source: typeof limit): string =>
    source === null
      ? ''
      : source.kind === 'parameter'
        ? `$${source.number}`
        : source.kind === 'value'
          ? source.value
          : `#${source.index}`;
  return [
    ...sort.map(
      (key) =>
        `sort ${key.column} ${key.isDescending ? 'desc' : 'asc'} ${key.isNullsFirst ? 'first' : 'last'}`,
    ),
    group === null ? '' : `group ${group.join(',')}`.trim(),
    aggregates.some((kind) => kind !== null) ? aggregates.map((kind) => kind ?? '-').join(' ') : '',
    isDistinct ? 'distinct' : '',
    firstOf === undefined ? '' : `first of ${firstOf}`,
    limit === null ? '' : `limit ${count(limit)}`,
    offset === null ? '' : `offset ${count(offset)}`,
  ]
    .filter((part) => part !== '')
    .join('; ');
}
