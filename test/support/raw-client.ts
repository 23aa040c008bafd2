/**
 * A Postgres client that shows every byte: for tests that must see which frames come, in which order, and that
 * must send what no driver would.
 */
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { md5Answer, ScramClient } from './client-auth.js';
import {
  cancelRequest,
  columnNames,
  errorFields,
  type Frame,
  FrameCollector,
  int32,
  p,
  Q,
  rowValues,
  sslRequest,
  startupPacket,
  text,
  X,
} from './frames.js';
import { PATIENCE_MS } from './patience.js';

export interface RawClientOptions {
  /** Name, address, or directory of a Unix socket. */
  host?: string;
  port: number;
  user?: string;
  password?: string;
  database?: string;
  /** Further startup parameters. */
  parameters?: Record<string, string>;
  /** major << 16 | minor; 196608 is 3.0. */
  version?: number;
  /** Longest wait for one frame. */
  timeoutMs?: number;
  /** Sent before anything else: a PROXY header. */
  preamble?: Buffer;
  /** TLS before the start-up packet. */
  tls?: ConnectionOptions;
  /** Without asking first, as sslnegotiation=direct. */
  isDirectTls?: boolean;
}

export interface RawResult {
  frames: Frame[];
  columns: string[];
  rows: (string | null)[][];
  tags: string[];
  /** Fields of the first ErrorResponse; null when there was none. */
  error: Record<string, string> | null;
  /** Status byte of the last ReadyForQuery. */
  status: string;
}

export function unixPath(directory: string, port: number): string {
  return `${directory}/.s.PGSQL.${port}`;
}

/** Reads a list of frames into the shape most assertions want. */
export function summarise(frames: Frame[]): RawResult {
  const result: RawResult = { frames, columns: [], rows: [], tags: [], error: null, status: '' };
  for (const { type, body } of frames) {
    if (type === 'T') result.columns = columnNames(body);
    if (type === 'D') result.rows.push(rowValues(body));
    if (type === 'C') result.tags.push(body.toString('utf8', 0, body.length - 1));
    if (type === 'E') result.error ??= errorFields(body);
    if (type === 'Z') result.status = body.toString('latin1');
  }
  return result;
}

function openSocket(options: RawClientOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host = '127.0.0.1', port } = options;
    const socket = host.startsWith('/') ? connect(unixPath(host, port)) : connect(port, host);
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}

/** Rejects with what either side did not like. */
async function secure(socket: Socket, options: RawClientOptions): Promise<Socket> {
  if (options.isDirectTls !== true) {
    socket.write(sslRequest());
    const answer = await new Promise<string>((resolve, reject) => {
      socket.once('data', (chunk) => resolve(chunk.toString('latin1')));
      socket.once('close', () => reject(new Error('closed instead of an answer to SSLRequest')));
    });
    if (answer !== 'S') throw new Error(`answer to SSLRequest: ${answer}`);
  }
  return new Promise((resolve, reject) => {
    const encrypted = connectTls({ rejectUnauthorized: false, ...options.tls, socket });
    encrypted.once('error', reject);
    encrypted.once('close', () => reject(new Error('closed during the TLS handshake')));
    encrypted.once('secureConnect', () => resolve(encrypted));
  });
}

