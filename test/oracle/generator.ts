/** Statements made from a seed: joins, conditions, groups, sorting, limits, parameters in both formats. */
import { Dice } from './dice.js';
import type { OracleCase, RowOrder } from './oracle-case.js';

interface Source {
  table: string;
  key: string | null;
  columns: Record<string, string>;
  keys: string[];
}

const SOURCES: readonly Source[] = [
  {
    table: 'customer',
    key: 'id',
    keys: ['7', '8', '-5', '1000', '0', '9223372036854775807', "'9'"],
    columns: {
      id: 'int8',
      name: 'text',
      city: 'other',
      nick: 'other',
      born: 'date',
      score: 'numeric',
      rating: 'float',
      active: 'bool',
      level: 'int',
      visits: 'int',
      seen: 'time',
      token: 'uuid',
      tags: 'array',
      raw: 'bytea',
    },
  },
  {
    table: 'orders',
    key: 'customer_id',
    keys: ['7', '8', '9', '40', "'3'"],
    columns: {
      customer_id: 'int8',
      id: 'int8',
      amount: 'numeric',
      qty: 'int',
      status: 'text',
      placed: 'time',
      product_id: 'int',
      note: 'other',
      total: 'numeric',
    },
  },
  {
    table: 'item',
    key: 'customer_id',
    keys: ['8', '9', '11'],
    columns: { customer_id: 'int8', order_id: 'int8', line: 'int', sku: 'text' },
  },
  { table: 'loose', key: 'k', keys: ['1', '2', '3', 'NULL'], columns: { k: 'int8', v: 'int', t: 'text' } },
  {
    table: 'reading',
    key: 'device',
    keys: ['1', '5'],
    columns: { device: 'int8', at: 'date', value: 'numeric' },
  },
  { table: 'rich', key: 'id', keys: ['9', '10'], columns: { id: 'int8', name: 'text', score: 'numeric' } },
  {
    table: 'bought',
    key: 'id',
    keys: ['7', '8'],
    columns: { id: 'int8', name: 'text', order_id: 'int8', amount: 'numeric' },
  },
  {
    table: 'account',
    key: 'login',
    keys: ["'anna'", "'bob'", "''"],
    columns: { login: 'text', balance: 'numeric', kind: 'int' },
  },
  {
    table: 'event',
    key: 'day',
    keys: ["'2024-02-29'", "date '2024-03-01'"],
    columns: { day: 'date', seq: 'int', what: 'other', val: 'float' },
  },
  {
    table: 'product',
    key: null,
    keys: [],
    columns: { id: 'int', name: 'other', price: 'numeric', kind: 'text', parent: 'int' },
  },
  { table: 'country', key: null, keys: [], columns: { code: 'other', title: 'other', size: 'int8' } },
];

const VALUES: Record<string, readonly string[]> = {
  int8: ['7', '20', '3', '-5', "'8'"],
  int: ['1', '2', '0', '3'],
  numeric: ['19', '0', '38.0', '47.5', "'9.50'"],
  float: ['0.3', '1.2'],
  text: ["'name 1'", "'new'", "'sku 2'", "'a'"],
  other: ["'Bern'", "'kind 1'", "'apfel'"],
  date: ["'2024-01-01'", "date '1992-01-01'"],
  time: ["'2024-04-01'", "'2024-05-07 10:00'"],
  bool: ['true', 'false'],
  uuid: ["'c4ca4238-a0b9-2382-0dcc-509a6f75849b'"],
  array: ["'{1,1}'"],
  bytea: ["'\\x0001'"],
};
/** What groups are made of besides columns, $ being one. */
const MADE: Record<string, readonly string[]> = {
  time: [
    "date_trunc('month', $)",
    'extract(month FROM $)',
    '$::date',
    "date_part('dow', $)",
    'extract(epoch FROM $)',
  ],
  date: ['extract(year FROM $)', "date_trunc('year', $)", "date_part('month', $)"],
  int: ['$ % 2', '$ + 1', 'CASE WHEN $ > 1 THEN 1 ELSE 0 END'],
  int8: ['$ % 3', '$::int % 2'],
  text: ['lower($)', 'length($)', "coalesce($, 'none')", '$ IS NULL'],
  numeric: ['round($, 0)', 'trunc($, 1)', '$ > 10', '$::numeric(9, 2)'],
  bool: ['coalesce($, false)', 'NOT $'],
};
const OPERATORS = ['=', '<>', '<', '>=', '=', '>', 'IS DISTINCT FROM', 'IS NOT DISTINCT FROM'];
/** Parameters in binary, where it is simple. */
const NUMBER_TYPES: Record<string, number> = { int8: 20, int: 23 };

