/** A wire to a server whose answers come in pieces, cut where a test says. What is sent to it passes as it comes. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { listenLocally } from './listen-locally.js';

/** Behind so many bytes since the mark, and behind `every` further ones; null: nowhere. */
export type Cut = { at: number; every: number } | null;

/** Bytes that are so far from the mark, cut. */
export function cutPieces(bytes: Buffer, cut: Cut, since = 0): Buffer[] {
  if (cut === null) return [bytes];
  const pieces: Buffer[] = [];
  let start = 0;
  for (let end = 1; end < bytes.length; end++) {
    if ((since + end) % cut.every !== cut.at % cut.every) continue;
    pieces.push(bytes.subarray(start, end));
    start = end;
  }
  return [...pieces, bytes.subarray(start)];
}

/** One connection to the server. */
class Wire {
  readonly near: Socket;
  readonly far: Socket;
  cut: Cut = null;
  #answeredBytes = 0;
  #waiting: Buffer[] = [];
  #isSending = false;

  constructor(near: Socket, port: number) {
    this.near = near;
    this.far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, this.far],
      [this.far, near],
    ] as const) {
      // Each piece is a packet of its own.
      from.setNoDelay(true);
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
    }
    near.on('data', (chunk) => this.far.write(chunk));
    this.far.on('data', (chunk) => {
      this.#waiting.push(...cutPieces(chunk, this.cut, this.#answeredBytes));
      this.#answeredBytes += chunk.length;
      if (!this.#isSending) void this.#send();
    });
  }

  mark(cut: Cut): void {
    this.cut = cut;
    this.#answeredBytes = 0;
  }

  /** The pause lets the reader run. */
  async #send(): Promise<void> {
    this.#isSending = true;
    for (let piece = this.#waiting.shift(); piece !== undefined; piece = this.#waiting.shift()) {
      this.near.write(piece);
      if (this.#waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    this.#isSending = false;
  }
}

export class SplitRelay {
  port = 0;
  readonly #server: Server;
  readonly #wires = new Set<Wire>();
  #cut: Cut = null;

  private constructor(targetPort: number) {
    this.#server = createServer((near) => {
      const wire = new Wire(near, targetPort);
      wire.cut = this.#cut;
      this.#wires.add(wire);
      near.on('close', () => this.#wires.delete(wire));
    });
  }

  static async open(targetPort: number): Promise<SplitRelay> {
    const relay = new SplitRelay(targetPort);
    relay.port = await listenLocally(relay.#server);
    return relay;
  }

  /** From here bytes are counted, and cut. */
  mark(cut: Cut): void {
    this.#cut = cut;
    for (const wire of this.#wires) wire.mark(cut);
  }

  close(): void {
    this.#server.close();
    for (const { near, far } of this.#wires) {
      near.destroy();
      far.destroy();
    }
  }
}