export class RawClient {
  readonly parameters: Record<string, string> = {};
  pid = 0;
  secret: Buffer = Buffer.alloc(0);
  /** Every chunk received, for byte-exact comparison. */
  received: Buffer[] = [];
  readonly socket: Socket;
  #options: RawClientOptions;
  #collector = new FrameCollector();
  #frames: Frame[] = [];
  #isClosed = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket, options: RawClientOptions) {
    this.socket = socket;
    this.#options = options;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.received.push(chunk);
      this.#frames.push(...this.#collector.push(chunk));
      this.#wake?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isClosed = true;
      this.#wake?.();
    });
    socket.on('end', () => {
      this.#isClosed = true;
      this.#wake?.();
    });
  }

  /** Only the TCP connection, and TLS if asked for; no packet is sent. */
  static async open(options: RawClientOptions): Promise<RawClient> {
    const socket = await openSocket(options);
    if (options.preamble !== undefined) socket.write(options.preamble);
    return new RawClient(options.tls === undefined ? socket : await secure(socket, options), options);
  }

  /** Connected, authenticated, ReadyForQuery read. Throws with the server's error. */
  static async connect(options: RawClientOptions): Promise<RawClient> {
    const client = await RawClient.open(options);
    const { error } = await client.login();
    if (error !== null) {
      client.destroy();
      throw new Error(`${error.C}: ${error.M}`);
    }
    return client;
  }

  /** Startup and authentication up to ReadyForQuery or an error. */
  async login(): Promise<RawResult> {
    const { user = 'postgres', database = 'postgres', parameters = {}, version } = this.#options;
    this.send(startupPacket({ user, database, ...parameters }, version));
    const frames: Frame[] = [];
    const scram = new ScramClient();
    for (;;) {
      const got = await this.readFrame();
      frames.push(got);
      if (got.type === 'R') this.#answer(got.body, scram);
      if (got.type === 'S') this.#noteParameter(got.body);
      if (got.type === 'K') {
        this.pid = got.body.readUInt32BE(0);
        this.secret = Buffer.from(got.body.subarray(4));
      }
      if (got.type === 'Z' || got.type === 'E') return summarise(frames);
    }
  }

  #noteParameter(body: Buffer): void {
    const [name = '', setting = ''] = body.toString('utf8').split('\0');
    this.parameters[name] = setting;
  }

  #answer(body: Buffer, scram: ScramClient): void {
    const { user = 'postgres', password = '' } = this.#options;
    const kind = body.readUInt32BE(0);
    const rest = body.subarray(4);
    if (kind === 3) this.send(p(text(password)));
    else if (kind === 5) this.send(p(text(md5Answer(user, password, rest))));
    else if (kind === 10)
      this.send(p(text('SCRAM-SHA-256'), int32(Buffer.byteLength(scram.first)), Buffer.from(scram.first)));
    else if (kind === 11) this.send(p(Buffer.from(scram.final(rest.toString(), password))));
    else if (kind === 12 && !scram.isServerProof(rest.toString()))
      throw new Error('SCRAM: wrong server signature');
    else if (kind !== 0 && kind !== 12)
      throw new Error(`authentication request ${kind} is not known to the raw client`);
  }

  /** Sends all parts in one write. */
  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Next frame. Throws on time-out and when the connection ended first. */
  async readFrame(timeoutMs = this.#options.timeoutMs ?? PATIENCE_MS): Promise<Frame> {
    const next = await this.#next(timeoutMs);
    if (next === 'timeout')
      throw new Error(`no frame within ${timeoutMs} ms (${this.#collector.restBytes} bytes of one came)`);
    if (next === 'closed') throw new Error('connection closed while waiting for a frame');
    return next;
  }

  async #next(timeoutMs: number): Promise<Frame | 'timeout' | 'closed'> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const next = this.#frames.shift();
      if (next !== undefined) return next;
      if (this.#isClosed) return 'closed';
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) return 'timeout';
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
  }

  /** Frames up to and with the next one of a type. Throws as readFrame does. */
  async readUntil(type: string, timeoutMs?: number): Promise<Frame[]> {
    const frames: Frame[] = [];
    try {
      do frames.push(await this.readFrame(timeoutMs));
      while (frames.at(-1)?.type !== type);
    } catch (error) {
      // Why a connection was closed is said before it is.
      const said = frames.filter((frame) => frame.type === 'E').map(({ body }) => errorFields(body)['M']);
      if (said.length === 0) throw error;
      throw new Error(`${(error as Error).message}, after: ${said.join('; ')}`, { cause: error });
    }
    return frames;
  }

  /** All up to `count` ReadyForQuery. */
  async readUntilReady(count = 1, timeoutMs?: number): Promise<RawResult> {
    const frames: Frame[] = [];
    for (let seen = 0; seen < count; seen++) frames.push(...(await this.readUntil('Z', timeoutMs)));
    return summarise(frames);
  }

  /** Simple query; errors are in the result, not thrown. */
  query(sql: string, timeoutMs?: number): Promise<RawResult> {
    this.send(Q(sql));
    return this.readUntilReady(1, timeoutMs);
  }

  /** Throws when anything arrives within `quietMs`. */
  async expectSilence(quietMs = 100): Promise<void> {
    const next = await this.#next(quietMs);
    if (next !== 'timeout')
      throw new Error(`expected silence, got ${next === 'closed' ? 'a close' : `frame ${next.type}`}`);
  }

  /** Frames until the other side closes. Throws when it does not within `timeoutMs`. */
  async expectClosed(timeoutMs = this.#options.timeoutMs ?? PATIENCE_MS): Promise<RawResult> {
    const frames: Frame[] = [];
    for (;;) {
      const next = await this.#next(timeoutMs);
      if (next === 'timeout') throw new Error(`still open after ${timeoutMs} ms`);
      if (next === 'closed') return summarise(frames);
      frames.push(next);
    }
  }

  /** CancelRequest for this session over a second connection; resolves when that one is closed. */
  async cancel(secret = this.secret): Promise<void> {
    const second = await RawClient.open(this.#options);
    second.send(cancelRequest(this.pid, secret));
    await second.expectClosed();
    second.destroy();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Terminate, then close; resolves when the socket is gone. */
  async end(): Promise<void> {
    if (!this.#isClosed) this.send(X());
    this.socket.end();
    if (!this.socket.closed) await new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
  }

  /** Vanishes without a word; `isReset` sends RST. */
  destroy(isReset = false): void {
    if (isReset) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }
}
