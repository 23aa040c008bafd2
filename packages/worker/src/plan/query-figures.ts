// ● per-frame path
import { LATENCY_CELLS, latencyCell } from '@pgdog-cluster/core';

/** Slots that are allocated together: growing copies nothing. */
const CHUNK_SLOTS = 256;
const CALLS = 0;
const TOTAL_US = 1;
const MAX_US = 2;
const ROWS = 3;
const ERRORS = 4;
const HITS = 5;
const MULTI = 6;
const FIGURES = 7;
/** A cell that would overflow halves all: quantiles stay what they are. */
const CELL_MAX = 0xffffffff;

/** What a slot takes. */
export const FIGURES_BYTES = FIGURES * 8 + LATENCY_CELLS * 4;

interface Slot {
  figures: Float64Array;
  cells: Uint32Array;
  /** In its chunk. */
  index: number;
}

/** Slots of typed arrays, handed out and taken back. */
export class FigureSlots {
  readonly #free: Slot[] = [];

  take(): Slot {
    if (this.#free.length === 0) this.#grow();
    const slot = this.#free.pop()!;
    slot.figures.fill(0, slot.index * FIGURES, (slot.index + 1) * FIGURES);
    slot.cells.fill(0, slot.index * LATENCY_CELLS, (slot.index + 1) * LATENCY_CELLS);
    return slot;
  }

  giveBack(slot: Slot): void {
    this.#free.push(slot);
  }

  #grow(): void {
    const figures = new Float64Array(CHUNK_SLOTS * FIGURES);
    const cells = new Uint32Array(CHUNK_SLOTS * LATENCY_CELLS);
    for (let index = 0; index < CHUNK_SLOTS; index++) this.#free.push({ figures, cells, index });
  }
}

/**
 * What statements of one shape on one database did. Who holds it may go on counting when the shape is thrown out: from
 * then on it counts for what has been thrown out.
 */
export class QueryFigures {
  readonly database: string;
  readonly text: string;
  /** read, write, neutral; null: nobody asked, since there is one host. */
  access: string | null = null;
  /** Its number in the table of shapes; -1: it is in none, or no longer. */
  entry: number;
  /** Of its shape and database; null: a sum over many. */
  readonly hash: Int32Array | null;
  /** When one of them was last logged as slow. */
  loggedMs = 0;
  #slots: FigureSlots;
  #slot: Slot;
  #isLent = false;

  constructor(
    slots: FigureSlots,
    database: string,
    text: string,
    entry = -1,
    hash: Int32Array | null = null,
  ) {
    this.#slots = slots;
    this.#slot = slots.take();
    this.database = database;
    this.text = text;
    this.entry = entry;
    this.hash = hash;
  }

  get hits(): number {
    return this.#get(HITS);
  }
  get calls(): number {
    return this.#get(CALLS);
  }
  /** Of the calls, those on several shards. */
  get multi(): number {
    return this.#get(MULTI);
  }
  get totalUs(): number {
    return this.#get(TOTAL_US);
  }
  get maxUs(): number {
    return this.#get(MAX_US);
  }
  get rows(): number {
    return this.#get(ROWS);
  }
  get errors(): number {
    return this.#get(ERRORS);
  }
  get cells(): Uint32Array {
    const { cells, index } = this.#slot;
    return cells.subarray(index * LATENCY_CELLS, (index + 1) * LATENCY_CELLS);
  }

  /** A text of the shape has come again. */
  hit(): void {
    this.#slot.figures[this.#slot.index * FIGURES + HITS]++;
  }

  done(us: number): void {
    const { figures, cells, index } = this.#slot;
    const at = index * FIGURES;
    figures[at + CALLS]++;
    figures[at + TOTAL_US] += us;
    if (us > figures[at + MAX_US]) figures[at + MAX_US] = us;
    const cell = index * LATENCY_CELLS + latencyCell(us);
    if (cells[cell] === CELL_MAX) this.#halve();
    cells[cell]++;
  }

  /** The call that was counted last was on several shards. */
  spread(): void {
    this.#slot.figures[this.#slot.index * FIGURES + MULTI]++;
  }

  addRows(count: number): void {
    this.#slot.figures[this.#slot.index * FIGURES + ROWS] += count;
  }

  addError(): void {
    this.#slot.figures[this.#slot.index * FIGURES + ERRORS]++;
  }

  /** All it has counted is `heir`'s, and all it will count. */
  foldInto(heir: QueryFigures): void {
    const source = this.#slot;
    const target = heir.#slot;
    const from = source.index * FIGURES;
    const to = target.index * FIGURES;
    for (let i = 0; i < FIGURES; i++) {
      const value = source.figures[from + i];
      if (i !== MAX_US) target.figures[to + i] += value;
      else if (value > target.figures[to + i]) target.figures[to + i] = value;
    }
    const { cells } = this;
    const { cells: sums } = heir;
    for (let cell = 0; cell < LATENCY_CELLS; cell++) {
      sums[cell] = Math.min(CELL_MAX, sums[cell] + cells[cell]);
    }
    if (!this.#isLent) this.#slots.giveBack(source);
    this.#slot = target;
    this.#isLent = true;
    this.entry = -1;
  }

  /** From nothing again. */
  reset(): void {
    const { figures, index } = this.#slot;
    figures.fill(0, index * FIGURES, (index + 1) * FIGURES);
    this.cells.fill(0);
  }

  #get(figure: number): number {
    return this.#slot.figures[this.#slot.index * FIGURES + figure];
  }

  #halve(): void {
    const { cells } = this;
    for (let cell = 0; cell < LATENCY_CELLS; cell++) cells[cell] >>>= 1;
  }
}
