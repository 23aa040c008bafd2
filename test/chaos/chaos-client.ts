/** One raw client of the chaos run: socket, strict replies, and the ways to vanish in the middle of anything. */
import { connect, type Socket } from 'node:net';
import { md5Answer, ScramClient } from '../support/client-auth.js';
import * as frames from '../support/frames.js';
import { ChaosFailure, ConnectionLost, ReplyMachine, Request, type RequestKind } from './reply-machine.js';

export interface ChaosTarget {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

/** Thrown out of any wait once the client has gone on purpose. */
export class Vanished extends Error {}

export type VanishHow = 'reset' | 'fin' | 'terminate' | 'destroy';

/** Vanish once so many bytes or whole writes were sent, or so many frames received, whichever is set. */
export interface VanishPlan {
  how: VanishHow;
  bytes?: number;
  writes?: number;
  frames?: number;
  /** After the last write: its answer may be half-way. */
  delayMs?: number;
}

const ANSWER_TIMEOUT_MS = 30_000;

export class ChaosClient {
  readonly machine = new ReplyMachine();
  readonly target: ChaosTarget;
  pid = 0;
  secret: Buffer = Buffer.alloc(0);
  plan: VanishPlan | null = null;
  isCancelling = false;
  #socket: Socket;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #out: Buffer[] = [];
  #isLoggedIn = false;
  #hasVanished = false;
  #loginFrames: frames.Frame[] = [];
  #failure: Error | null = null;
  #wake: (() => void) | null = null;
  #closed: Promise<void>;

