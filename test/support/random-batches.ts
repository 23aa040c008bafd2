/** Batches made from a seed, for the proxy over shards and for one Postgres; their answers are determined, rows are ordered. */
import type { Chance } from '../chaos/chance.js';
import type { BatchPair, Step } from './batch-pair.js';
import {
  again,
  DELETE,
  INSERT,
  one,
  READ,
  READ_ALL,
  SYNTAX,
  step,
  UPDATE,
  UPDATE_ALL,
} from './batch-words.js';
import { B, C, D, E, int32, P, Q, S } from './frames.js';

const STATEMENTS_MAX = 14;
const NAMES = ['a', 'b', 'c'];
const NAMED = [READ, UPDATE, DELETE];

/** What a batch was, for a comparison that failed. */
export function shown(frames: readonly Buffer[]): string {
  return frames
    .map((frame) => {
      const words = frame.toString('latin1', 5).replaceAll(/[^\x20-\x7e]+/g, ' ');
      return `${String.fromCharCode(frame[0] ?? 0)}(${words.trim().slice(0, 120)})`;
    })
    .join(' ');
}

export class RandomBatches {
  readonly #chance: Chance;
  readonly #pair: BatchPair;
  readonly #made: [weight: number, make: () => Buffer[]][];

  constructor(chance: Chance, pair: BatchPair) {
    this.#chance = chance;
    this.#pair = pair;
    this.#made = [...this.writes(), ...this.reads(), ...this.oddities()];
  }

  /** The next one; what a failed transaction is ended by, or taken back, is a batch of its own. */
  next(): Step {
    const { status } = this.#pair;
    const chance = this.#chance;
    if (status === 'E' && chance.is(60))
      return step(chance.is(50) ? one('ROLLBACK') : one('ROLLBACK TO s'), S());
    if (status === 'E') return step(one(READ, this.any()), one(UPDATE, this.any(), 1), S());
    if (chance.is(6)) return step(Q(status === 'I' ? 'BEGIN' : 'COMMIT'));
    const frames: Buffer[] = status === 'I' && chance.is(25) ? one('BEGIN') : [];
    const count = chance.between(1, STATEMENTS_MAX);
    const weights = this.#made.map(([weight]) => weight);
    for (let i = 0; i < count; i++) {
      if (status === 'T' && chance.is(6))
        frames.push(...one(chance.pick(['SAVEPOINT s', 'ROLLBACK TO s', 'RELEASE s'])));
      else frames.push(...(this.#made[chance.weighted(weights)]?.[1]() ?? []));
      // Several batches are sent at once.
      if (chance.is(4) && status === 'I') frames.push(S());
    }
    if (status === 'T' && chance.is(30)) frames.push(...one(chance.is(70) ? 'COMMIT' : 'ROLLBACK'));
    return step(frames, S());
  }

  private any(): number {
    const shard = this.#chance.between(0, 2);
    const index = this.#chance.between(0, 5);
    return this.#chance.is(60) ? this.#pair.old(shard, index) : this.#pair.fresh(shard, index);
  }

  private fresh(): number {
    return this.#pair.fresh(this.#chance.between(0, 2), this.#chance.between(0, 40));
  }

  private writes(): [number, () => Buffer[]][] {
    const n = (): number => this.#chance.between(1, 9);
    const values = (): number[] => [...new Set([this.fresh(), this.fresh(), this.fresh(), this.fresh()])];
    return [
      [12, () => one(INSERT, this.fresh(), n(), 'new')],
      [14, () => one(UPDATE, this.any(), n())],
      [8, () => one(DELETE, this.any())],
      [5, () => one(`UPDATE thing SET name = 'literal' WHERE id = ${this.any()}`)],
      [4, () => one(`${UPDATE} RETURNING n`, this.any(), n())],
      [3, () => one(UPDATE_ALL)],
      [2, () => one('UPDATE thing SET n = n + 1 WHERE n > $1', n())],
      [
        2,
        () => one('UPDATE thing SET n = n + 2 WHERE id IN ($1, $2, $3)', this.any(), this.any(), this.any()),
      ],
      [2, () => one("INSERT INTO whole VALUES ($1, 'w') ON CONFLICT (id) DO NOTHING", n())],
      [1, () => one("UPDATE whole SET name = name || 'x'")],
      [2, () => one("INSERT INTO part VALUES ($1, $2, 'p')", this.any(), n())],
      [
        3,
        () => {
          const ids = values();
          return one(
            `INSERT INTO thing (id, n) VALUES ${ids.map((_, at) => `($${at + 1}, 5)`).join(', ')}`,
            ...ids,
          );
        },
      ],
      [
        2,
        () =>
          one(
            'INSERT INTO thing (id, n) VALUES ($1, 3) ON CONFLICT (id) DO UPDATE SET n = thing.n + 1',
            this.any(),
          ),
      ],
    ];
  }

  private reads(): [number, () => Buffer[]][] {
    return [
      [12, () => one(READ, this.any())],
      [4, () => one(READ_ALL)],
      [3, () => one('SELECT count(*), sum(n), min(id) FROM thing')],
      [2, () => one('SELECT n, count(*) FROM thing GROUP BY n ORDER BY n')],
      [2, () => one('SELECT id FROM thing ORDER BY id DESC LIMIT 4 OFFSET $1', this.#chance.between(0, 9))],
      [2, () => one('SELECT id FROM whole ORDER BY id')],
      [
        2,
        () =>
          one(
            'SELECT t.id, p.no FROM thing t JOIN part p ON p.thing_id = t.id WHERE t.id = $1 ORDER BY 2',
            this.any(),
          ),
      ],
      [2, () => one('SELECT $1::int * 2', 21)],
      [
        2,
        () => [
          P('', 'SELECT id, n FROM thing WHERE n >= $1 ORDER BY id'),
          B('', '', {
            values: [int32(this.#chance.between(0, 12))],
            valueFormats: [1],
            resultFormats: [1, 0],
          }),
          D('P', ''),
          E(''),
        ],
      ],
    ];
  }

  private oddities(): [number, () => Buffer[]][] {
    const name = (): string => this.#chance.pick(NAMES);
    return [
      [
        4,
        () => {
          const own = name();
          return [P(own, this.#chance.pick(NAMED)), D('S', own)];
        },
      ],
      [4, () => again(name(), this.any())],
      [4, () => again(name(), this.any(), 1)],
      [3, () => (this.#pair.status === 'T' ? [] : [C('S', name())])],
      [1, () => [C('P', 'nobody')]],
      [2, () => one('')],
      [1, () => SYNTAX],
      [1, () => one(INSERT, this.#pair.old(this.#chance.between(0, 2), 6), 1, 'again')],
      [1, () => one(UPDATE, this.any(), -1000)],
      [1, () => [P('', READ), B('', '', { values: [String(this.any())] }), E('', 5)]],
      [1, () => one("SELECT repeat('x', 5000)")],
    ];
  }
}
