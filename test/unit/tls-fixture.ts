import type { ClientTlsSnapshot, ServerTlsSnapshot } from '@pgdog-cluster/core';
import {
  BIG_BYTES,
  type FilterPort,
  gathered,
  KernelMemory,
  LoginBudget,
  OutputQueue,
  type TlsContext,
  TlsFilter,
  type TlsInfo,
  type TlsListener,
  TlsWorker,
} from '@pgdog-cluster/worker';
import { PATIENCE_MS } from '../support/patience.js';
import { type DriverName, localPair, Recorder, Rig } from './io-fixture.js';

/** An end of a TLS connection: what its owner is told. */
export class TlsEnd extends Recorder implements TlsListener {
  infos: TlsInfo[] = [];
  failures: string[] = [];
  filter: TlsFilter | null = null;

  startTls(worker: TlsWorker, context: TlsContext, host = '', isDirect = false): TlsFilter {
    const peer = { context, isDirect, host, port: 5432 };
    this.filter = new TlsFilter(worker, this.connection, peer, this);
    this.connection.startFilter(this.filter);
    if (!context.isServer) this.filter.start();
    return this.filter;
  }

  handleTlsReady(info: TlsInfo): void {
    this.infos.push(info);
  }

  handleTlsFailed(reason: string): void {
    this.failures.push(reason);
    this.connection.closeWhenSent();
  }
}

/** One thread that is both sides of a connection, with one TlsWorker: the BIOs are shared by everybody. */
export class TlsRig {
  readonly rig: Rig;
  readonly worker: TlsWorker;
  problems: string[] = [];

  constructor(name: DriverName, options: { mayPoint?: boolean; bigCount?: number } = {}) {
    this.rig = new Rig(name, { bigCount: options.bigCount ?? 1024 });
    this.worker = new TlsWorker(this.rig.memory, new LoginBudget(), options.mayPoint ?? true);
  }

  take(clients: ClientTlsSnapshot | null, servers: ServerTlsSnapshot[]): void {
    this.worker.takeUp({ tls: { clients, servers } }, (what, reason) =>
      this.problems.push(`${what}: ${reason}`),
    );
  }

  /** Our end towards a client, and that client; `host` is what the client thinks it is talking to. */
  pair(host = 'localhost', isDirect = false): [server: TlsEnd, client: TlsEnd] {
    const [a, b] = localPair().map((fd) => new TlsEnd(this.rig, fd));
    if (this.worker.clients === null) throw new Error('no settings towards clients');
    a.startTls(this.worker, this.worker.clients, '', isDirect);
    const context = this.worker.contextOf(0);
    if (context === null) throw new Error('no settings towards servers');
    b.startTls(this.worker, context, host);
    return [a, b];
  }

  turn(timeoutMs: number): void {
    const { handshakes } = this.worker;
    this.rig.outputs.flushAll();
    handshakes.beginTurn(Date.now(), false);
    this.rig.driver.turn(handshakes.waitingCount > 0 ? 0 : timeoutMs);
    handshakes.run();
  }

  until(isDone: () => boolean, limitMs = PATIENCE_MS): void {
    const deadline = performance.now() + limitMs;
    while (!isDone()) {
      if (performance.now() > deadline) throw new Error('timed out');
      this.turn(100);
    }
  }

  /** Closes all, and says what did not come home. */
  end(...ends: TlsEnd[]): { big: number; small: number; live: number } {
    for (const each of ends) each.connection.close();
    for (let i = 0; i < 3; i++) this.turn(1);
    const live = this.worker.liveCount;
    this.worker.destroy();
    return { ...this.rig.end(), live };
  }
}

export const NOTHING_LEFT = { big: 0, small: 0, live: 0 };

/** An end without a socket: its bytes are taken and given by hand, so that a test chooses how they are cut. */
export class MemoryEnd implements FilterPort, TlsListener {
  readonly output = new OutputQueue();
  readonly filter: TlsFilter;
  readonly memory: KernelMemory;
  readonly pauses = new Set<number>();
  chunks: Buffer[] = [];
  infos: TlsInfo[] = [];
  failures: string[] = [];
  ends: number[] = [];
  dirtyCount = 0;
  onChunk: () => void = () => {};

