/** Neighbouring frames of one received buffer, to be sent on as one slice of it. */
export class FrameRun {
  private readonly pass: (bytes: Uint8Array, start: number, end: number, buffer: number) => void;
  private bytes: Uint8Array = new Uint8Array(0);
  /** -1 = none. */
  private buffer = -1;
  private start = 0;
  private end = 0;

  constructor(pass: (bytes: Uint8Array, start: number, end: number, buffer: number) => void) {
    this.pass = pass;
  }

  /** Bytes of the current chunk; what lies in no buffer (-1) is passed at once. */
  add(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    if (buffer >= 0 && buffer === this.buffer && start === this.end) {
      this.end = end;
      return;
    }
    this.flush();
    if (buffer < 0) {
      this.pass(bytes, start, end, buffer);
      return;
    }
    this.bytes = bytes;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
  }

  /** At the end of the chunk: the buffer is not ours afterwards. */
  flush(): void {
    const { buffer } = this;
    if (buffer < 0) return;
    this.buffer = -1;
    this.pass(this.bytes, this.start, this.end, buffer);
  }
}
