import { close, write, writeSync } from 'node:fs';

/** Lines that wait for a full disk or a slow reader; what comes beyond is dropped and counted. */
export const PENDING_BYTES_MAX = 4 * 1024 * 1024;
const CHUNK_BYTES_MAX = 64 * 1024;
/** A disk that was full is tried again, and a pipe too. */
const RETRY_MS = 200;
/** A write that takes longer waits for a reader who may never come. */
const STUCK_MS = 1000;

const NOTHING = Buffer.alloc(0);
const LINE_END = 10;

/**
 * Whole lines, in order, to one descriptor, never in the time of whoever logs: a disk may be full, a reader slow or gone,
 * and the proxy serves on. Nothing is ever retried without another turn of the loop in between.
 */
export class LineWriter {
  readonly #fd: number;
  #lines: string[] = [];
  /** On its way; or what is left of it. */
  #chunk = NOTHING;
  /** Of lines and chunk. */
  #pendingBytes = 0;
  #lostCount = 0;
  #isWriting = false;
  #isFailing = false;
  #isEnded = false;
  #sinceMs = 0;
  #retry: NodeJS.Timeout | null = null;
  #flushes: (() => void)[] = [];

  /** Takes the descriptor, which end() closes. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#pendingBytes + bytes > PENDING_BYTES_MAX) {
      this.#lostCount++;
      return;
    }
    this.#lines.push(line);
    this.#pendingBytes += bytes;
    if (this.#retry === null) this.#next();
  }

  /** Lines dropped since the last call; 0 for as long as nothing can be written, since nobody could be told. */
  takeLost(): number {
    if (this.#isFailing || this.#pendingBytes > PENDING_BYTES_MAX / 2) return 0;
    const count = this.#lostCount;
    this.#lostCount = 0;
    return count;
  }

  #next(): void {
    if (this.#isWriting) return;
    if (this.#chunk.length === 0) this.#fill();
    if (this.#chunk.length === 0) {
      this.#endFlushes();
      return;
    }
    this.#isWriting = true;
    this.#sinceMs = performance.now();
    write(this.#fd, this.#chunk, (error, bytes) => this.#onWritten(error, bytes));
  }

  #fill(): void {
    let count = 0;
    for (let chars = 0; count < this.#lines.length && chars < CHUNK_BYTES_MAX; count++) {
      chars += this.#lines[count].length;
    }
    this.#chunk = Buffer.from(this.#lines.splice(0, count).join(''));
  }

  #onWritten(error: NodeJS.ErrnoException | null, bytes: number): void {
    this.#isWriting = false;
    this.#isFailing = error !== null;
    if (error === null) {
      this.#chunk = this.#chunk.subarray(bytes);
      this.#pendingBytes -= bytes;
    }
    if (this.#isEnded) {
      this.#close();
    } else if (error === null) {
      this.#next();
    } else {
      // A pipe that is full at the moment is none of what does not get better while somebody waits.
      if (error.code !== 'EAGAIN') this.#endFlushes();
      this.#retry = setTimeout(() => this.#tryAgain(), RETRY_MS).unref();
    }
  }

  #tryAgain(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    this.#next();
  }

  #endFlushes(): void {
    for (const done of this.#flushes.splice(0)) done();
  }

  /** Resolves when all is written, when writing fails, and after a second at the latest. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, STUCK_MS);
      this.#flushes.push(() => {
        clearTimeout(timer);
        resolve();
      });
      this.#tryAgain();
    });
  }

  /** Writes what it has, as flush() does, and closes the descriptor. Resolves with the number of lines lost. Call it once. */
  async end(): Promise<number> {
    await this.flush();
    this.#isEnded = true;
    this.#lostCount += this.#lines.length;
    for (const byte of this.#chunk) if (byte === LINE_END) this.#lostCount++;
    this.#lines = [];
    if (!this.#isWriting) this.#close();
    return this.#lostCount;
  }

  /** Only once no thread writes there any more: the number may then be somebody else's. */
  #close(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    close(this.#fd, () => {});
  }

  /** The process ends, without another turn of its loop: one attempt, which a stuck reader does not get. */
  writeNow(): void {
    // Half: a flush that has waited for it ends by a timer, which may be early by a moment.
    if (this.#isWriting && performance.now() - this.#sinceMs > STUCK_MS / 2) return;
    // What a thread is about to write it still does.
    let rest = Buffer.from(this.#lines.join(''));
    if (!this.#isWriting) rest = Buffer.concat([this.#chunk, rest]);
    this.#lines = [];
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch {
      // Nobody is left who could be told.
    }
  }
}