  constructor(worker: TlsWorker, context: TlsContext, host = '') {
    this.memory = worker.memory;
    this.filter = new TlsFilter(worker, this, { context, isDirect: false, host, port: 5432 }, this);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  send(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.filter.push(-1, bytes, 0, bytes.length, false);
  }

  /** What it would put on the wire. */
  take(): Buffer {
    this.filter.flush();
    const { output, memory } = this;
    const parts: Buffer[] = [];
    while (output.queuedBytes > 0) {
      const count = output.gather(memory);
      let length = 0;
      for (let i = 0; i < count; i++) {
        const start = gathered.offsets[i];
        parts.push(Buffer.from(memory.bytes.slice(start, start + gathered.lengths[i])));
        length += gathered.lengths[i];
      }
      output.finish(memory, length);
      this.filter.flush();
    }
    return Buffer.concat(parts);
  }

  give(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += BIG_BYTES) {
      const piece = bytes.subarray(at, at + BIG_BYTES);
      const buffer = this.memory.allocateBig();
      const start = this.memory.start(buffer);
      this.memory.bytes.set(piece, start);
      this.filter.receive(buffer, start, start + piece.length);
    }
  }

  deliver(buffer: number, start: number, end: number): void {
    this.chunks.push(Buffer.from(this.memory.bytes.slice(start, end)));
    this.memory.release(buffer);
    this.onChunk();
  }

  endReceive(errno: number): void {
    this.ends.push(errno);
  }

  handleTlsReady(info: TlsInfo): void {
    this.infos.push(info);
  }

  handleTlsFailed(reason: string): void {
    this.failures.push(reason);
  }

  markDirty(): void {
    this.dirtyCount++;
  }

  handleHeldDone(): void {}

  pauseReceive(reason: number): void {
    this.pauses.add(reason);
  }

  resumeReceive(reason: number): void {
    this.pauses.delete(reason);
  }

  free(): void {
    this.filter.free();
    this.output.clear(this.memory);
  }
}

/** Both ends with their settings, and what must be left when they are gone. */
export class MemoryPair {
  readonly memory: KernelMemory;
  readonly worker: TlsWorker;
  readonly server: MemoryEnd;
  readonly client: MemoryEnd;

  constructor(
    clients: ClientTlsSnapshot,
    servers: ServerTlsSnapshot,
    options: { host?: string; bigCount?: number } = {},
  ) {
    this.memory = new KernelMemory({ bigCount: options.bigCount ?? 64, smallCount: 64 });
    this.worker = new TlsWorker(this.memory, new LoginBudget());
    this.worker.takeUp({ tls: { clients, servers: [servers] } }, (what, reason) => {
      throw new Error(`${what}: ${reason}`);
    });
    this.worker.handshakes.beginTurn(1, false);
    const towardsServers = this.worker.contextOf(0);
    if (this.worker.clients === null || towardsServers === null) throw new Error('no contexts');
    this.server = new MemoryEnd(this.worker, this.worker.clients);
    this.client = new MemoryEnd(this.worker, towardsServers, options.host ?? 'localhost');
  }

  /** Hands everything over until neither side has anything to say. */
  talk(cut: (bytes: Buffer) => Buffer[] = (bytes) => [bytes]): void {
    for (let quiet = 0; quiet < 2; ) {
      this.worker.handshakes.beginTurn(1, false);
      const [a, b] = [this.client.take(), this.server.take()];
      for (const piece of cut(a)) this.server.give(piece);
      for (const piece of cut(b)) this.client.give(piece);
      this.worker.handshakes.run();
      quiet = a.length + b.length === 0 ? quiet + 1 : 0;
    }
  }

  shake(): void {
    this.client.filter.start();
    this.talk();
  }

  end(): { big: number; small: number; live: number } {
    this.server.free();
    this.client.free();
    const live = this.worker.liveCount;
    this.worker.destroy();
    const { memory } = this;
    return {
      big: memory.bigCount - memory.bigFreeCount,
      small: memory.smallCount - memory.smallFreeCount,
      live,
    };
  }
}
