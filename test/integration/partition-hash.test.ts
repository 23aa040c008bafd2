/**
 * The shard of a value is the partition that Postgres puts it into, whichever form it comes in. `PGDOG_LONG_VALUES=1000000`
 * asks for that many values per type instead of a few thousand; SEED repeats a run.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  SeededRandom,
  type ShardKeyType,
  shardOfBinary,
  shardOfText,
  UNKNOWN_SHARD,
} from '@pgdog-cluster/core';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';

const VALUE_COUNT = Number(process.env.PGDOG_LONG_VALUES ?? 4000);
const CHUNK = 20_000;
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const random = new SeededRandom(seed);

const below = (count: number): number => random.below(count);
const pad = (value: number, size: number): string => String(value).padStart(size, '0');
const pick = <T>(...values: T[]): T => values[below(values.length)];
const digits = (count: number): string => Array.from({ length: count }, () => below(10)).join('');
const hex = (count: number): string => Array.from({ length: count }, () => below(16).toString(16)).join('');
const spaced = (text: string): string => (below(20) === 0 ? ` ${text}\t` : text);

function integer(bits: number): string {
  const limit = 1n << BigInt(bits - 1);
  if (below(20) === 0) return String(pick(limit - 1n, -limit, 0n, -1n, 1n));
  const size = 1 + below(bits);
  const value = BigInt(`0x${hex(Math.ceil(size / 4))}`) & ((1n << BigInt(size)) - 1n);
  const fitting = BigInt.asIntN(bits, value);
  const isBare = fitting < 0n || below(10) > 0;
  return spaced(isBare ? String(fitting) : `+${pick('', '0', '000')}${fitting}`);
}

const date = (): string =>
  `${pad(pick(1, 1970, 2000, 1583, 9999, 1 + below(9999)), 4)}-${pad(1 + below(12), 2)}-${pad(1 + below(28), 2)}`;
const clock = (): string =>
  `${pad(below(24), 2)}:${pad(below(60), 2)}:${pad(below(60), 2)}${pick('', `.${digits(1 + below(6))}`)}`;

const VALUES: Record<ShardKeyType, () => string> = {
  int2: () => integer(16),
  int4: () => integer(32),
  int8: () => integer(64),
  uuid: () => {
    const plain = hex(32);
    const hyphened = plain.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    return pick(
      hyphened,
      hyphened,
      plain,
      `{${hyphened.toUpperCase()}}`,
      plain.replace(/(.{4})(?=.)/g, '$1-'),
    );
  },
  text: () =>
    Array.from({ length: below(40) }, () => pick('a', 'Z', ' ', '0', 'ß', '漢', '🐘', '\n', "'", '\\')).join(
      '',
    ),
  bytea: () => pick(`\\x${hex(2 * below(40))}`, digits(below(20))),
  date,
  timestamp: () => `${date()}${pick(' ', 'T')}${clock()}`,
  timestamptz: () => `${date()} ${clock()}${pick('Z', '+00', '-08', '+05:30', '+0545', '-0330', '+15:59')}`,
  numeric: () =>
    spaced(
      pick('', '-', '+') +
        pick(
          `${digits(1 + below(40))}.${digits(below(30))}`,
          `.${digits(1 + below(20))}`,
          `${digits(1 + below(12))}`,
          `${pick('0', '00', '1', '10000')}${'0'.repeat(below(20))}.${'0'.repeat(below(9))}${pick('', '1')}`,
        ),
    ),
};

/** What Postgres takes and we do not, as its meaning depends on more than the type, or is rare. */
const NOT_READ: Partial<Record<ShardKeyType, string[]>> = {
  int8: ['0x1F', '1_000', '', '9223372036854775808', '1.0', '- 1'],
  int4: ['2147483648', '-2147483649'],
  int2: ['32768'],
  uuid: ['', 'abc', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc999c0b4ef8bb6d6bb9bd380a1'],
  bytea: ['\\000', '\\x0', '\\xg0'],
  date: ['01/02/2003', '2003-1-2', 'infinity', '2003-02-29', '2003-01-02 BC', '12003-01-02'],
  timestamp: [
    '2003-01-02',
    '2003-01-02 10:11',
    '2003-01-02 10:11:12+01',
    '2003-01-02 10:11:12.1234567',
    '2003-01-02 24:00:00',
  ],
  timestamptz: ['2003-01-02 10:11:12', '2003-01-02 10:11:12 Europe/Rome', '2003-01-02 10:11:12+1'],
  numeric: ['NaN', 'Infinity', '1e5', '.', '', '1_0'],
};

describe(`shards of values and Postgres's partitions (seed ${seed})`, () => {
  let server: TestPostgres;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  for (const type of Object.keys(VALUES) as ShardKeyType[]) {
    for (const count of type === 'int8' ? [1, 2, 3, 7, 256] : [7]) {
      it(`${type} over ${count}`, async () => {
        const table = `by_${type}_${count}`;
        const send = type === 'int2' || type === 'int4' || type === 'int8' ? `${type}send` : `${type}_send`;
        const binary = { text: 'textsend', bytea: 'byteasend' }[type as string] ?? send;
        await server.query(`CREATE TABLE ${table} (key ${type}) PARTITION BY HASH (key)`);
        for (let n = 0; n < count; n++) {
          await server.query(
            `CREATE TABLE ${table}_p${n} PARTITION OF ${table} FOR VALUES WITH (MODULUS ${count}, REMAINDER ${n})`,
          );
        }
        const seen = new Set<number>();
        for (let left = VALUE_COUNT; left > 0; left -= CHUNK) {
          const texts = Array.from({ length: Math.min(left, CHUNK) }, VALUES[type]);
          const rows = await server.query<{ partition: string; shown: string; sent: Buffer }>(
            `INSERT INTO ${table} SELECT v::${type} FROM unnest($1::text[]) WITH ORDINALITY AS t (v, n) ORDER BY n
             RETURNING tableoid::regclass::text AS partition, key::text AS shown, ${binary}(key) AS sent`,
            [texts],
          );
          rows.forEach(({ partition, shown, sent }, index) => {
            const where = `seed ${seed}: ${JSON.stringify(texts[index])}, to Postgres ${shown}`;
            const wanted = Number(partition.slice(table.length + 2));
            const text = Buffer.from(texts[index]);
            assert.equal(shardOfText(type, text, 0, text.length, count), wanted, where);
            const framed = Buffer.concat([Buffer.from([0x39]), sent, Buffer.from([0x39])]);
            assert.equal(
              shardOfBinary(type, framed, 1, 1 + sent.length, count),
              wanted,
              `${where}, in binary`,
            );
            // Postgres shows a timestamptz in the session's zone, whose old offsets have seconds, and years past 9999.
            const canonical = Buffer.from(shown);
            const again = shardOfText(type, canonical, 0, canonical.length, count);
            if (again !== UNKNOWN_SHARD || !type.startsWith('timestamp'))
              assert.equal(again, wanted, `${where}, as shown`);
            seen.add(wanted);
          });
        }
        // Or a constant would do.
        assert.equal(seen.size, Math.min(count, 256));
      });
    }
  }

  it('a value whose conversion is not known is on no shard in particular', () => {
    for (const [type, texts] of Object.entries(NOT_READ) as [ShardKeyType, string[]][]) {
      for (const text of texts) {
        const bytes = Buffer.from(text);
        assert.equal(shardOfText(type, bytes, 0, bytes.length, 3), UNKNOWN_SHARD, `${type} '${text}'`);
      }
    }
    for (const type of Object.keys(VALUES) as ShardKeyType[]) {
      if (type === 'text' || type === 'bytea') continue;
      for (const size of [0, 1, 3, 5, 7, 9, 15, 17]) {
        assert.equal(
          shardOfBinary(type, Buffer.alloc(size), 0, size, 3),
          UNKNOWN_SHARD,
          `${type} of ${size} bytes`,
        );
      }
    }
  });
});