type Ref = { alias: string; source: Source };
type Column = { text: string; type: string; isKey: boolean };

export class OracleGenerator {
  readonly #dice: Dice;
  #values: (string | Buffer | null)[] = [];
  #formats: number[] = [];
  #types: number[] = [];
  #hasParameters = false;

  constructor(seed: number) {
    this.#dice = new Dice(seed);
  }

  next(): OracleCase {
    const dice = this.#dice;
    this.#values = [];
    this.#formats = [];
    this.#types = [];
    this.#hasParameters = dice.chance(40);
    const { sql, order } = this.#counted(this.#select());
    const isBound = this.#hasParameters;
    const results = dice.chance(50) ? [1] : [];
    const extended = { values: this.#values, formats: this.#formats, types: this.#types, results };
    return {
      construct: 'generated',
      order,
      isWrite: false,
      isSession: false,
      steps: [isBound ? { sql, ...extended } : { sql }],
    };
  }

  /** Now and then not the rows are asked for but how many there are. */
  #counted(asked: { sql: string; order: RowOrder }): { sql: string; order: RowOrder } {
    return this.#dice.chance(8) ? { sql: `SELECT count(*) FROM (${asked.sql}) x`, order: 'any' } : asked;
  }

  #select(): { sql: string; order: RowOrder } {
    const dice = this.#dice;
    if (dice.chance(8)) return { sql: this.#queries(), order: 'any' };
    if (dice.chance(8)) return this.#set();
    const { from, refs } = this.#from();
    const condition = this.#where(refs, 0);
    const where = condition === '' ? '' : ` WHERE ${condition}`;
    const shape = dice.below(10);
    if (shape < 4) return this.#grouped(from, where, refs);
    if (dice.chance(12)) return this.#firstOf(from, where, refs);
    const columns = Array.from({ length: 1 + dice.below(4) }, () => this.#column(refs));
    const isDistinct = dice.chance(20);
    const shown = columns.map(({ text }, i) => (dice.chance(20) ? `${text} AS x${i}` : text));
    const list = dice.chance(8) ? '*' : shown.join(', ');
    const total = !isDistinct && dice.chance(8) ? ', count(*) OVER ()' : '';
    const head = `SELECT ${isDistinct ? 'DISTINCT ' : ''}${list}${total} FROM ${from}${where}`;
    if (list === '*' || dice.chance(30)) return { sql: head, order: 'any' };
    return this.#ordered(head, columns.length);
  }

  /** SELECT of nothing but queries. */
  #queries(): string {
    const dice = this.#dice;
    const items = Array.from({ length: 1 + dice.below(3) }, () => {
      const { from, refs } = this.#from();
      const condition = this.#where(refs, 1);
      const where = `FROM ${from} WHERE ${condition}`;
      if (dice.chance(60)) return `${dice.chance(25) ? 'NOT ' : ''}EXISTS (SELECT 1 ${where})`;
      const { text, type } = this.#column(refs);
      const isSummable = ['int', 'int8', 'numeric'].includes(type);
      const isComparable = !['uuid', 'bytea', 'bool'].includes(type);
      const name = dice.of(['count', isSummable ? 'sum' : 'count', isComparable ? 'max' : 'count']);
      return `(SELECT ${name}(${text}) ${where})`;
    });
    return `SELECT ${items.join(', ')}`;
  }

