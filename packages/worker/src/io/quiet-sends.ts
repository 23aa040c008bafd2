/**
 * Sends whose success posts no completion, in order of submission. A send is named by its handle and by its
 * position in the submission queue, so that a later one of the same handle is not taken for it.
 */
export class QuietSends {
  readonly handles: number[] = [];
  readonly positions: number[] = [];
  count: number = 0;

  add(handle: number, position: number): void {
    this.handles[this.count] = handle;
    this.positions[this.count] = position;
    this.count++;
  }

  /** Forgets the first `doneCount`. The arrays keep their length: a steady load allocates nothing. */
  drop(doneCount: number): void {
    const { handles, positions } = this;
    const left = this.count - doneCount;
    for (let i = 0; i < left; i++) {
      handles[i] = handles[doneCount + i];
      positions[i] = positions[doneCount + i];
    }
    this.count = left;
  }
}
