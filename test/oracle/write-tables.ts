/** Columns that generated statements write, and the values they write into them. */

export type ColumnType =
  | 'int8'
  | 'int4'
  | 'int2'
  | 'numeric'
  | 'float8'
  | 'text'
  | 'bool'
  | 'date'
  | 'timestamptz'
  | 'timestamp'
  | 'uuid'
  | 'bytea';

export interface WriteColumn {
  name: string;
  type: ColumnType;
  /** Text forms; null is NULL. Some break constraints. */
  pool: readonly (string | null)[];
}

export interface WriteTable {
  name: string;
  /** null: whole on every shard. */
  key: WriteColumn | null;
  /** What ON CONFLICT may name; '': nothing. */
  unique: string;
  /** With the key. */
  columns: readonly WriteColumn[];
  /** Columns every INSERT has. */
  needed: readonly string[];
}

const INTS = ['0', '1', '2', '3', '7', '-1', null];
const TEXTS = ['a', 'new', 'name 1', "it's", '', 'Öl', null];
const NUMBERS = ['0', '1.50', '19', '-3.25', '1e2', null];
const DAYS = ['2024-02-29', '2024-03-01', '1999-12-31', '2024-03-05'];
const MOMENTS = ['2024-01-03 00:00:00+00:00', '2024-05-07 10:00:00.25+02:00', '1999-12-31 23:59:59+00:00'];
const UUIDS = [1, 2, 3, 4, 5, 6].map((n) => `c4ca4238-a0b9-2382-0dcc-50000000000${n}`);
const IDS = ['1', '2', '3', '7', '8', '9', '11', '40', '50', '51', '52', '-5', '9223372036854775807'];

const column = (name: string, type: ColumnType, pool: readonly (string | null)[]): WriteColumn => ({
  name,
  type,
  pool,
});

interface Draft {
  name: string;
  key: string | null;
  unique?: string;
  columns: WriteColumn[];
  needed?: string[];
}

const table = ({ name, key, unique = '', columns, needed = [] }: Draft): WriteTable => {
  const keyColumn = columns.find((each) => each.name === key) ?? null;
  return { name, key: keyColumn, unique, columns, needed: key === null ? needed : [key, ...needed] };
};

export const WRITE_TABLES: readonly WriteTable[] = [
  table({
    name: 'customer',
    key: 'id',
    unique: 'id',
    needed: ['name'],
    columns: [
      column('id', 'int8', IDS),
      column('name', 'text', TEXTS),
      column('nick', 'text', TEXTS),
      column('born', 'date', [...DAYS, null]),
      column('score', 'numeric', NUMBERS),
      column('rating', 'float8', ['0.5', '-2.25', 'NaN', null]),
      column('active', 'bool', ['t', 'f', null]),
      column('level', 'int2', ['0', '1', '3', null]),
      column('visits', 'int4', ['0', '1', '5', '2', '9', '-1', null]),
      column('seen', 'timestamptz', [...MOMENTS, null]),
      column('token', 'uuid', [...UUIDS, null]),
      column('raw', 'bytea', ['\\x00ff', '\\x', null]),
    ],
  }),
  table({
    name: 'orders',
    key: 'customer_id',
    unique: 'customer_id, id',
    needed: ['id'],
    columns: [
      column('customer_id', 'int8', IDS),
      column('id', 'int8', ['1', '2', '3', '60', '61']),
      column('amount', 'numeric', ['1.25', '19', '0.1', '7', null]),
      column('qty', 'int4', INTS),
      column('status', 'text', TEXTS),
      column('placed', 'timestamp', ['2024-05-03 10:00:00', '2024-06-01 00:00:00', null]),
      column('product_id', 'int4', ['1', '2', '5', '12', '999', null]),
    ],
  }),
  table({
    name: 'item',
    key: 'customer_id',
    unique: 'customer_id, order_id, line',
    needed: ['order_id', 'line'],
    columns: [
      column('customer_id', 'int8', ['1', '3', '4', '5', '7', '8']),
      column('order_id', 'int8', ['2', '2', '2', '1', '99']),
      column('line', 'int4', ['1', '2', '3', '4']),
      column('sku', 'text', TEXTS),
    ],
  }),
  table({
    name: 'visit',
    key: 'token',
    unique: 'token',
    columns: [
      column('token', 'uuid', UUIDS),
      column('who', 'text', TEXTS),
      column('started', 'timestamptz', [...MOMENTS, null]),
      column('hits', 'int4', INTS),
    ],
  }),
  table({
    name: 'account',
    key: 'login',
    unique: 'login',
    columns: [
      column('login', 'text', ['anna', 'Anna', 'bob', '', "it's", '日本', 'new', 'x', 'y', ' anna']),
      column('balance', 'numeric', NUMBERS),
      column('kind', 'int4', INTS),
    ],
  }),
  table({
    name: 'event',
    key: 'day',
    unique: 'day, seq',
    needed: ['seq'],
    columns: [
      column('day', 'date', DAYS),
      column('seq', 'int4', ['4', '5', '90', '91']),
      column('what', 'text', TEXTS),
      column('val', 'float8', ['0.5', '1', null]),
    ],
  }),
  table({
    name: 'reading',
    key: 'device',
    unique: 'device, at',
    needed: ['at'],
    columns: [
      column('device', 'int8', ['0', '1', '2', '3', '5', '7', '77']),
      column('at', 'date', [...DAYS, '2024-01-05', '2023-12-31']),
      column('value', 'numeric', NUMBERS),
    ],
  }),
  table({
    name: 'loose',
    key: 'k',
    columns: [
      column('k', 'int8', ['1', '2', '3', '4', '5', '100', null]),
      column('v', 'int4', INTS),
      column('t', 'text', TEXTS),
    ],
  }),
  table({
    name: 'tenant_a',
    key: 'tenant_id',
    unique: 'tenant_id, n',
    needed: ['n'],
    columns: [
      column('tenant_id', 'int4', ['0', '1', '2', '3', '6', '70']),
      column('n', 'int4', ['1', '2', '3', '30', '31']),
    ],
  }),
  table({
    name: 'other.tenant_b',
    key: 'tenant_id',
    columns: [
      column('tenant_id', 'int2', ['0', '1', '2', '3', '6', '70', null]),
      column('label', 'text', TEXTS),
    ],
  }),
  table({
    name: 'bits',
    key: 'k',
    columns: [column('k', 'bytea', ['\\x61', '\\x62', '\\x63', '\\x00', null]), column('v', 'int4', INTS)],
  }),
  table({
    name: 'moment',
    key: 'k',
    columns: [column('k', 'timestamptz', [...MOMENTS, null]), column('v', 'int4', INTS)],
  }),
  table({
    name: 'moved',
    key: 'k',
    columns: [column('k', 'int8', ['1', '2', '3']), column('v', 'int4', INTS)],
  }),
  table({
    name: 'country',
    key: null,
    unique: 'code',
    needed: ['code'],
    columns: [
      column('code', 'text', ['at', 'ch', 'z1', 'z2', 'z3', 'long']),
      column('title', 'text', TEXTS),
      column('size', 'int8', ['1', '84', '551', null]),
    ],
  }),
  table({
    name: 'product',
    key: null,
    unique: 'id',
    needed: ['id', 'name'],
    columns: [
      column('id', 'int4', ['1', '2', '12', '30', '31', '32']),
      column('name', 'text', TEXTS),
      column('price', 'numeric', ['3.25', '19', '1.005', null]),
      column('parent', 'int4', ['1', '2', '30', null]),
    ],
  }),
];

