import type { ClientTlsSnapshot, ServerTlsSnapshot } from '@pgdog-cluster/core';
import { type TlsContext, TlsFilter, type TlsInfo, type TlsListener, TlsWorker } from '@pgdog-cluster/worker';
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
    this.worker = new TlsWorker(this.rig.memory, options.mayPoint ?? true);
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
    handshakes.beginTurn(Math.floor(performance.now() * 1000), Date.now(), false);
    this.rig.driver.turn(handshakes.waitingCount > 0 ? 0 : timeoutMs);
    handshakes.run();
  }

  until(isDone: () => boolean, limitMs = 10_000): void {
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
