/**
 * A sequence cell: even = at rest, odd = being written. One writer; readers never block it.
 *
 * Both sides use a read-modify-write where a plain atomic load or store would do on x86. On ARM a store-release
 * lets later writes move before it, and a load-acquire lets earlier reads move after it; exactly these two moves
 * break a sequence lock, and JavaScript has no fence. An atomic add is both acquire and release.
 */
export class Seqlock {
  readonly cells: Int32Array;
  readonly index: number;

  constructor(cells: Int32Array, index: number) {
    this.cells = cells;
    this.index = index;
  }

  /** Before the first write of a group. */
  beginWrite(): void {
    const before = Atomics.add(this.cells, this.index, 1);
    if ((before & 1) !== 0) throw new Error('seqlock: second writer');
  }

  /** After the last write of a group. */
  endWrite(): void {
    const before = Atomics.add(this.cells, this.index, 1);
    if ((before & 1) === 0) throw new Error('seqlock: not being written');
  }

  /** The sequence to hand to isUnchanged(); odd when a write is under way, and then not worth reading. */
  beginRead(): number {
    return Atomics.load(this.cells, this.index);
  }

  /** True when everything read since beginRead() belongs together. */
  isUnchanged(sequence: number): boolean {
    return (sequence & 1) === 0 && Atomics.add(this.cells, this.index, 0) === sequence;
  }
}