  private constructor(target: ChaosTarget, socket: Socket) {
    this.target = target;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(new ConnectionLost(`socket: ${error.message}`)));
    socket.on('end', () => this.#end(new ConnectionLost('the proxy closed the connection')));
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  static open(target: ChaosTarget): Promise<ChaosClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: target.port, host: target.host, allowHalfOpen: true });
      socket.once('error', (error) => reject(new ConnectionLost(`connect: ${error.message}`)));
      socket.once('connect', () => resolve(new ChaosClient(target, socket)));
    });
  }

  /** Startup up to ReadyForQuery. Gives the error the server refused with, or null. */
  async login(parameters: Record<string, string>, version: number): Promise<Record<string, string> | null> {
    const { user, password, database } = this.target;
    const scram = new ScramClient();
    this.#write(frames.startupPacket({ user, database, ...parameters }, version));
    for (;;) {
      await this.#until(() => this.#loginFrames.length > 0);
      const { type, body } = this.#loginFrames.shift() as frames.Frame;
      if (type === 'R') this.#authenticate(body, scram, user, password);
      else if (type === 'S') this.machine.noteParameter(body);
      else if (type === 'K') {
        this.pid = body.readUInt32BE(0);
        this.secret = Buffer.from(body.subarray(4));
      } else if (type === 'E') return frames.errorFields(body);
      else if (type === 'Z') return null;
      else if (type !== 'N' && type !== 'v') throw new ChaosFailure(`frame ${type} during login`);
    }
  }

  #authenticate(body: Buffer, scram: ScramClient, user: string, password: string): void {
    const kind = body.readUInt32BE(0);
    const rest = body.subarray(4);
    const first = Buffer.from(scram.first);
    if (kind === 3) this.#write(frames.p(frames.text(password)));
    else if (kind === 5) this.#write(frames.p(frames.text(md5Answer(user, password, rest))));
    else if (kind === 10)
      this.#write(frames.p(frames.text('SCRAM-SHA-256'), frames.int32(first.length), first));
    else if (kind === 11) this.#write(frames.p(Buffer.from(scram.final(rest.toString(), password))));
    else if (kind === 12 && !scram.isServerProof(rest.toString()))
      throw new ChaosFailure('SCRAM: wrong server signature');
  }

  /** Puts one message in the next write. */
  request(kind: RequestKind, bytes: Buffer, label: string): Request {
    const request = new Request(kind, label);
    this.machine.expect(request);
    this.#out.push(bytes);
    return request;
  }

  /** Bytes without an answer of their own: Flush, CopyData, CopyDone, CopyFail. */
  raw(bytes: Buffer): void {
    this.#out.push(bytes);
  }

  /** Sends what was put together; in two writes when `splitAt` lies inside. */
  flush(splitAt = 0): void {
    const bytes = Buffer.concat(this.#out);
    this.#out = [];
    if (splitAt > 0 && splitAt < bytes.length) {
      this.#write(bytes.subarray(0, splitAt));
      this.#write(bytes.subarray(splitAt));
    } else this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    if (this.#failure !== null) throw this.#failure;
    const left = this.plan?.bytes;
    if (this.plan !== null && left !== undefined) {
      if (bytes.length >= left) {
        this.#socket.write(bytes.subarray(0, left));
        this.vanish(this.plan.how);
        throw new Vanished();
      }
      this.plan.bytes = left - bytes.length;
    }
    this.#socket.write(bytes);
    this.#noteWrite();
  }

  /** The whole request has been sent; whoever answers it, answers nobody. */
  #noteWrite(): void {
    const { plan } = this;
    if (plan?.writes === undefined) return;
    plan.writes -= 1;
    if (plan.writes !== 0) return;
    if (plan.delayMs !== undefined && plan.delayMs > 0) {
      setTimeout(() => {
        if (!this.isGone) this.vanish(plan.how);
      }, plan.delayMs);
      return;
    }
    this.vanish(plan.how);
    throw new Vanished();
  }

  /** All requests answered. Throws ChaosFailure, or Vanished. */
  settled(timeoutMs = ANSWER_TIMEOUT_MS): Promise<void> {
    return this.#until(() => this.machine.isSettled, timeoutMs);
  }

  /** A condition on the machine holds. */
  until(isTrue: () => boolean, timeoutMs = ANSWER_TIMEOUT_MS): Promise<void> {
    return this.#until(isTrue, timeoutMs);
  }

  async #until(isTrue: () => boolean, timeoutMs = ANSWER_TIMEOUT_MS): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!isTrue()) {
      if (this.#failure !== null) throw this.#failure;
      const leftMs = deadlineMs - performance.now();
      const head = this.machine.head;
      if (leftMs <= 0)
        throw new ChaosFailure(`no answer within ${timeoutMs} ms to ${head?.kind} ${head?.label}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
  }

  /** False when nothing came within the time; used to retry a cancel that came too early. */
  async settledWithin(timeoutMs: number): Promise<boolean> {
    const until = performance.now() + timeoutMs;
    while (!this.machine.isSettled && performance.now() < until) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.machine.isSettled;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #receive(chunk: Buffer): void {
    this.#rest.push(chunk);
    this.#restBytes += chunk.length;
    if (this.#failure !== null) return;
    try {
      this.#parse();
    } catch (error) {
      this.#end(error as Error);
    }
    this.#wake?.();
  }

  #parse(): void {
    const first = this.#rest[0] as Buffer;
    // Joining on each chunk of a 1 MB row would copy it over and over: wait until the frame is whole.
    if (first.length >= 5 && this.#restBytes < first.readUInt32BE(1) + 1) return;
    const bytes = this.#rest.length === 1 ? first : Buffer.concat(this.#rest);
    let at = 0;
    while (bytes.length - at >= 5) {
      const length = bytes.readUInt32BE(at + 1) + 1;
      if (bytes.length - at < length) break;
      this.#accept(String.fromCharCode(bytes[at] as number), bytes.subarray(at + 5, at + length));
      at += length;
      if (this.#failure !== null) return;
    }
    this.#rest = at < bytes.length ? [bytes.subarray(at)] : [];
    this.#restBytes = bytes.length - at;
  }

  #accept(type: string, body: Buffer): void {
    if (!this.#isLoggedIn) {
      this.#loginFrames.push({ type, body: Buffer.from(body) });
      this.#isLoggedIn = type === 'Z';
    } else this.machine.accept(type, body);
    const left = this.plan?.frames;
    if (this.plan === null || left === undefined) return;
    this.plan.frames = left - 1;
    if (left <= 1) this.vanish(this.plan.how);
  }

  #end(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  get isGone(): boolean {
    return this.#failure !== null;
  }

  /** Leaves without another word (or with Terminate); all waits end with Vanished. */
  vanish(how: VanishHow): void {
    // Once: Node neither closes nor forgets a socket that is reset after its end() has begun.
    if (this.#hasVanished) return;
    this.#hasVanished = true;
    this.#end(new Vanished());
    const socket = this.#socket;
    if (how === 'reset') socket.resetAndDestroy();
    else if (how === 'destroy') socket.destroy();
    else {
      if (how === 'terminate') socket.write(frames.X());
      socket.end();
      socket.resume();
      setTimeout(() => socket.destroy(), 2000).unref();
    }
  }

  /** Resolves when the other side has closed too. */
  get closed(): Promise<void> {
    return this.#closed;
  }
}

/** CancelRequest on a connection of its own; resolves when the other side has closed it. */
export function sendCancel(target: ChaosTarget, pid: number, secret: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: target.port, host: target.host });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new ChaosFailure('a cancel connection was not closed within 10 s'));
    }, 10_000);
    socket.on('error', () => undefined);
    socket.on('data', () => reject(new ChaosFailure('an answer to a CancelRequest')));
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.once('connect', () => socket.write(frames.cancelRequest(pid, secret)));
  });
}
