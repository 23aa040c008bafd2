// Servers may lie: bytes that are no rows lead to a failure, never to a throw, and never to a byte beyond them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type AggregateKind,
  CompletionTag,
  RowDistinct,
  RowFold,
  RowMerge,
  RowShape,
  SeededRandom,
  VALUE_TYPE,
} from '@pgdog-cluster/core';
import { text } from '../support/frames.js';
import {
  finishFold,
  made,
  orderOf,
  type RowValue,
  rowOf,
  shapeOf,
  type TypeName,
} from '../support/merge-rows.js';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const ROUNDS = 1500;

/** Bytes that mean something to one of the readers. */
const WORDS = [
  '',
  '0',
  '-',
  '-0',
  '1.50',
  '.',
  '1e5',
  'NaN',
  '-Infinity',
  'Infinity',
  'infinity',
  '2003-01-02',
  '2003-01-02 10:11:12.5',
  '0044-03-15 10:11:12+01:30:15 BC',
  '10:11:12',
  '\\x',
  '\\xff',
  '\\377',
  't',
  '99999999999999999999',
  'a  ',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
];

class Mutations {
  readonly #random = new SeededRandom(seed);

  below(count: number): number {
    return this.#random.below(count);
  }

  value(): RowValue {
    const kind = this.below(4);
    if (kind === 0) return null;
    if (kind === 1) return Buffer.from(Array.from({ length: this.below(20) }, () => this.below(256)));
    // Sizes of binary values, and headers of numeric.
    if (kind === 2) {
      const bytes = Buffer.alloc([0, 1, 2, 4, 8, 10, 12, 16][this.below(8)], this.below(3) * 127);
      if (bytes.length >= 8 && this.below(2) === 0)
        bytes.set([
          0,
          (bytes.length - 8) / 2,
          this.below(256),
          this.below(256),
          [0, 0x40, 0xc0, 0xd0][this.below(4)],
          0,
          0,
          this.below(9),
        ]);
      return bytes;
    }
    return WORDS[this.below(WORDS.length)];
  }

  /** The row's body, most often with a byte or its end changed. */
  body(...values: RowValue[]): Buffer {
    const { bytes, start, end } = rowOf(...values);
    const body = Buffer.from(bytes.subarray(start, end));
    if (this.below(3) === 0)
      body[this.below(body.length)] = [0, 1, 0x7f, 0x80, 0xff, this.below(256)][this.below(6)];
    return this.below(4) === 0 ? body.subarray(0, this.below(body.length + 1)) : body;
  }
}

/** What `use` says of the bytes must not depend on what is around them. */
function inBothFences<T>(body: Buffer, use: (bytes: Buffer, start: number, end: number) => T): T {
  const [one, other] = [0x00, 0xff].map((fence) => {
    const bytes = Buffer.concat([Buffer.alloc(64, fence), body, Buffer.alloc(64, fence)]);
    return use(bytes, 64, 64 + body.length);
  });
  assert.deepEqual(one, other, `seed ${seed}: ${body.toString('hex')}`);
  return one;
}

describe(`rows of servers that lie (seed ${seed})`, () => {
  for (const format of ['text', 'binary'] as const) {
    it(`${format}: merge, aggregates and distinct rows`, () => {
      const mutations = new Mutations();
      let failedCount = 0;
      for (const type of Object.keys(VALUE_TYPE) as TypeName[]) {
        const shape = shapeOf(format, 'text', type);
        const order = orderOf(shape, '2 desc', '1');
        const kinds: AggregateKind[] = ['min', 'max'];
        if (type === 'int8' || type === 'numeric') kinds.push('sum');
        if (type === 'int8') kinds.push('count');
        if (type === 'bool') kinds.push('bool_and', 'bool_or');
        for (let round = 0; round < ROUNDS / 10; round++) {
          const bodies = Array.from({ length: 3 }, () => mutations.body('x', mutations.value()));
          const kind = kinds[mutations.below(kinds.length)];
          const run = (fence: number): unknown[] => {
            const rows = bodies.map((body) => ({
              bytes: Buffer.concat([Buffer.alloc(64, fence), body, Buffer.alloc(64, fence)]),
              end: 64 + body.length,
            }));
            const merge = new RowMerge(order, rows.length);
            const fold = made(RowFold.of(shape, [0], [null, kind], 1 << 20));
            const byKey = made(RowFold.of(shape, [0, 1], [null, null], 1 << 20));
            const distinct = made(RowDistinct.of(shape, 1 << 20));
            const seen: unknown[] = rows.flatMap(({ bytes, end }, shard) => [
              merge.offer(shard, bytes, 64, end),
              fold.add(bytes, 64, end),
              byKey.add(bytes, 64, end),
              distinct.take(bytes, 64, end),
            ]);
            seen.push(
              merge.next(),
              finishFold(fold, order),
              fold.failure,
              finishFold(byKey, order),
              byKey.failure,
            );
            seen.push(fold.rowCount, Buffer.from(fold.bytes).toString('hex'));
            return seen;
          };
          const seen = run(0x00);
          assert.deepEqual(
            seen,
            run(0xff),
            `seed ${seed}, ${type}: ${bodies.map((body) => body.toString('hex'))}`,
          );
          if (seen.includes('malformed')) failedCount++;
        }
      }
      assert.ok(failedCount > ROUNDS / 10, `only ${failedCount} were malformed`);
    });
  }

  it('descriptions and tags', () => {
    const mutations = new Mutations();
    const description = Buffer.concat([
      Buffer.from([0, 2]),
      ...['id', 'größe'].map((name) => Buffer.concat([text(name), Buffer.alloc(18, 1)])),
    ]);
    for (let round = 0; round < ROUNDS; round++) {
      const body = Buffer.from(description);
      body[mutations.below(body.length)] = mutations.below(256);
      const cut = body.subarray(0, mutations.below(2) === 0 ? body.length : mutations.below(body.length + 1));
      inBothFences(cut, (bytes, start, end) => RowShape.read(bytes, start, end)?.columns ?? null);
      const tag = text(['INSERT 0 5', 'SELECT 18446744073709551615', 'COPY', 'MOVE -1'][round % 4]);
      tag[mutations.below(tag.length)] = mutations.below(256);
      inBothFences(tag.subarray(0, mutations.below(tag.length + 1)), (bytes, start, end) => {
        const both = new CompletionTag();
        return [both.add(bytes, start, end), both.add(bytes, start, end), both.text()];
      });
    }
  });
});
