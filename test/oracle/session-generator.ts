/** What a client does in a session, made from a seed: writes and reads, in and out of transactions, prepared and not. */
import { Dice } from './dice.js';
import type { RowOrder, Step } from './oracle-case.js';
import { type MadeStatement, WriteGenerator } from './write-generator.js';
import { binaryOf, oidOf, type WriteColumn } from './write-tables.js';

export interface SessionStep extends Step {
  construct: string;
  /** What is executed, where it has been prepared before. */
  prepared?: string;
  order: RowOrder;
}

interface Prepared extends MadeStatement {
  name: string;
}

const PREPARED_MAX = 8;
const SAVEPOINTS = ['s1', 's2', '"s 3"'];
const MISTAKES = [
  'SELECT 1 / 0',
  'SELECT nosuch FROM customer WHERE id = 7',
  "INSERT INTO customer (id, name) VALUES (7, 'again')",
  "UPDATE customer SET born = '2024-02-30' WHERE id = 7",
  'SELECT * FROM nosuch',
  'SELECT FROM WHERE',
  'UPDATE customer SET visits = -5',
];
const DEFINITIONS = [
  'ALTER TABLE loose ADD COLUMN IF NOT EXISTS extra int DEFAULT 5',
  'ALTER TABLE loose DROP COLUMN IF EXISTS extra',
  'CREATE INDEX IF NOT EXISTS by_what ON event (what)',
  'DROP INDEX IF EXISTS by_what',
];
const BEGINS = ['BEGIN', 'BEGIN', 'START TRANSACTION', 'BEGIN ISOLATION LEVEL REPEATABLE READ'];

export class SessionGenerator {
  readonly #dice: Dice;
  readonly #writes: WriteGenerator;
  #prepared: Prepared[] = [];
  /** Being prepared; its fate is not known yet. */
  #hoped: Prepared | null = null;
  #nextName = 1;

  constructor(seed: number) {
    this.#dice = new Dice(seed);
    this.#writes = new WriteGenerator(this.#dice);
  }

  /** A new session: nothing is prepared in it. */
  newSession(): void {
    this.#prepared = [];
    this.#hoped = null;
  }

  /** What became of the last step. */
  noteOutcome(isDone: boolean): void {
    if (isDone && this.#hoped !== null) this.#prepared.push(this.#hoped);
    this.#hoped = null;
  }

  /** @param status of the session: I, T or E */
  next(status: string): SessionStep {
    const dice = this.#dice;
    if (status === 'E' && dice.chance(60)) return this.#plain('transactions', this.#wayOut());
    if (status === 'T' && dice.chance(22)) return this.#plain('transactions', this.#mark());
    if (status === 'I' && dice.chance(18)) return this.#plain('transactions', dice.of(BEGINS));
    const kind = dice.below(100);
    if (kind < 5) return this.#plain('mistakes', dice.of(MISTAKES));
    if (kind < 6 && status === 'I') return this.#plain('definitions', dice.of(DEFINITIONS));
    if (kind < 40) return this.#statement();
    if (kind < 60) return this.#bound();
    if (kind < 70 || this.#prepared.length === 0) return this.#prepare();
    return this.#execute();
  }

  /** How a batch ends. */
  end(): SessionStep {
    return this.#plain('transactions', this.#dice.chance(70) ? 'COMMIT' : 'ROLLBACK');
  }

  #plain(construct: string, sql: string): SessionStep {
    return { construct, sql, order: 'any' };
  }

  #mark(): string {
    const dice = this.#dice;
    const name = dice.of(SAVEPOINTS);
    return dice.of([
      `SAVEPOINT ${name}`,
      `SAVEPOINT ${name}`,
      `ROLLBACK TO ${name}`,
      `RELEASE ${name}`,
      'COMMIT',
      'COMMIT',
      'ROLLBACK',
    ]);
  }

  #wayOut(): string {
    const name = this.#dice.of(SAVEPOINTS);
    return this.#dice.of(['ROLLBACK', 'COMMIT', `ROLLBACK TO SAVEPOINT ${name}`, `ROLLBACK TO ${name}`]);
  }

  #statement(): SessionStep {
    const { construct, sql } = this.#writes.next(false);
    return { construct, sql, order: this.#orderOf(sql) };
  }

  #bound(): SessionStep {
    const made = this.#writes.next(true);
    const types = made.slots.map(({ type }) => (this.#dice.chance(40) ? oidOf(type) : 0));
    return { ...this.#binding(made), types };
  }

  #prepare(): SessionStep {
    const dice = this.#dice;
    const made = this.#writes.next(true);
    const full = this.#prepared.length >= PREPARED_MAX;
    if (full) this.#prepared.splice(dice.below(this.#prepared.length), 1);
    const name = `p${this.#nextName++}`;
    this.#hoped = { ...made, name };
    const types = made.slots.map(({ type }) => (dice.chance(40) ? oidOf(type) : 0));
    return {
      construct: 'prepared: made',
      sql: made.sql,
      order: 'any',
      values: [],
      types,
      statement: { name, phase: 'prepare' },
    };
  }

  #execute(): SessionStep {
    const prepared = this.#dice.of(this.#prepared);
    const kind = prepared.construct === 'reads in between' ? 'reads' : 'writes';
    return {
      ...this.#binding(prepared),
      construct: `prepared: ${kind}`,
      prepared: prepared.construct,
      statement: { name: prepared.name, phase: 'execute' },
    };
  }

  /** Values for the slots, each in text or in binary. */
  #binding({ construct, sql, slots }: MadeStatement): SessionStep {
    const dice = this.#dice;
    const values: (string | Buffer | null)[] = [];
    const formats: number[] = [];
    for (const slot of slots) {
      const [value, format] = this.#drawn(slot);
      values.push(value);
      formats.push(format);
    }
    const results = dice.chance(40) ? [1] : [];
    return { construct, sql, order: this.#orderOf(sql), values, formats, results };
  }

  #drawn({ type, pool }: WriteColumn): [string | Buffer | null, number] {
    const dice = this.#dice;
    const text = dice.of(pool);
    const isBinary = dice.chance(50);
    const bytes = isBinary && text !== null ? binaryOf(type, text) : null;
    return bytes === null ? [text, 0] : [bytes, 1];
  }

  #orderOf(sql: string): RowOrder {
    return sql.includes('ORDER BY') ? 'exact' : 'any';
  }
}
