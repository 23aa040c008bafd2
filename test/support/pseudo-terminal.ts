/** A program at a terminal of its own, as a person has it: by Python's pty, for Node has none. */
import { type ChildProcess, spawn } from 'node:child_process';
import { findProgram } from './programs.js';

/** Runs argv[3:] at a terminal of argv[1] columns and argv[2] lines; a line `resize C R` on descriptor 3 changes them. */
const PYTHON = `
import os, pty, sys, select, struct, fcntl, termios, signal
columns, rows = int(sys.argv[1]), int(sys.argv[2])
pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[3], sys.argv[3:])
def size(c, r):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', r, c, 0, 0))
size(columns, rows)
print('pid', pid, file=sys.stderr, flush=True)
sources = [0, 3, master]
while True:
    ready, _, _ = select.select(sources, [], [])
    if master in ready:
        try: data = os.read(master, 65536)
        except OSError: break
        if not data: break
        os.write(1, data)
    if 0 in ready:
        data = os.read(0, 4096)
        if data: os.write(master, data)
        else: sources.remove(0)
    if 3 in ready:
        data = os.read(3, 4096)
        if not data: sources.remove(3)
        for line in data.decode().split('\\n'):
            if line.startswith('resize'): size(*map(int, line.split()[1:]))
cooked = termios.tcgetattr(master)[3] & termios.ICANON
_, status = os.waitpid(pid, 0)
print('end', os.waitstatus_to_exitcode(status), 'cooked' if cooked else 'raw', file=sys.stderr, flush=True)
`;

const python = findProgram('python3');
/** For node:test's `skip`. */
export const pseudoTerminalSkip = python.skip;

/** What stands on a terminal, of the few sequences that our program writes. */
class Screen {
  #lines: string[] = [];
  #row = 0;
  #pending = '';
  isAlternate = false;
  isCursorHidden = false;

  get lines(): string[] {
    return this.#lines.map((line) => line.trimEnd());
  }

  push(text: string): void {
    const whole = this.#pending + text;
    this.#pending = '';
    for (let at = 0; at < whole.length; ) {
      if (whole[at] !== '\x1b') {
        this.#lines[this.#row] = (this.#lines[this.#row] ?? '') + whole[at++];
        continue;
      }
      let end = at + 2;
      while (end < whole.length && (whole[end] < '@' || whole[end] > '~')) end++;
      if (end >= whole.length) {
        this.#pending = whole.slice(at);
        return;
      }
      this.#control(whole.slice(at + 2, end + 1));
      at = end + 1;
    }
  }

  #control(sequence: string): void {
    if (sequence.endsWith('H')) {
      this.#row = Number(sequence.split(';')[0]) - 1;
      this.#lines[this.#row] = '';
      for (let row = 0; row < this.#row; row++) this.#lines[row] ??= '';
    } else if (sequence === '2J') this.#lines = [];
    else if (sequence === 'J') this.#lines.length = this.#row;
    else if (sequence === '?1049h' || sequence === '?1049l') this.isAlternate = sequence.endsWith('h');
    else if (sequence === '?25l' || sequence === '?25h') this.isCursorHidden = sequence.endsWith('l');
  }
}

export class PseudoTerminal {
  readonly screen = new Screen();
  /** All that was written to it. */
  output = '';
  #errors = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(
    command: readonly string[],
    size: { columns: number; rows: number },
    env: NodeJS.ProcessEnv = {},
  ) {
    const args = ['-c', PYTHON, String(size.columns), String(size.rows), ...command];
    this.#child = spawn(python.path!, args, {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      this.screen.push(text);
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
  }

  /** Of the program itself. */
  get pid(): number {
    return Number(this.#errors.split('pid ')[1].split('\n')[0]);
  }

  type(keys: string): void {
    this.#child.stdin!.write(keys);
  }

  resize(columns: number, rows: number): void {
    const control = this.#child.stdio[3] as NodeJS.WritableStream;
    control.write(`resize ${columns} ${rows}\n`);
  }

  /** Until the screen is as wanted. */
  async until(isSo: (lines: string[]) => boolean, what: string, timeoutMs = 20_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!isSo(this.screen.lines)) {
      if (performance.now() > deadline)
        throw new Error(`no ${what} in:\n${this.screen.lines.join('\n')}\n${this.#errors}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Takes the terminal away, which ends the program too. Idempotent. */
  close(): void {
    this.#child.kill();
  }

  /** How it ended, and whether the terminal is as shells want it. */
  async end(): Promise<{ code: number; isCooked: boolean }> {
    await this.#ended;
    const [, code, mode] = this.#errors.slice(this.#errors.indexOf('end ')).trim().split(' ');
    return { code: Number(code), isCooked: mode === 'cooked' };
  }
}
