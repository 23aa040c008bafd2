/**
 * A wire to a server that stops at a statement: before the server has it, or when it has answered and nobody has heard.
 * Whoever dies then dies at that very step.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { backend, FrameCollector, frame } from './frames.js';
import { listenLocally } from './listen-locally.js';

const CODE_STARTUP = 196_608;
const CODE_CANCEL = 80_877_102;

/** Where a statement is stopped; `instead`: the server never has it, and this is answered in its place (an SQLSTATE). */
export type Stop = 'before' | 'after' | { instead: string };

interface Trap {
  pattern: RegExp;
  stop: Stop;
  reached: () => void;
}

/** One connection to the server. */
class Wire {
  readonly #gate: StatementGate;
  readonly near: Socket;
  readonly far: Socket;
  readonly #frames = new FrameCollector();
  readonly #answers = new FrameCollector();
  #isTyped = false;
  /** Not passed on yet. */
  #heldStatements: Buffer[] | null = null;
  #heldAnswers: Buffer[] | null = null;
  #reached: (() => void) | null = null;
  #isCancel = false;
  /** The server has taken the cancel, and nobody has been told. */
  #isEndHeld = false;

  constructor(gate: StatementGate, near: Socket, port: number) {
    this.#gate = gate;
    this.near = near;
    this.far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, this.far],
      [this.far, near],
    ] as const) {
      from.setNoDelay(true);
      from.on('error', () => undefined);
      // What is held then is lost with whoever was to have it.
      from.on('close', () => this.#ended(to));
    }
    near.on('data', (chunk) => this.#takeStatements(chunk));
    this.far.on('data', (chunk) => this.#takeAnswers(chunk));
  }

  #ended(to: Socket): void {
    this.#isEndHeld = this.#isCancel && to === this.near && this.#gate.holdsCancels;
    if (!this.#isEndHeld) to.destroy();
  }

  #takeStatements(chunk: Buffer): void {
    let rest = chunk;
    for (;;) {
      const frames = this.#frames.push(rest, !this.#isTyped);
      rest = Buffer.alloc(0);
      for (const { type, body } of frames) {
        if (type === '') {
          this.#isTyped = body.readUInt32BE(0) === CODE_STARTUP;
          this.#isCancel = body.readUInt32BE(0) === CODE_CANCEL;
          const size = Buffer.alloc(4);
          size.writeUInt32BE(body.length + 4);
          const bytes = Buffer.concat([size, body]);
          if (this.#isTyped && this.#gate.holdsLogins) this.#heldStatements = [bytes];
          else this.far.write(bytes);
        } else this.#statement(type, body);
      }
      if (frames.length === 0) return;
    }
  }

  #statement(type: string, body: Buffer): void {
    const bytes = frame(type, body);
    if (this.#heldStatements !== null) {
      this.#heldStatements.push(bytes);
      return;
    }
    const trap = type === 'Q' ? this.#gate.trapFor(body.toString('latin1', 0, body.length - 1)) : null;
    if (trap === null) this.far.write(bytes);
    else if (trap.stop === 'before') {
      this.#heldStatements = [bytes];
      trap.reached();
    } else if (trap.stop === 'after') {
      this.#heldAnswers = [];
      this.#reached = trap.reached;
      this.far.write(bytes);
    } else {
      this.near.write(Buffer.concat([backend.error(trap.stop.instead, 'made by the test'), backend.ready()]));
      trap.reached();
    }
  }

  #takeAnswers(chunk: Buffer): void {
    if (this.#heldAnswers === null) {
      this.near.write(chunk);
      return;
    }
    this.#heldAnswers.push(chunk);
    if (this.#answers.push(chunk).some(({ type }) => type === 'Z')) this.#reached?.();
  }

  release(): void {
    const [statements, answers] = [this.#heldStatements, this.#heldAnswers];
    this.#heldStatements = null;
    this.#heldAnswers = null;
    for (const bytes of statements ?? []) this.far.write(bytes);
    for (const bytes of answers ?? []) this.near.write(bytes);
    if (this.#isEndHeld) this.near.destroy();
  }

  destroy(): void {
    this.near.destroy();
    this.far.destroy();
  }
}

export class StatementGate {
  port = 0;
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #wires = new Set<Wire>();
  #trap: Trap | null = null;
  /** Whoever cancels does not see the end of it before release(). */
  holdsCancels = false;
  /** Who connects is not heard before release(). */
  holdsLogins = false;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer((near) => {
      const wire = new Wire(this, near, this.#targetPort);
      this.#wires.add(wire);
      near.on('close', () => this.#wires.delete(wire));
    });
  }

  static async open(targetPort: number): Promise<StatementGate> {
    const gate = new StatementGate(targetPort);
    gate.port = await listenLocally(gate.#server);
    return gate;
  }

  /** The next Query like `pattern` is stopped; resolves when it has been. */
  stopAt(pattern: RegExp, stop: Stop): Promise<void> {
    return new Promise((reached) => {
      this.#trap = { pattern, stop, reached };
    });
  }

  /** For wires; a trap catches once. */
  trapFor(sql: string): Trap | null {
    const trap = this.#trap;
    if (trap === null || !trap.pattern.test(sql)) return null;
    this.#trap = null;
    return trap;
  }

  /** What is held goes on. */
  release(): void {
    this.#trap = null;
    this.holdsCancels = false;
    this.holdsLogins = false;
    for (const wire of this.#wires) wire.release();
  }

  /** All its wires break, with what is held. */
  cut(): void {
    for (const wire of this.#wires) wire.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}
