import { openSync } from 'node:fs';
import { LineWriter } from './line-writer.js';

/** Where lines go. */
export interface LogDestination {
  write(line: string): unknown;
  /** Resolves when all is written or cannot be, in bounded time. */
  flush?(): Promise<void>;
  /** Lines dropped since it was asked last. */
  takeLost?(): number;
  /** @throws the system's error: then it goes on as before */
  reopen?(): void;
}

/** Statements' shapes and names of users are in it. */
const FILE_MODE = 0o640;
const STANDARD_OUTPUT = 1;

/** A closed pipe (`pgdog-cluster | head`): it goes on serving without a log. */
export function standardOutput(): LogDestination {
  const writer = new LineWriter(STANDARD_OUTPUT);
  process.once('exit', () => writer.writeNow());
  return {
    write: (line) => writer.write(line),
    flush: () => writer.flush(),
    takeLost: () => writer.takeLost(),
  };
}

/**
 * A file, appended to. Opened at once, so that one that cannot be is told at the start.
 * @throws the system's error
 */
export function logFile(path: string): LogDestination {
  let writer = new LineWriter(openSync(path, 'a', FILE_MODE));
  let lostCount = 0;
  process.once('exit', () => writer.writeNow());
  return {
    write: (line) => writer.write(line),
    flush: () => writer.flush(),
    takeLost: () => {
      const count = lostCount;
      lostCount = 0;
      return count + writer.takeLost();
    },
    reopen: () => {
      const next = new LineWriter(openSync(path, 'a', FILE_MODE));
      // What was written before goes where it was meant to.
      void writer.end().then((count) => {
        lostCount += count;
      });
      writer = next;
    },
  };
}
