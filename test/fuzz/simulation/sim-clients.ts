/** Clients of the simulated worker: honest ones that check every byte they get, and hostile ones. */
import { md5Answer, ScramClient } from '../../support/client-auth.js';
import {
  B,
  D,
  E,
  errorFields,
  FrameCollector,
  int32,
  P,
  p,
  Q,
  rowValues,
  S,
  startupPacket,
  text,
  X,
} from '../../support/frames.js';
import { mutate } from '../byte-mutations.js';
import type { FuzzRandom } from '../fuzz-random.js';
import { conversation, FRONTEND_MAKERS, passwordMessage, STARTUP_MAKERS } from '../message-grammar.js';
import type { SimPeer, SimSocket } from './sim-driver.js';

export const SIM_USER = 'app';
export const SIM_PASSWORD = 'hunter2';
export const SIM_DATABASE = 'shop';
const CLIENTS_MAX = 64;

/** Marks whose bytes they are; every client puts its own into each statement. No two differ in a byte or two alone. */
export const tokenOf = (client: number): string =>
  `tok${(Math.imul(client + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0')}`;

const TOKENS: ReadonlySet<string> = new Set(
  Array.from({ length: CLIENTS_MAX }, (_, client) => tokenOf(client)),
);

/** Tokens in `bytes` that are not `own`. */
export function foreignTokens(bytes: Buffer, own: string): string[] {
  const found: string[] = [];
  for (let at = bytes.indexOf('tok'); at >= 0; at = bytes.indexOf('tok', at + 1)) {
    const token = bytes.toString('latin1', at, at + own.length);
    if (token !== own && TOKENS.has(token)) found.push(token);
  }
  return found;
}

abstract class SimClient implements SimPeer {
  socket: SimSocket | null = null;
  isClosed = false;
  readonly token: string;
  protected readonly random: FuzzRandom;
  private tail = Buffer.alloc(0);

  constructor(random: FuzzRandom, number: number) {
    this.random = random;
    this.token = tokenOf(number);
  }

  attach(socket: SimSocket): void {
    this.socket = socket;
  }

  opened(): void {}

  closed(): void {
    this.isClosed = true;
  }

  receive(bytes: Buffer): void {
    // A token may lie across two pieces.
    const joined = Buffer.concat([this.tail, bytes]);
    const foreign = foreignTokens(joined, this.token);
    if (foreign.length > 0) throw new Error(`${this.token} was sent bytes of ${foreign[0]}`);
    this.tail = joined.subarray(-20);
    this.take(bytes);
  }

  protected abstract take(bytes: Buffer): void;

  /** Its turn; does nothing when it waits. Returns whether it did something. */
  abstract step(): boolean;
}

/** Logs in properly, if at all, then says what nobody should. */
export class HostileClient extends SimClient {
  private pieces: Buffer[] = [];
  private readonly isLoggingIn: boolean;
  private hasLeft = false;
  private readonly collector = new FrameCollector();
  private readonly scram = new ScramClient();
  private isReady = false;

  constructor(random: FuzzRandom, number: number) {
    super(random, number);
    this.isLoggingIn = !random.oneIn(4);
    this.pieces = random.pieces(
      this.isLoggingIn ? startupPacket({ user: SIM_USER, database: SIM_DATABASE }) : this.beforeLogin(),
    );
  }

  step(): boolean {
    const { socket } = this;
    if (socket === null || this.isClosed || this.hasLeft) return false;
    if (this.random.oneIn(30)) socket.isPeerStalled = !socket.isPeerStalled;
    const piece = this.pieces.shift();
    if (piece !== undefined) socket.say(piece);
    else if (this.random.oneIn(60)) this.leave();
    return piece !== undefined;
  }

  leave(): void {
    const { socket } = this;
    if (socket === null || this.hasLeft) return;
    this.hasLeft = true;
    socket.isPeerStalled = false;
    if (this.random.oneIn(2)) socket.reset();
    else socket.end();
  }

  protected take(bytes: Buffer): void {
    if (!this.isLoggingIn || this.isReady) return;
    for (const { type, body } of this.collector.push(bytes)) {
      if (type === 'R')
        this.pieces.push(
          ...answerOf(body, this.scram).map((frame) =>
            this.random.oneIn(12) ? mutate(this.random, frame) : frame,
          ),
        );
      if (type !== 'Z') continue;
      this.isReady = true;
      const sent = mutate(
        this.random,
        Buffer.concat([this.marked(), conversation(this.random, FRONTEND_MAKERS, 12), this.marked()]),
      );
      this.pieces.push(...this.random.pieces(sent));
    }
  }

