/**
 * A scripted server that speaks bytes: it answers what a test tells it to, at the moment the test says, and can
 * break every rule while doing so. The default script is a tiny but correct Postgres.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { backend, type Frame, FrameCollector, int32 } from './frames.js';
import { PATIENCE_MS } from './patience.js';
import { unixPath } from './raw-client.js';

const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;

export interface FakePostgresOptions {
  auth?: 'trust' | 'password' | 'md5';
  /** What password and md5 accept; the user name is the startup packet's. */
  password?: string;
  parameters?: Record<string, string>;
  /** Length of the cancel secret: 4 in protocol 3.0, up to 256 in 3.2. */
  secretBytes?: number;
  /**
   * One call per frontend frame after login, in order; the next frame waits for its promise. Default: `answer`.
   */
  onFrame?: (connection: FakeConnection, frame: Frame) => void | Promise<void>;
  /** Instead of everything: the raw startup packet has come; nothing has been answered. */
  onStartup?: (connection: FakeConnection, packet: Buffer) => void | Promise<void>;
  /** Never answers anything, not even the startup packet. */
  isMute?: boolean;
  /** Directory of a Unix socket to listen on instead of a TCP port. */
  unixHost?: string;
}

export class FakeConnection {
  readonly socket: Socket;
  readonly index: number;
  readonly pid: number;
  readonly secret: Buffer;
  startup: Record<string, string> = {};
  version = 0;
  /** Every frame that came, password answers included. */
  readonly frames: Frame[] = [];
  /** Free for scripts. */
  status: 'I' | 'T' | 'E' = 'I';

  constructor(socket: Socket, index: number, secretBytes: number) {
    this.socket = socket;
    this.index = index;
    this.pid = 10_000 + index;
    this.secret = randomBytes(secretBytes);
  }

  send(...parts: Buffer[]): void {
    if (this.socket.writable) this.socket.write(Buffer.concat(parts));
  }

  /** Types of the frames that came so far, as one word: 'PBDES'. */
  get letters(): string {
    return this.frames.map((frame) => frame.type).join('');
  }

  /** Half a frame, then nothing. */
  sendHalf(whole: Buffer): void {
    this.send(whole.subarray(0, Math.ceil(whole.length / 2)));
  }

  /** A frame header that announces `lengthBytes`, and no body. */
  sendHeader(type: string, lengthBytes: number): void {
    this.send(Buffer.from(type, 'latin1'), int32(lengthBytes));
  }

