/**
 * A wire between a client and a server, with faults: `cut` lets nothing through and says nothing, as a network that
 * drops packets; `reset` ends all connections rudely; `delayMs` slows every byte down.
 *
 * What a cut cannot show: sent bytes are still acknowledged (by our kernel), so TCP_USER_TIMEOUT never fires.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import koffi from 'koffi';
import { listenLocally } from './listen-locally.js';

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SOCKADDR_IN_BYTES = 16;

const libc = koffi.load(null);
const openSocket = libc.func('int socket(int domain, int type, int protocol)');
const setOption = libc.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)');
const bind = libc.func('int bind(int fd, void *address, uint32_t length)');
const listen = libc.func('int listen(int fd, int backlog)');
const close = libc.func('int close(int fd)');

function loopback(port: number): Buffer {
  const address = Buffer.alloc(SOCKADDR_IN_BYTES);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return address;
}

/** A listener whose queue is full and that nobody accepts from: the kernel drops every further SYN. */
class BlackHole {
  readonly #fd: number;
  readonly #filler: Socket;

  private constructor(fd: number, filler: Socket) {
    this.#fd = fd;
    this.#filler = filler;
  }

  static async open(port: number): Promise<BlackHole> {
    const fd = Number(openSocket(AF_INET, SOCK_STREAM, 0));
    const on = Buffer.alloc(4);
    on.writeInt32LE(1);
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, on, 4);
    if (Number(bind(fd, loopback(port), SOCKADDR_IN_BYTES)) !== 0 || Number(listen(fd, 0)) !== 0)
      throw new Error(`cannot listen on port ${port}: errno ${koffi.errno()}`);
    // A queue of length 0 holds one.
    const filler = connect(port, '127.0.0.1');
    await once(filler, 'connect');
    return new BlackHole(fd, filler);
  }

  close(): void {
    this.#filler.destroy();
    close(this.#fd);
  }
}

export class TcpRelay {
  readonly host = '127.0.0.1';
  port = 0;
  /** Added in each direction. */
  delayMs = 0;
  #targetPort: number;
  #server: Server | null = null;
  #hole: BlackHole | null = null;
  #pairs = new Set<[Socket, Socket]>();
  #isCut = false;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
  }

  static async open(targetPort: number): Promise<TcpRelay> {
    const relay = new TcpRelay(targetPort);
    await relay.#listen();
    return relay;
  }

  get connectionCount(): number {
    return this.#pairs.size;
  }

  async #listen(): Promise<void> {
    const server = createServer((socket) => this.#join(socket));
    this.port = await listenLocally(server, this.port);
    this.#server = server;
  }

  #join(near: Socket): void {
    const far = connect(this.#targetPort, '127.0.0.1');
    const pair: [Socket, Socket] = [near, far];
    this.#pairs.add(pair);
    this.#feed(near, far, pair);
    this.#feed(far, near, pair);
  }

  #feed(from: Socket, to: Socket, pair: [Socket, Socket]): void {
    from.setNoDelay(true);
    from.on('data', (chunk) => {
      const pass = (): boolean => to.destroyed || to.write(chunk);
      if (this.delayMs > 0) setTimeout(pass, this.delayMs);
      else if (!pass()) from.pause();
    });
    to.on('drain', () => {
      if (!this.#isCut) from.resume();
    });
    // The end may not overtake delayed bytes.
    from.on('end', () => setTimeout(() => to.end(), this.delayMs));
    from.on('error', () => to.resetAndDestroy());
    from.on('close', () => this.#pairs.delete(pair));
  }

  /** From now on nothing arrives, in either direction; connecting hangs. */
  async cut(): Promise<void> {
    this.#isCut = true;
    for (const socket of [...this.#pairs].flat()) socket.pause();
    const server = this.#server;
    this.#server = null;
    // Not awaited: it is closed with its last connection only, but stops listening at once.
    server?.close();
    this.#hole ??= await BlackHole.open(this.port);
  }

  /** What was held back arrives after all, as after retransmission. */
  async mend(): Promise<void> {
    this.#isCut = false;
    this.#hole?.close();
    this.#hole = null;
    if (this.#server === null) await this.#listen();
    for (const socket of [...this.#pairs].flat()) socket.resume();
  }

  /** RST on every connection; new ones are served. */
  reset(): void {
    for (const socket of [...this.#pairs].flat()) socket.resetAndDestroy();
    this.#pairs.clear();
  }

  close(): void {
    this.#hole?.close();
    this.#server?.close();
    for (const socket of [...this.#pairs].flat()) socket.destroy();
  }
}
