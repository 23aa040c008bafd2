/** The demo's load as the demo sees it: a child process and the line that says how it is doing. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LatencySummary } from './latency-window.js';

export interface LoadReport extends LatencySummary {
  failedCount: number;
  lastError: string;
  servers: { active: number; open: number } | null;
  /** Transactions on each shard, in the last second; one over two shards counts on both. */
  shards: number[];
}

export const LOAD_CLIENT_COUNT = 16;
const STOP_TIMEOUT_MS = 500;

/** One line, e.g. `load  3,120 tps (shards 1,010 + 1,204 + 1,198) · mean 5.1 ms · p99 14.0 ms · 10 of 13 server connections in use · 16 clients`. */
export function statusLine(report: LoadReport, clientCount: number): string {
  const { count, meanMs, p99Ms, servers, failedCount, lastError, shards } = report;
  const counted = (value: number): string => value.toLocaleString('en-US');
  const perShard = shards.length === 0 ? '' : ` (shards ${shards.map(counted).join(' + ')})`;
  const parts = [
    `${counted(count).padStart(6)} tps${perShard}`,
    `mean ${meanMs.toFixed(1)} ms`,
    `p99 ${p99Ms.toFixed(1)} ms`,
    servers === null
      ? 'server connections unknown'
      : `${servers.active} of ${servers.open} server connections in use`,
    `${clientCount} clients`,
  ];
  if (failedCount > 0) parts.push(`${failedCount} failed (${lastError})`);
  return `load ${parts.join(' · ')}`;
}

/** Writes over the last line on a terminal; elsewhere a line each. */
export class StatusLine {
  #out: NodeJS.WriteStream;
  #isOpen = false;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  show(text: string): void {
    if (!this.#out.isTTY) {
      this.#out.write(`${text}\n`);
      return;
    }
    // A wrapped line could not be written over.
    this.#out.write(`\r\x1b[2K${text.slice(0, Math.max(20, (this.#out.columns ?? 80) - 1))}`);
    this.#isOpen = true;
  }

  /** Ends the line, so that what follows starts on its own. */
  close(): void {
    if (this.#isOpen) this.#out.write('\n');
    this.#isOpen = false;
  }
}

export class Load {
  #child: ChildProcess;
  #line: StatusLine;
  #exited: Promise<void>;

  private constructor(child: ChildProcess, line: StatusLine) {
    this.#child = child;
    this.#line = line;
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
    child.on('error', () => undefined);
    child.on('message', (report) => line.show(statusLine(report as LoadReport, LOAD_CLIENT_COUNT)));
  }

  static start(port: number, out: NodeJS.WriteStream): Load {
    const path = fileURLToPath(new URL('load-client.js', import.meta.url));
    const child = fork(path, [String(port), String(LOAD_CLIENT_COUNT)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    return new Load(child, new StatusLine(out));
  }

  /** Lets running transactions finish for half a second. Idempotent. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.send('stop');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.#exited;
    clearTimeout(timer);
    this.#line.close();
  }
}
