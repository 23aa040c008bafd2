/** What the command's exit code tells a script. */
export const EXIT_OK = 0;
/** It was asked properly and did not work out. */
export const EXIT_FAILED = 1;
/** Wrong usage or configuration: trying again will not help. */
export const EXIT_USAGE = 2;
export type ExitCode = typeof EXIT_OK | typeof EXIT_FAILED | typeof EXIT_USAGE;

/** Output of a command, so that tests can listen. */
export interface CommandIo {
  out(line: string): void;
  err(line: string): void;
}

export const PROCESS_IO: CommandIo = {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
};