  close(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/** One text column and row, as the default script answers a query. */
export function oneRow(column: string, value: string): Buffer {
  return Buffer.concat([
    backend.rowDescription([column]),
    backend.dataRow([value]),
    backend.complete('SELECT 1'),
  ]);
}

/** First word decides; enough for a pooler's own statements and for simple tests. */
export function answer(connection: FakeConnection, frame: Frame): void {
  const sql = frame.body.toString('utf8').split('\0')[0] ?? '';
  const word = (sql.trim().split(' ')[0] ?? '').replaceAll(';', '').toUpperCase();
  switch (frame.type) {
    case 'Q':
      if (word === 'BEGIN') connection.status = 'T';
      if (word === 'COMMIT' || word === 'ROLLBACK') connection.status = 'I';
      connection.send(
        word === ''
          ? backend.emptyQuery()
          : word === 'SELECT'
            ? oneRow('value', sql)
            : backend.complete(word),
      );
      connection.send(backend.ready(connection.status));
      return;
    case 'P':
      connection.send(backend.parseComplete());
      return;
    case 'B':
      connection.send(backend.bindComplete());
      return;
    case 'D':
      connection.send(backend.noData());
      return;
    case 'E':
      connection.send(backend.complete('OK'));
      return;
    case 'C':
      connection.send(backend.closeComplete());
      return;
    case 'S':
      connection.send(backend.ready(connection.status));
      return;
    case 'X':
      connection.close();
      return;
    default:
      return;
  }
}

export interface FakePostgres {
  host: string;
  port: number;
  connections: FakeConnection[];
  /** CancelRequests that came: pid and secret. */
  cancels: { pid: number; secret: Buffer }[];
  /** Changes the script from now on, for open connections as well. */
  script(change: Partial<FakePostgresOptions>): void;
  /** Resolves with the n-th connection (from 0) once it has logged in. */
  connection(index: number, timeoutMs?: number): Promise<FakeConnection>;
  stop(): Promise<void>;
}

interface FakeState {
  options: FakePostgresOptions;
  connections: FakeConnection[];
  cancels: { pid: number; secret: Buffer }[];
}

function welcome(connection: FakeConnection, options: FakePostgresOptions): void {
  const parameters = {
    server_version: '18.0',
    server_encoding: 'UTF8',
    client_encoding: 'UTF8',
    standard_conforming_strings: 'on',
    DateStyle: 'ISO, MDY',
    TimeZone: 'UTC',
    integer_datetimes: 'on',
    ...options.parameters,
  };
  const reports = Object.entries(parameters).map(([name, value]) => backend.parameterStatus(name, value));
  connection.send(
    backend.authentication(0),
    ...reports,
    backend.keyData(connection.pid, connection.secret),
    backend.ready(),
  );
}

function isRightPassword(
  connection: FakeConnection,
  options: FakePostgresOptions,
  salt: Buffer,
  frame: Frame,
): boolean {
  const { password = '' } = options;
  const given = frame.body.toString('utf8', 0, frame.body.length - 1);
  if (options.auth === 'password') return given === password;
  const md5 = (...parts: (string | Buffer)[]): string => {
    const hash = createHash('md5');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
  return given === `md5${md5(md5(password, connection.startup.user ?? ''), salt)}`;
}

/** Reads one connection's bytes; the phase is what may come next. */
class Conversation {
  #connection: FakeConnection;
  #state: FakeState;
  #collector = new FrameCollector();
  #phase: 'startup' | 'password' | 'open' = 'startup';
  #salt = randomBytes(4);
  /** Handlers run one after another: a slow one holds those behind it. */
  #turn: Promise<void> = Promise.resolve();

  constructor(connection: FakeConnection, state: FakeState) {
    this.#connection = connection;
    this.#state = state;
  }

  push(chunk: Buffer): void {
    if (this.#state.options.isMute === true) return;
    let rest = chunk;
    while (this.#phase === 'startup') {
      const packet = this.#collector.push(rest, true)[0];
      if (packet === undefined) return;
      rest = Buffer.alloc(0);
      this.#startup(packet.body);
    }
    for (const frame of this.#collector.push(rest)) {
      this.#connection.frames.push(frame);
      this.#turn = this.#turn.then(() => this.#frame(frame)).catch(() => this.#connection.reset());
    }
  }

  #startup(body: Buffer): void {
    const connection = this.#connection;
    const { options, cancels } = this.#state;
    const code = body.readUInt32BE(0);
    if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
      connection.send(Buffer.from('N'));
      return;
    }
    if (code === CANCEL_REQUEST) {
      this.#phase = 'open';
      cancels.push({ pid: body.readUInt32BE(4), secret: Buffer.from(body.subarray(8)) });
      connection.close();
      return;
    }
    connection.version = code;
    const words = body.toString('utf8', 4).split('\0');
    for (let at = 0; at + 1 < words.length && words[at] !== ''; at += 2)
      connection.startup[words[at] ?? ''] = words[at + 1] ?? '';
    this.#state.connections.push(connection);
    this.#phase = 'open';
    if (options.onStartup !== undefined) void options.onStartup(connection, body);
    else if (options.auth === 'password' || options.auth === 'md5') {
      this.#phase = 'password';
      connection.send(
        options.auth === 'md5' ? backend.authentication(5, this.#salt) : backend.authentication(3),
      );
    } else welcome(connection, options);
  }

  async #frame(frame: Frame): Promise<void> {
    const { options } = this.#state;
    if (this.#phase === 'password') {
      this.#phase = 'open';
      if (isRightPassword(this.#connection, options, this.#salt, frame))
        return welcome(this.#connection, options);
      this.#connection.send(backend.error('28P01', 'password authentication failed', 'FATAL'));
      return this.#connection.close();
    }
    await (options.onFrame ?? answer)(this.#connection, frame);
  }
}

/** Any number does for a Unix socket in a directory of its own. */
const UNIX_PORT = 5432;

function listen(server: Server, unixHost: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    if (unixHost !== undefined) {
      server.listen(unixPath(unixHost, UNIX_PORT), () => resolve(UNIX_PORT));
      return;
    }
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : 0);
    });
  });
}

export async function startFakePostgres(options: FakePostgresOptions = {}): Promise<FakePostgres> {
  const state: FakeState = { options, connections: [], cancels: [] };
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    const conversation = new Conversation(
      new FakeConnection(socket, accepted++, state.options.secretBytes ?? 4),
      state,
    );
    socket.on('data', (chunk) => conversation.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  const port = await listen(server, options.unixHost);
  return {
    host: options.unixHost ?? '127.0.0.1',
    port,
    connections: state.connections,
    cancels: state.cancels,
    script: (change) => {
      state.options = { ...state.options, ...change };
    },
    connection: async (index, timeoutMs = PATIENCE_MS) => {
      const deadlineMs = performance.now() + timeoutMs;
      for (;;) {
        const found = state.connections[index];
        if (found !== undefined) return found;
        if (performance.now() > deadlineMs)
          throw new Error(`connection ${index} did not come within ${timeoutMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
