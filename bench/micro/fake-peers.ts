/** Both ends of the query path: clients that repeat their requests, and a server that knows a few answers. */
import {
  AUTHENTICATION_OK,
  BACKEND,
  BIND_COMPLETE,
  buildBackendKeyData,
  buildParameterStatus,
  buildResult,
  buildStartupMessage,
  CLOSE_COMPLETE,
  FRONTEND,
  FrameWriter,
  PARSE_COMPLETE,
  READY,
  READY_FOR_QUERY_IDLE,
  READY_FOR_QUERY_IN_TRANSACTION,
} from '@pgdog-cluster/core';
import type { FakeSocket, Peer } from './fake-driver.js';

const HEADER_BYTES = 5;
const READY_BYTES = 6;
const LETTER_B = 0x42;
const LETTER_C = 0x43;
const LETTER_S = 0x53;
const INT4_OID = 23;

/** The bytes that went through, as long as somebody wants to know. */
export class ByteHash {
  isOn = false;
  value = 0;

  add(bytes: Uint8Array, start: number, end: number): void {
    if (!this.isOn) return;
    let hash = this.value;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]) | 0;
    this.value = hash;
  }
}

const RESULT = buildResult([{ name: 'abalance', typeOid: INT4_OID }], [['4711']], 'SELECT 1');
const DESCRIPTION_BYTES = 1 + new DataView(RESULT.buffer, RESULT.byteOffset).getUint32(1);
const DESCRIPTION = RESULT.slice(0, DESCRIPTION_BYTES);
const ROWS = RESULT.slice(DESCRIPTION_BYTES);

function completion(tag: string): Uint8Array {
  return new FrameWriter().begin(BACKEND.CommandComplete).cstring(tag).end().take();
}

const BEGIN_DONE = completion('BEGIN');
const COMMIT_DONE = completion('COMMIT');
const OTHER_DONE = completion('UPDATE 1');

/** Answers a SELECT with one row, whatever it says, and anything else with a completion. */
export class FakeServer implements Peer {
  socket: FakeSocket | null = null;
  private readonly hash: ByteHash;
  private isLoggedIn = false;
  private status: number = READY.Idle;

  constructor(hash: ByteHash) {
    this.hash = hash;
  }

  handleBytes(bytes: Uint8Array, start: number, end: number): void {
    const { socket } = this;
    if (socket === null) return;
    if (!this.isLoggedIn) {
      this.isLoggedIn = true;
      this.greet(socket);
      return;
    }
    for (let at = start; at < end; at += frameBytes(bytes, at)) {
      if (!isOwn(bytes, at)) this.hash.add(bytes, at, at + frameBytes(bytes, at));
      this.answer(socket, bytes, at);
    }
  }

  private greet(socket: FakeSocket): void {
    socket.say(AUTHENTICATION_OK);
    socket.say(buildParameterStatus('server_version', '18.0'));
    socket.say(buildParameterStatus('client_encoding', 'UTF8'));
    socket.say(buildParameterStatus('standard_conforming_strings', 'on'));
    socket.say(buildBackendKeyData(4711, Uint8Array.of(1, 2, 3, 4)));
    socket.say(READY_FOR_QUERY_IDLE);
  }

  private answer(socket: FakeSocket, bytes: Uint8Array, at: number): void {
    switch (bytes[at]) {
      case FRONTEND.Query:
        this.query(socket, bytes[at + HEADER_BYTES]);
        this.ready(socket);
        break;
      case FRONTEND.Sync:
        this.ready(socket);
        break;
      case FRONTEND.Parse:
        socket.say(PARSE_COMPLETE);
        break;
      case FRONTEND.Bind:
        socket.say(BIND_COMPLETE);
        break;
      case FRONTEND.Describe:
        socket.say(DESCRIPTION);
        break;
      case FRONTEND.Execute:
        socket.say(ROWS);
        break;
      case FRONTEND.Close:
        socket.say(CLOSE_COMPLETE);
        break;
      case FRONTEND.Terminate:
        break;
      default:
        throw new Error(`the fake server has no answer to a message of type ${bytes[at]}`);
    }
  }

  private query(socket: FakeSocket, firstLetter: number): void {
    switch (firstLetter) {
      case LETTER_S:
        socket.say(RESULT);
        break;
      case LETTER_B:
        this.status = READY.InTransaction;
        socket.say(BEGIN_DONE);
        break;
      case LETTER_C:
        this.status = READY.Idle;
        socket.say(COMMIT_DONE);
        break;
      default:
        socket.say(OTHER_DONE);
    }
  }

  private ready(socket: FakeSocket): void {
    socket.say(this.status === READY.Idle ? READY_FOR_QUERY_IDLE : READY_FOR_QUERY_IN_TRANSACTION);
  }
}

/** Logs in, then sends its requests in turn, each when the one before has been answered. */
export class FakeClient implements Peer {
  socket: FakeSocket | null = null;
  private readonly hash: ByteHash;
  private readonly requests: readonly Uint8Array[];
  private readonly onDone: () => void;
  private next = 0;
  private left = 0;

  /** `requests` are sent round and round; `onDone` is called when those of one run have been answered. */
  constructor(hash: ByteHash, requests: readonly Uint8Array[], onDone: () => void) {
    this.hash = hash;
    this.requests = requests;
    this.onDone = onDone;
  }

  logIn(settings: readonly (readonly [string, string])[]): void {
    this.socket?.say(buildStartupMessage([['user', 'bench'], ['database', 'bench'], ...settings]));
  }

  /** One request alone, ahead of those that repeat. */
  sendFirst(request: Uint8Array): void {
    this.socket?.say(request);
  }

  run(count: number): void {
    this.left = count;
    this.sendNext();
  }

  handleBytes(bytes: Uint8Array, start: number, end: number): void {
    this.hash.add(bytes, start, end);
    if (bytes[start] === BACKEND.ErrorResponse)
      throw new Error(`a fake client got an error: ${asciiOf(bytes, start, end)}`);
    // No row here looks like ReadyForQuery, so the last bytes tell whether the answer is complete.
    if (end - start < READY_BYTES || bytes[end - READY_BYTES] !== BACKEND.ReadyForQuery) return;
    if (this.left > 0) this.sendNext();
    else this.onDone();
  }

  private sendNext(): void {
    this.left--;
    const request = this.requests[this.next];
    this.next = this.next + 1 === this.requests.length ? 0 : this.next + 1;
    this.socket?.say(request);
  }
}

/**
 * The proxy's own: what functions do is asked again after a time, however far the bench has come by then, and until that is
 * answered connections are reset.
 */
function isOwn(bytes: Uint8Array, at: number): boolean {
  const start = at + HEADER_BYTES;
  if (bytes[at] !== FRONTEND.Query) return false;
  return OWN_TEXTS.some((text) => asciiOf(bytes, start, start + text.length) === text);
}

const OWN_TEXTS = ['SET LOCAL search_path', 'RESET SESSION AUTHORIZATION'];

function frameBytes(bytes: Uint8Array, at: number): number {
  return 1 + ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]);
}

function asciiOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.slice(start, end)).toString('latin1');
}
