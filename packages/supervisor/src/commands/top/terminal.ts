import { writeSync } from 'node:fs';
import type { ScreenLine, Tone } from './top-screen.js';

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[2J';
const LEAVE = '\x1b[0m\x1b[?25h\x1b[?1049l';
const TONES: Record<Tone, string> = {
  plain: '',
  strong: '\x1b[1m',
  dim: '\x1b[2m',
  head: '\x1b[7m',
  bad: '\x1b[31m',
};
/** Without colours what is bad is at least strong. */
const COLOURLESS: Record<Tone, string> = { ...TONES, bad: '\x1b[1m' };

/** What stands above is what a key means; everything else is nothing. */
const KEYS: Record<string, string> = {
  '\x03': 'quit',
  q: 'quit',
  '\x1a': 'stop',
  '\x1b[A': 'up',
  '\x1b[B': 'down',
  k: 'up',
  j: 'down',
  '<': 'sort-left',
  ',': 'sort-left',
  '>': 'sort-right',
  '.': 'sort-right',
  r: 'reverse',
  p: 'pause',
  ' ': 'pause',
  '1': 'view-1',
  '2': 'view-2',
  '3': 'view-3',
  '4': 'view-4',
};

export interface TerminalListener {
  onKey(key: string): void;
  onResize(): void;
}

/**
 * The whole terminal, as long as it is open: a screen of its own, keys one by one. Given back however the process ends,
 * but for kill -9.
 */
export class Terminal {
  readonly #input: NodeJS.ReadStream;
  readonly #output: NodeJS.WriteStream;
  readonly #listener: TerminalListener;
  readonly #tones: Record<Tone, string>;
  #isOpen = false;
  /** What stands there, so that only what is new is written. */
  #shown: string[] = [];
  readonly #onData = (bytes: Buffer) => this.#read(bytes.toString('latin1'));
  readonly #onResize = () => {
    this.#shown = [];
    this.#output.write('\x1b[2J');
    this.#listener.onResize();
  };
  readonly #onExit = () => this.close();

  constructor(
    input: NodeJS.ReadStream,
    output: NodeJS.WriteStream,
    listener: TerminalListener,
    hasColours: boolean,
  ) {
    this.#input = input;
    this.#output = output;
    this.#listener = listener;
    this.#tones = hasColours ? TONES : COLOURLESS;
  }

  get size(): { columns: number; rows: number } {
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 };
  }

  /** Again while it is open: what stands there is not trusted any more. */
  open(): void {
    this.#shown = [];
    if (this.#isOpen) return;
    this.#isOpen = true;
    if (this.#input.isTTY) this.#input.setRawMode(true);
    this.#input.on('data', this.#onData);
    this.#input.resume();
    this.#output.on('resize', this.#onResize);
    process.on('exit', this.#onExit);
    this.#output.write(ENTER);
  }

  /** Idempotent. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#input.off('data', this.#onData);
    this.#input.pause();
    this.#output.off('resize', this.#onResize);
    process.off('exit', this.#onExit);
    try {
      if (this.#input.isTTY) this.#input.setRawMode(false);
      // At once: what a stream has only taken is lost when the process ends now.
      writeSync(1, LEAVE);
    } catch {
      // The terminal is gone, and with it what was to be restored.
    }
  }

  /** Shows these lines; those that have not changed are not written, which is what makes it calm over a slow line. */
  show(lines: readonly ScreenLine[]): void {
    if (!this.#isOpen) return;
    const texts = lines.map(({ text, tone }) => `${this.#tones[tone]}${text}\x1b[0m`);
    let output = '';
    texts.forEach((text, index) => {
      if (this.#shown[index] !== text) output += `\x1b[${index + 1};1H${text}\x1b[K`;
    });
    if (texts.length < this.#shown.length) output += `\x1b[${texts.length + 1};1H\x1b[J`;
    this.#shown = texts;
    if (output !== '') this.#output.write(output);
  }

  /** Keys may come several at once; a sequence that is none of ours is passed over as a whole. */
  #read(bytes: string): void {
    for (let at = 0; at < bytes.length; ) {
      const length = bytes[at] === '\x1b' ? sequenceLength(bytes, at) : 1;
      const key = KEYS[bytes.slice(at, at + length)];
      if (key !== undefined) this.#listener.onKey(key);
      at += length;
    }
  }
}

/** ESC [ … up to the letter that ends it. */
function sequenceLength(bytes: string, at: number): number {
  if (bytes[at + 1] !== '[' && bytes[at + 1] !== 'O') return 1;
  let end = at + 2;
  while (end < bytes.length && (bytes[end] < '@' || bytes[end] > '~')) end++;
  return Math.min(bytes.length, end + 1) - at;
}
