/**
 * A client that speaks just enough of the protocol to load a server and costs little itself: it walks frame headers,
 * counts bytes and ReadyForQuery, and looks at nothing else. Logs in by trust or SCRAM-SHA-256.
 * Messages as in https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  buildSaslInitialResponse,
  buildSaslResponse,
  deriveScramKeys,
  AUTHENTICATION as REQUEST,
  SCRAM_MECHANISM,
  ScramClient,
  type ScramKeys,
  type ScramTerms,
} from '@pgdog-cluster/core';
import type { Login } from './endpoint.js';

const HEADER_BYTES = 5;
const READ_BUFFER_BYTES = 256 * 1024;
/** Errors and authentication requests are kept up to here; nothing else is. */
const CAPTURE_BYTES_MAX = 2048;
const PROTOCOL_3_0 = 196608;

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const SSL_ACCEPTED = 0x53;
const AUTHENTICATION = 0x52;
const ERROR_RESPONSE = 0x45;
const READY_FOR_QUERY = 0x5a;
const COPY_IN_RESPONSE = 0x47;

/** One frontend message: type byte, length (which counts itself), body parts in order. */
export function message(type: string, ...parts: (string | Buffer)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)),
  );
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(type, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const NO_PARAMETERS = Buffer.alloc(2);
const ALL_ROWS = Buffer.alloc(4);
export const SYNC = message('S');

export const query = (sql: string): Buffer => message('Q', sql);

/** Parse, Bind, Execute of a statement without parameters; no Sync. `name` is empty for the unnamed statement. */
export function extended(sql: string, name = ''): Buffer {
  return Buffer.concat([
    message('P', name, sql, NO_PARAMETERS),
    message('B', '', name, NO_PARAMETERS, NO_PARAMETERS, NO_PARAMETERS),
    message('E', '', ALL_ROWS),
  ]);
}

export const closeStatement = (name: string): Buffer => message('C', Buffer.from('S'), name);

function startupPacket(login: Login): Buffer {
  const pairs = ['user', login.user, 'database', login.database, 'application_name', 'bench', ''];
  const body = Buffer.from(pairs.map((word) => `${word}\0`).join(''));
  const head = Buffer.alloc(8);
  head.writeInt32BE(body.length + 8, 0);
  head.writeInt32BE(PROTOCOL_3_0, 4);
  return Buffer.concat([head, body]);
}

/** A storm of logins of one user derives its keys once: what is measured is the other side. */
const scramKeys = new Map<string, ScramKeys>();

function keysFor(password: string, { salt, iterations }: ScramTerms): ScramKeys {
  const name = `${password} ${Buffer.from(salt).toString('base64')} ${iterations}`;
  const keys = scramKeys.get(name) ?? deriveScramKeys(password, salt, iterations);
  scramKeys.set(name, keys);
  return keys;
}

export class RawClient {
  receivedBytes = 0;
  readonly #password: string;
  #scram: ScramClient | null = null;
  #socket: Socket;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFill = 0;
  #bodyLeft = 0;
  #captured = '';
  #awaitedType = 0;
  #awaitedCount = 0;
  #resolve: (() => void) | null = null;
  #reject: ((error: Error) => void) | null = null;
  #failure: Error | null = null;
  /** While the answer to SSLRequest is awaited. */
  #onAnswer: (() => void) | null = null;

  private constructor(login: Login, readBufferBytes: number) {
    this.#password = login.password;
    // The callback gets the same buffer each time: nothing is allocated per chunk.
    const onread = { buffer: Buffer.alloc(readBufferBytes), callback: this.#onRead.bind(this) };
    this.#socket = connect({ host: login.host, port: login.port, noDelay: true, onread });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('connection closed')));
  }

  /** Connects and logs in. Whoever holds thousands of clients wants a smaller buffer for each. */
  static async open(login: Login, readBufferBytes = READ_BUFFER_BYTES): Promise<RawClient> {
    const client = new RawClient(login, readBufferBytes);
    if (login.hasTls === true) await client.#secure();
    await client.exchange(startupPacket(login), 1);
    return client;
  }

  /** SSLRequest, its one-byte answer, then TLS; whose certificate it is does not matter here. */
  async #secure(): Promise<void> {
    const answered = this.#pend();
    this.#onAnswer = () => this.#settle();
    this.#socket.write(SSL_REQUEST);
    await answered;
    const ready = this.#pend();
    const secured = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    this.#socket = secured;
    secured.on('error', (error) => this.#fail(error));
    secured.on('data', (chunk: Buffer) => this.#onRead(chunk.length, chunk));
    secured.once('secureConnect', () => this.#settle());
    await ready;
  }

  /** Sends, and waits for so many ReadyForQuery. One exchange at a time. */
  exchange(bytes: Buffer, readyCount: number): Promise<void> {
    const answered = this.#await(READY_FOR_QUERY, readyCount);
    this.#socket.write(bytes);
    return answered;
  }

  /** COPY FROM STDIN of `chunkCount` times the same chunk of CopyData, at the pace the other side takes it. */
  async copyIn(sql: string, chunk: Buffer, chunkCount: number): Promise<void> {
    const invited = this.#await(COPY_IN_RESPONSE, 1);
    this.#socket.write(query(sql));
    await invited;
    for (let number = 0; number < chunkCount; number++) {
      if (this.#failure !== null) throw this.#failure;
      if (!this.#socket.write(chunk))
        await new Promise<void>((resolve) => this.#socket.once('drain', () => resolve()));
    }
    await this.exchange(message('c'), 1);
  }

  close(): void {
    this.#failure ??= new Error('closed by us');
    this.#socket.destroy();
  }

  #await(type: number, count: number): Promise<void> {
    this.#awaitedType = type;
    this.#awaitedCount = count;
    return this.#pend();
  }

  /** Settled by #settle() or #fail(). */
  #pend(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  #settle(): void {
    const resolve = this.#resolve;
    this.#resolve = null;
    this.#reject = null;
    resolve?.();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const reject = this.#reject;
    this.#resolve = null;
    this.#reject = null;
    reject?.(error);
  }

  #onRead(bytesRead: number, buffer: Uint8Array): boolean {
    const onAnswer = this.#onAnswer;
    if (onAnswer !== null) {
      this.#onAnswer = null;
      if (buffer[0] === SSL_ACCEPTED) onAnswer();
      else this.#fail(new Error('the server has no TLS'));
      return true;
    }
    this.receivedBytes += bytesRead;
    let position = 0;
    while (position < bytesRead) {
      if (this.#headerFill < HEADER_BYTES) {
        this.#header[this.#headerFill++] = buffer[position++];
        if (this.#headerFill < HEADER_BYTES) continue;
        this.#bodyLeft = this.#header.readInt32BE(1) - 4;
        this.#captured = '';
      }
      const take = Math.min(this.#bodyLeft, bytesRead - position);
      this.#capture(buffer, position, take);
      this.#bodyLeft -= take;
      position += take;
      if (this.#bodyLeft > 0) return true;
      this.#headerFill = 0;
      this.#onFrame(this.#header[0]);
    }
    return true;
  }

  #capture(buffer: Uint8Array, start: number, length: number): void {
    const type = this.#header[0];
    if (type !== ERROR_RESPONSE && type !== AUTHENTICATION) return;
    if (this.#captured.length + length > CAPTURE_BYTES_MAX) return;
    this.#captured += Buffer.from(buffer.buffer, buffer.byteOffset + start, length).toString('latin1');
  }

  #authenticate(body: Buffer): void {
    const code = body.readInt32BE(0);
    if (code === REQUEST.Ok) return;
    this.#scram ??= new ScramClient({ mechanisms: [SCRAM_MECHANISM] });
    if (code === REQUEST.SASL) {
      this.#socket.write(buildSaslInitialResponse(SCRAM_MECHANISM, this.#scram.start()));
      return;
    }
    if (code !== REQUEST.SASLContinue && code !== REQUEST.SASLFinal) {
      this.#fail(new Error('asked for a password; this client knows trust and SCRAM'));
      return;
    }
    const data = body.subarray(4);
    let step =
      code === REQUEST.SASLContinue ? this.#scram.handleContinue(data) : this.#scram.handleFinal(data);
    if (step.kind === 'derive') step = this.#scram.handleKeys(keysFor(this.#password, step));
    if (step.kind === 'failure') this.#fail(step.error);
    else if (step.kind === 'continue') this.#socket.write(buildSaslResponse(step.data));
  }

  #onFrame(type: number): void {
    if (type === ERROR_RESPONSE) {
      // Fields are zero-terminated, each with a type letter: M is the text.
      const text = this.#captured.split('\0').find((field) => field.startsWith('M'));
      this.#fail(new Error(`server says: ${text?.slice(1) ?? 'error without a message'}`));
    } else if (type === AUTHENTICATION) {
      this.#authenticate(Buffer.from(this.#captured, 'latin1'));
    } else if (type === this.#awaitedType && --this.#awaitedCount === 0) {
      this.#settle();
    }
  }
}
