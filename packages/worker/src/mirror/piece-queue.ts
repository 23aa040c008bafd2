import type { Piece } from './captured-unit.js';

/** Answered pieces that stay at the head until they are half of what is there: taking one off must not move all others. */
const DONE_MAX = 64;

/** Pieces of a client in their order: added and taken back at the end, answered at the head. */
export class PieceQueue {
  private pieces: (Piece | null)[] = [];
  private first = 0;

  get length(): number {
    return this.pieces.length - this.first;
  }

  get head(): Piece | null {
    return this.pieces[this.first] ?? null;
  }

  get last(): Piece | null {
    return this.pieces.at(-1) ?? null;
  }

  push(piece: Piece): Piece {
    this.pieces.push(piece);
    return piece;
  }

  dropLast(): void {
    if (this.length > 0) this.pieces.pop();
  }

  /** The first `count`, of as many at least. */
  take(count: number): Piece[] {
    const taken: Piece[] = [];
    for (let end = this.first + count; this.first < end; this.first++) {
      const piece = this.pieces[this.first];
      this.pieces[this.first] = null;
      if (piece !== null) taken.push(piece);
    }
    if (this.first > DONE_MAX && this.first * 2 > this.pieces.length) {
      this.pieces.splice(0, this.first);
      this.first = 0;
    }
    return taken;
  }

  some(test: (piece: Piece) => boolean): boolean {
    return this.pieces.some((piece) => piece !== null && test(piece));
  }

  clear(): void {
    this.pieces = [];
    this.first = 0;
  }
}