  private beforeLogin(): Buffer {
    const parts = [random0(this.random), ...(this.random.oneIn(2) ? [passwordMessage(this.random)] : [])];
    return mutate(this.random, Buffer.concat(parts));
  }

  private marked(): Buffer {
    const sql = `SELECT '${this.token}'`;
    return this.random.pick([
      Q(sql),
      Buffer.concat([P('', sql), B('', ''), E(''), S()]),
      Q(`BEGIN; ${sql}`),
      Buffer.alloc(0),
    ]);
  }
}

const random0 = (random: FuzzRandom): Buffer => random.pick(STARTUP_MAKERS)(random);

/** Frames that answer an authentication request; none where none is due. */
function answerOf(body: Buffer, scram: ScramClient): Buffer[] {
  const kind = body.readUInt32BE(0);
  if (kind === 3) return [p(text(SIM_PASSWORD))];
  if (kind === 5) return [p(text(md5Answer(SIM_USER, SIM_PASSWORD, body.subarray(4))))];
  if (kind === 10) return [p(text('SCRAM-SHA-256'), int32(scram.first.length), Buffer.from(scram.first))];
  try {
    if (kind === 11) return [p(Buffer.from(scram.final(body.toString('latin1', 4), SIM_PASSWORD)))];
  } catch {
    // A first message that was broken on the way has another nonce than ours.
    return [p(Buffer.from('c=biws,r=x,p=x'))];
  }
  return [];
}

export interface HonestOptions {
  exchanges: number;
  /** Servers lie: errors, strange rows and lost connections are borne, foreign bytes are not. */
  isLenient: boolean;
}

/** Does its exchanges one after another and checks each answer. */
export class HonestClient extends SimClient {
  done = 0;
  private readonly options: HonestOptions;
  private readonly collector = new FrameCollector();
  private readonly scram = new ScramClient();
  private hasStarted = false;
  private wanted = '';
  private got: string[] = [];
  private isEnding = false;

  constructor(random: FuzzRandom, number: number, options: HonestOptions) {
    super(random, number);
    this.options = options;
  }

  get isDone(): boolean {
    return this.isClosed || this.done > this.options.exchanges;
  }

  step(): boolean {
    if (this.hasStarted || this.socket === null) return false;
    this.hasStarted = true;
    this.socket.say(startupPacket({ user: SIM_USER, database: SIM_DATABASE }));
    return true;
  }

  override closed(): void {
    super.closed();
    if (!this.isDone && !this.options.isLenient)
      throw new Error(`${this.token}: an honest client was cut off`);
  }

  end(): void {
    this.isEnding = true;
    this.socket?.say(X());
    this.socket?.end();
  }

  protected take(bytes: Buffer): void {
    if (this.isEnding) return;
    let frames: ReturnType<FrameCollector['push']> = [];
    try {
      frames = this.collector.push(bytes);
    } catch (error) {
      if (!this.options.isLenient) throw error;
    }
    for (const { type, body } of frames) {
      if (type === 'R') for (const frame of answerOf(body, this.scram)) this.socket?.say(frame);
      else if (type === 'E' && !this.options.isLenient) {
        throw new Error(`${this.token}: ${JSON.stringify(errorFields(body))} to ${this.wanted}`);
      } else if (type === 'D' && !this.options.isLenient) this.got.push(rowValues(body).join());
      else if (type === 'Z') this.exchangeDone();
    }
  }

  private exchangeDone(): void {
    if (this.wanted !== '' && !this.options.isLenient && this.got.join() !== this.wanted) {
      throw new Error(`${this.token}: got ${JSON.stringify(this.got)} for ${this.wanted}`);
    }
    this.got = [];
    this.done++;
    if (this.done > this.options.exchanges) return;
    const padding = this.random.oneIn(5) ? ' '.repeat(this.random.size(4000)) : '';
    this.wanted = `SELECT '${this.token}-${this.done}'${padding}+`;
    const sql = this.wanted;
    const extended = Buffer.concat([P('', sql), B('', ''), D('P', ''), E(''), S()]);
    const named = Buffer.concat([P(`s${this.done}`, sql), B('', `s${this.done}`), E(''), S()]);
    this.socket?.say(this.random.pick([Q(sql), extended, named]));
  }
}
