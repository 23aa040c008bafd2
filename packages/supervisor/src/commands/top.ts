import type { HistoryPoint } from '@pgdog-cluster/core/status';
import type { ConfigurationOptions } from '../config/config-file.js';
import { type CommandIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.js';
import { settingsOrReport } from './load-or-report.js';
import { StatusError, StatusSource } from './top/status-source.js';
import { Terminal } from './top/terminal.js';
import { type TopState, topScreen } from './top/top-screen.js';
import { TOP_VIEWS } from './top/views.js';

export interface TopOptions extends ConfigurationOptions {
  /** Of the HTTP port; without it, that of the configuration on this machine. */
  url?: string;
  /** One frame, then the end. */
  once: boolean;
}

const HISTORY_MAX = 300;
/** Of what is written into a pipe or a file. */
const COLUMNS_PLAIN = 100;

/** Where to ask, and with what; null: said why not. */
function sourceOf(options: TopOptions, io: CommandIo): StatusSource | null {
  const said = process.env.PGDOG_OPENMETRICS_TOKEN ?? '';
  if (options.url !== undefined) {
    const isWeb = URL.canParse(options.url) && ['http:', 'https:'].includes(new URL(options.url).protocol);
    if (!isWeb) io.err(`error: --url: expected http://host:port, got "${options.url}"`);
    return isWeb ? new StatusSource(new URL(options.url), said === '' ? null : said) : null;
  }
  const loaded = settingsOrReport(options, io);
  if (loaded === null) return null;
  const { openmetrics_host: host, openmetrics_port: port } = loaded.general;
  if (port === null) {
    io.err('error: openmetrics_port is not set: set it in [general], or say --url http://host:port');
    return null;
  }
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const name = reachable.includes(':') ? `[${reachable}]` : reachable;
  return new StatusSource(new URL(`http://${name}:${port}`), loaded.httpToken?.reveal() ?? null);
}

const START: TopState = {
  frame: null,
  history: [],
  link: 'connecting',
  view: 0,
  sort: TOP_VIEWS[0].sort,
  isReversed: false,
  offset: 0,
};

/** `pgdog-cluster top`: what runs, in a terminal. */
export async function top(options: TopOptions, io: CommandIo): Promise<ExitCode> {
  const { stdin, stdout } = process;
  if (!options.once && !(stdin.isTTY && stdout.isTTY)) {
    io.err('error: this is no terminal: --once prints one frame');
    return EXIT_USAGE;
  }
  const source = sourceOf(options, io);
  if (source === null) return EXIT_USAGE;
  try {
    if (!options.once) await new Top(source).run();
    else {
      const frame = await source.once();
      const { totals, atMs } = frame;
      const state = { ...START, frame, history: [{ ...totals, atMs }], link: '' };
      const columns = stdout.isTTY ? stdout.columns : COLUMNS_PLAIN;
      for (const { text } of topScreen(state, { columns, rows: null })) io.out(text.trimEnd());
    }
    return EXIT_OK;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    io.err(`error: ${error.message}`);
    return EXIT_FAILED;
  }
}

const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const;

/** The live view: figures and keys change the state, and the state is shown. */
class Top {
  readonly #source: StatusSource;
  readonly #terminal: Terminal;
  readonly #end = new AbortController();
  #state: TopState = START;
  #isPaused = false;

  constructor(source: StatusSource) {
    this.#source = source;
    this.#terminal = new Terminal(
      process.stdin,
      process.stdout,
      { onKey: (key) => this.#onKey(key), onResize: () => this.#show() },
      (process.env.NO_COLOR ?? '') === '',
    );
  }

  async run(): Promise<void> {
    const quit = () => this.#end.abort();
    const goOn = () => {
      this.#terminal.open();
      this.#show();
    };
    for (const signal of SIGNALS) process.on(signal, quit);
    process.on('SIGCONT', goOn);
    try {
      goOn();
      await this.#source.stream(this.#end.signal, {
        history: ({ points }) => this.#remember(points),
        status: (frame) => {
          const { totals, atMs } = frame;
          this.#remember([{ ...totals, atMs }]);
          if (!this.#isPaused) this.#change({ frame, link: 'live' });
        },
        lost: (why) => this.#change({ link: why }),
      });
    } finally {
      for (const signal of SIGNALS) process.off(signal, quit);
      process.off('SIGCONT', goOn);
      this.#terminal.close();
    }
  }

  #remember(points: readonly HistoryPoint[]): void {
    const last = this.#state.history.at(-1)?.atMs ?? 0;
    const news = points.filter(({ atMs }) => atMs > last);
    this.#state = { ...this.#state, history: [...this.#state.history, ...news].slice(-HISTORY_MAX) };
  }

  #change(change: Partial<TopState>): void {
    this.#state = { ...this.#state, ...change };
    this.#show();
  }

  #show(): void {
    this.#terminal.show(topScreen(this.#state, this.#terminal.size));
  }

  #onKey(key: string): void {
    if (key === 'quit') this.#end.abort();
    else if (key === 'stop') {
      // As a shell expects it of Ctrl-Z; SIGCONT brings the screen back.
      this.#terminal.close();
      process.kill(process.pid, 'SIGSTOP');
    } else {
      if (key === 'pause') this.#isPaused = !this.#isPaused;
      this.#change(this.#changeOf(key));
    }
  }

  #changeOf(key: string): Partial<TopState> {
    const { sort, isReversed, offset, view } = this.#state;
    const columns = TOP_VIEWS[view].heads.length;
    switch (key) {
      case 'up':
      case 'down':
        return { offset: Math.max(0, offset + (key === 'up' ? -1 : 1)) };
      case 'sort-left':
        return { sort: (sort + columns - 1) % columns, isReversed: false, offset: 0 };
      case 'sort-right':
        return { sort: (sort + 1) % columns, isReversed: false, offset: 0 };
      case 'reverse':
        return { isReversed: !isReversed, offset: 0 };
      case 'pause':
        return { link: this.#isPaused ? 'paused' : 'live' };
      default: {
        const next = Number(key.slice('view-'.length)) - 1;
        return { view: next, sort: TOP_VIEWS[next].sort, isReversed: false, offset: 0 };
      }
    }
  }
}