const OIDS: Record<ColumnType, number> = {
  int8: 20,
  int4: 23,
  int2: 21,
  numeric: 1700,
  float8: 701,
  text: 25,
  bool: 16,
  date: 1082,
  timestamptz: 1184,
  timestamp: 1114,
  uuid: 2950,
  bytea: 17,
};

export const oidOf = (type: ColumnType): number => OIDS[type];

/** Milliseconds from 1970 to 2000, where Postgres counts from. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const DAY_MS = 86_400_000;

function sized(bytes: number, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(bytes);
  write(buffer);
  return buffer;
}

const micros = (text: string): Buffer =>
  sized(8, (b) => b.writeBigInt64BE(BigInt(Date.parse(text) - EPOCH_MS) * 1000n));

/** The binary form; null: only text is sent of it. */
export function binaryOf(type: ColumnType, text: string): Buffer | null {
  switch (type) {
    case 'int8':
      return sized(8, (b) => b.writeBigInt64BE(BigInt(text)));
    case 'int4':
      return sized(4, (b) => b.writeInt32BE(Number(text)));
    case 'int2':
      return sized(2, (b) => b.writeInt16BE(Number(text)));
    case 'float8':
      return sized(8, (b) => b.writeDoubleBE(Number(text)));
    case 'bool':
      return Buffer.from([text === 't' ? 1 : 0]);
    case 'date':
      return sized(4, (b) => b.writeInt32BE((Date.parse(text) - EPOCH_MS) / DAY_MS));
    case 'timestamptz':
      return micros(text);
    case 'timestamp':
      return micros(`${text}Z`);
    case 'uuid':
      return Buffer.from(text.replaceAll('-', ''), 'hex');
    case 'bytea':
      return Buffer.from(text.slice(2), 'hex');
    case 'text':
      return Buffer.from(text);
    case 'numeric':
      return null;
  }
}

/** Types whose literals may stand without quotes. */
const BARE = new Set<ColumnType>(['int8', 'int4', 'int2', 'numeric']);

/** @param form 0: the barest; 1: in quotes; 2: cast */
export function literalOf(type: ColumnType, text: string | null, form: number): string {
  if (text === null) return 'NULL';
  const quoted = `'${text.replaceAll("'", "''")}'`;
  if (form === 0 && BARE.has(type)) return text;
  return form === 2 ? `${quoted}::${type}` : quoted;
}
