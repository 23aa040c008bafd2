/** The other end of NOTIFY_SOCKET: a datagram socket, which Node has none of. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';

const libc = koffi.load(null);
const socket = libc.func('socket', 'int', ['int', 'int', 'int']);
const bind = libc.func('bind', 'int', ['int', 'void *', 'uint32_t']);
const recv = libc.func('recv', 'intptr_t', ['int', 'void *', 'size_t', 'int']);
const close = libc.func('close', 'int', ['int']);

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const POLL_MS = 20;

export class NotifyReceiver {
  /** For NOTIFY_SOCKET. */
  readonly address: string;
  /** Datagrams so far, in order, each as its fields. */
  readonly received: Record<string, string>[] = [];
  readonly #fd: number;
  readonly #directory: string;
  readonly #timer: NodeJS.Timeout;

  constructor(kind: 'path' | 'abstract') {
    this.#directory = mkdtempSync(join(tmpdir(), 'pgdog-notify-'));
    const path = join(this.#directory, 'notify');
    this.address = kind === 'path' ? path : `@${path}`;
    this.#fd = socket(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0);
    const name = Buffer.from(kind === 'path' ? `${path}\0` : `\0${path}`);
    const sockaddr = Buffer.concat([Buffer.from([AF_UNIX, 0]), name]);
    if (bind(this.#fd, sockaddr, sockaddr.length) !== 0) throw new Error(`bind: errno ${koffi.errno()}`);
    this.#timer = setInterval(() => this.#receive(), POLL_MS);
  }

  #receive(): void {
    const bytes = Buffer.alloc(8192);
    for (;;) {
      const length = Number(recv(this.#fd, bytes, bytes.length, 0));
      if (length < 0) return;
      const lines = bytes.toString('utf8', 0, length).split('\n');
      this.received.push(
        Object.fromEntries(
          lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
        ),
      );
    }
  }

  /** Those that have the field. */
  having(field: string): Record<string, string>[] {
    this.#receive();
    return this.received.filter((fields) => field in fields);
  }

  close(): void {
    clearInterval(this.#timer);
    close(this.#fd);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