  /** Two or three queries whose columns are of the same types, and whose equal values look alike. */
  #set(): { sql: string; order: RowOrder } {
    const dice = this.#dice;
    const fits = (type: string): boolean => !['numeric', 'float', 'array', 'time'].includes(type);
    const first = dice.of(SOURCES);
    const types = Array.from({ length: 1 + dice.below(3) }, () =>
      dice.of(Object.values(first.columns).filter(fits)),
    );
    const arm = (): string => {
      const possible = SOURCES.filter(({ columns }) =>
        types.every((type) => Object.values(columns).includes(type)),
      );
      const source = dice.of(possible);
      const columns = types.map((type) => {
        const named = Object.entries(source.columns).filter(([, other]) => other === type);
        const isKeyed = source.key !== null && source.columns[source.key] === type && dice.chance(50);
        return `a.${isKeyed ? source.key : dice.of(named)[0]}`;
      });
      const condition = this.#where([{ alias: 'a', source }], 0);
      return `SELECT ${columns.join(', ')} FROM ${source.table} a${condition === '' ? '' : ` WHERE ${condition}`}`;
    };
    const operator = (): string =>
      dice.of([
        'UNION',
        'UNION ALL',
        'UNION',
        'UNION ALL',
        'INTERSECT',
        'EXCEPT',
        'EXCEPT ALL',
        'INTERSECT ALL',
      ]);
    const head = `${arm()} ${operator()} ${arm()}${dice.chance(20) ? ` ${operator()} ${arm()}` : ''}`;
    return dice.chance(50) ? { sql: head, order: 'any' } : this.#ordered(head, types.length);
  }

  /** Sorted by all that is shown: rows that are equal look alike, unless equal values can look different. */
  #ordered(head: string, count: number): { sql: string; order: RowOrder } {
    const dice = this.#dice;
    const keys = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = dice.below(i + 1);
      [keys[i], keys[j]] = [keys[j], keys[i]];
    }
    const sort = keys.map(
      (i) => `${i + 1}${dice.of(['', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST', ' ASC NULLS LAST'])}`,
    );
    const limit = dice.chance(35) ? ` LIMIT ${dice.below(12)}` : '';
    const offset = dice.chance(20) ? ` OFFSET ${dice.below(9)}` : '';
    return { sql: `${head} ORDER BY ${sort.join(', ')}${limit}${offset}`, order: 'exact' };
  }

  #grouped(from: string, where: string, refs: Ref[]): { sql: string; order: RowOrder } {
    const dice = this.#dice;
    const groups = Array.from({ length: dice.below(3) }, () => this.#groupBy(refs));
    const aggregates = Array.from({ length: 1 + dice.below(3) }, () => {
      const { text, type } = this.#column(refs);
      const name = dice.of(
        type === 'bool'
          ? ['bool_and', 'bool_or', 'count']
          : ['count', 'count', 'sum', 'min', 'max', 'avg', 'count(DISTINCT'],
      );
      if (name === 'count' && dice.chance(50)) return 'count(*)';
      const isSummable = ['int', 'int8', 'numeric'].includes(type);
      const safe = (name === 'sum' || name === 'avg') && !isSummable ? 'max' : name;
      const isComparable = !['uuid', 'bytea'].includes(type) || safe.startsWith('count');
      return `${isComparable ? safe : 'count'}${safe.endsWith('DISTINCT') ? ' ' : '('}${text})`;
    });
    const isAhead = dice.chance(85);
    const shown = isAhead ? [...groups, ...aggregates] : [...aggregates, ...groups];
    const named = groups.map((text, i) => (isAhead && dice.chance(25) ? `${i + 1}` : text));
    const by = groups.length > 0 ? ` GROUP BY ${named.join(', ')}` : '';
    const having = dice.chance(15)
      ? ` HAVING ${dice.of(['count(*) > 1', 'count(*) % 2 = 0', 'min(1) = 1'])}`
      : '';
    const head = `SELECT ${shown.join(', ')} FROM ${from}${where}${by}${having}`;
    return dice.chance(40) ? this.#ordered(head, shown.length) : { sql: head, order: 'any' };
  }

  /** A column, or something that is made of one. */
  #groupBy(refs: Ref[]): string {
    const dice = this.#dice;
    const { text, type } = this.#column(refs);
    return dice.chance(60) ? text : dice.of(MADE[type] ?? ['$'])?.replaceAll('$', text);
  }

  /** The first row of each group by its first columns, sorted by all that is shown. */
  #firstOf(from: string, where: string, refs: Ref[]): { sql: string; order: RowOrder } {
    const dice = this.#dice;
    const columns = Array.from({ length: 2 + dice.below(3) }, () => this.#column(refs).text);
    const on = columns.slice(0, 1 + dice.below(2));
    const named = on.map((text, i) => (dice.chance(25) ? `${i + 1}` : text));
    const isPartly = dice.chance(20);
    const sort = columns
      .map((text) => `${text}${dice.of(['', ' DESC', ' NULLS FIRST'])}`)
      .slice(0, isPartly ? on.length : 9);
    const limit = dice.chance(25) ? ` LIMIT ${dice.below(7)}` : '';
    const head = `SELECT DISTINCT ON (${named.join(', ')}) ${(isPartly ? on : columns).join(', ')} FROM ${from}${where}`;
    return { sql: `${head} ORDER BY ${sort.join(', ')}${limit}`, order: 'exact' };
  }

  #from(): { from: string; refs: Ref[] } {
    const dice = this.#dice;
    const first = { alias: 'a', source: dice.of(SOURCES) };
    const refs = [first];
    let from = `${first.source.table} a`;
    while (refs.length < 3 && dice.chance(40)) {
      const next = { alias: 'abc'[refs.length] ?? 'd', source: dice.of(SOURCES) };
      const join = dice.of(['JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN']);
      from += ` ${join} ${next.source.table} ${next.alias} ON ${this.#on(dice.of(refs), next)}`;
      refs.push(next);
    }
    return { from, refs };
  }

  #on(one: Ref, next: Ref): string {
    const dice = this.#dice;
    const [left, right] = [one.source, next.source];
    const isByKey =
      left.key !== null && right.key !== null && left.columns[left.key] === right.columns[right.key];
    if (isByKey && dice.chance(80)) {
      const more = dice.chance(25) ? ` AND ${this.#condition([next])}` : '';
      return `${one.alias}.${left.key} = ${next.alias}.${right.key}${more}`;
    }
    const a = this.#column([one]);
    const fitting = Object.entries(right.columns).filter(
      ([, type]) => type === a.type || (type.startsWith('int') && a.type.startsWith('int')),
    );
    if (fitting.length === 0) return `${this.#condition([one])} AND ${this.#condition([next])}`;
    return `${a.text} = ${next.alias}.${dice.of(fitting)[0]}`;
  }

  #column(refs: Ref[]): Column {
    const { alias, source } = this.#dice.of(refs);
    const [name, type] = this.#dice.of(Object.entries(source.columns));
    return { text: `${alias}.${name}`, type, isKey: name === source.key };
  }

  #where(refs: Ref[], depth: number): string {
    const dice = this.#dice;
    if (depth === 0 && dice.chance(25)) return '';
    const pinned = refs.filter(({ source }) => source.key !== null);
    const parts: string[] = [];
    if (pinned.length > 0 && dice.chance(35)) parts.push(this.#pin(dice.of(pinned)));
    while (parts.length < 3 && dice.chance(45)) parts.push(this.#condition(refs));
    if (parts.length === 0) parts.push(this.#condition(refs));
    if (depth < 1 && dice.chance(20)) return `(${parts.join(' AND ')}) OR ${this.#where(refs, depth + 1)}`;
    return parts.join(' AND ');
  }

  #pin({ alias, source }: Ref): string {
    const dice = this.#dice;
    const column = `${alias}.${source.key}`;
    const type = source.columns[source.key ?? ''] ?? '';
    const value = (): string => this.#value(type, dice.of(source.keys));
    return dice.of([
      () => `${column} = ${value()}`,
      () => `${value()} = ${column}`,
      () => `${column} IN (${value()}, ${value()})`,
      () => `${column} = ${value()}`,
      () => `${column} IS NOT DISTINCT FROM ${value()}`,
      () => `(${column} = ${value()} OR ${column} = ${value()})`,
      () => `NOT ${column} = ${value()}`,
      () => `${column} BETWEEN ${value()} AND ${value()}`,
    ])();
  }

  #condition(refs: Ref[]): string {
    const dice = this.#dice;
    const { text, type } = this.#column(refs);
    const kind = dice.below(12);
    if (kind === 0) return `${text} IS NULL`;
    if (kind === 1) return `${text} IS NOT NULL`;
    if (kind === 2) return `NOT (${text} = ${this.#value(type)})`;
    if (kind === 3) return `${text} IN (${this.#value(type)}, ${this.#value(type)})`;
    if (kind === 4 && refs.length > 0) return this.#exists(refs);
    return `${text} ${dice.of(OPERATORS)} ${this.#value(type)}`;
  }

  #exists(refs: Ref[]): string {
    const dice = this.#dice;
    const inner = { alias: 'e', source: dice.of(SOURCES) };
    const on = this.#on(dice.of(refs), inner);
    return `${dice.chance(30) ? 'NOT ' : ''}EXISTS (SELECT 1 FROM ${inner.source.table} e WHERE ${on})`;
  }

  #value(type: string, literal = this.#dice.of(VALUES[type] ?? ["'x'"])): string {
    const dice = this.#dice;
    if (!this.#hasParameters || literal === 'NULL' || dice.chance(40)) return literal;
    const text = literal.slice(literal.indexOf("'") + 1).replaceAll("'", '');
    const oid = NUMBER_TYPES[type];
    const isBinary = oid !== undefined && dice.chance(50);
    const bytes = Buffer.alloc(type === 'int8' ? 8 : 4);
    if (isBinary && type === 'int8') bytes.writeBigInt64BE(BigInt(text));
    else if (isBinary) bytes.writeInt32BE(Number(text));
    this.#values.push(isBinary ? bytes : text);
    this.#formats.push(isBinary ? 1 : 0);
    this.#types.push(isBinary && oid !== undefined ? oid : 0);
    return `$${this.#values.length}`;
  }
}
