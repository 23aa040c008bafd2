/** How much memory a process has while something is repeated, and whether it goes on growing. */
import { readFileSync } from 'node:fs';

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

/**
 * Garbage that has not been collected yet makes single values say little: by the middle value of each quarter of the time a
 * leak (each has more than the one before) is told from a plateau.
 */
export class ResidentSamples {
  readonly #values: number[] = [];
  readonly #pid: number;

  constructor(pid: number) {
    this.#pid = pid;
  }

  take(): void {
    this.#values.push(residentBytes(this.#pid));
  }

  /** Middle value of each, bytes. */
  get quarters(): number[] {
    const { length } = this.#values;
    return [0, 1, 2, 3].map((at) =>
      median(
        this.#values.slice(Math.floor((at * length) / 4), Math.max(1, Math.floor(((at + 1) * length) / 4))),
      ),
    );
  }

  /** Of the middle values: the fourth quarter's beyond the third's, which both have all that is warm. */
  get growthBytes(): number {
    const [, , third, fourth] = this.quarters;
    return fourth - third;
  }

  get text(): string {
    const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
    const all = this.#values.map((value) => value);
    const growth = this.growthBytes;
    return (
      `${this.quarters.map(megabytes).join(', ')} MB resident in the middle of each quarter ` +
      `(${megabytes(Math.min(...all))} to ${megabytes(Math.max(...all))}), ${growth < 0 ? '' : '+'}${megabytes(growth)} MB over the second half`
    );
  }
}
