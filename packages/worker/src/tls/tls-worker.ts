import type { ConfigSnapshot } from '@pgdog-cluster/core';
import type { KernelMemory } from '../io/kernel-memory.js';
import { viewOf } from '../io/libc.js';
import type { LoginBudget } from '../login-budget.js';
import { type Scratch, subjectOf } from './certificate.js';
import { HandshakeQueue } from './handshake-queue.js';
import { MemoryBios } from './memory-bios.js';
import * as ssl from './openssl.js';
import {
  ALPN_PROTOCOL,
  contextTowardsClients,
  contextTowardsServers,
  type TlsContext,
} from './tls-context.js';

/** Something that holds an SSL object. */
interface Freeable {
  free(): void;
}

/** Why a certificate was refused in the handshake that has just failed. */
export interface VerifyFailure {
  code: number;
  rule: string;
  /** 0 = the peer's own certificate, more = those above it. */
  depth: number;
  subject: string;
}

/** A failed take-up keeps what was there; the text says what was wrong. */
export type TakeUpProblem = (what: string, reason: string) => void;

/** What TLS connections of one worker share: contexts, BIOs, callbacks, and whose turn it is to shake hands. */
export class TlsWorker {
  readonly memory: KernelMemory;
  readonly bios: MemoryBios;
  readonly handshakes: HandshakeQueue;
  readonly scratch: Scratch;
  /** Null: clients cannot have TLS. */
  clients: TlsContext | null = null;
  verifyFailure: VerifyFailure | null = null;
  private servers: TlsContext[] = [];
  private readonly scratchBuffer: number;
  private readonly live = new Set<Freeable>();
  private readonly callbacks: { verify: bigint; alpn: bigint };

  constructor(memory: KernelMemory, budget: LoginBudget, mayPoint: boolean = true) {
    this.memory = memory;
    this.handshakes = new HandshakeQueue(budget);
    this.scratchBuffer = memory.allocateBig();
    if (this.scratchBuffer < 0) throw new Error('no kernel memory for TLS');
    const { address, bytes, view } = memory;
    this.scratch = { address, bytes, view, offset: memory.start(this.scratchBuffer) };
    this.bios = new MemoryBios(memory, this.scratch.offset, mayPoint);
    this.callbacks = {
      verify: ssl.registerVerify((isOk, store) => this.onVerify(isOk, store)),
      alpn: ssl.registerAlpn((_ssl, out, outLength, offered, length) =>
        this.onAlpn(out, outLength, offered, length),
      ),
    };
  }

  get liveCount(): number {
    return this.live.size;
  }

  /** Settings towards the servers of a pool; null = none. */
  contextOf(index: number): TlsContext | null {
    return this.servers[index] ?? null;
  }

  /**
   * Makes the contexts of a new configuration. Those whose settings are the same stay, with their sessions; those
   * replaced are freed once their last connection is. What cannot be made is left as it was, and told.
   */
  takeUp(config: Pick<ConfigSnapshot, 'tls'>, problem: TakeUpProblem): void {
    const { clients, servers } = config.tls;
    const { callbacks, scratch } = this;
    const remake = <S extends { fingerprint: string }>(
      old: TlsContext | null,
      settings: S,
      make: (settings: S) => TlsContext,
      what: string,
    ): TlsContext | null => {
      if (old?.fingerprint === settings.fingerprint) return old;
      try {
        return make(settings);
      } catch (error) {
        problem(what, error instanceof Error ? error.message : String(error));
        return old;
      }
    };
    const oldClients = this.clients;
    this.clients =
      clients === null
        ? null
        : remake(oldClients, clients, (s) => contextTowardsClients(s, callbacks, scratch), 'clients');
    if (oldClients !== this.clients) oldClients?.free();
    const old = this.servers;
    this.servers = [];
    for (const [index, settings] of servers.entries()) {
      const known = old.find(({ fingerprint }) => fingerprint === settings.fingerprint) ?? old[index] ?? null;
      const made = remake(known, settings, (s) => contextTowardsServers(s, callbacks, scratch), 'servers');
      if (made !== null) this.servers[index] = made;
    }
    for (const context of old) if (!this.servers.includes(context)) context.free();
  }

  add(filter: Freeable): void {
    this.live.add(filter);
  }

  remove(filter: Freeable): void {
    this.live.delete(filter);
  }

  /** The thread ends, orderly or not: what OpenSSL allocated does not go with it. */
  destroy(): void {
    for (const filter of [...this.live]) filter.free();
    this.clients?.free();
    this.clients = null;
    for (const context of this.servers) context.free();
    this.servers = [];
    this.bios.destroy();
    ssl.unregister(this.callbacks.verify);
    ssl.unregister(this.callbacks.alpn);
    this.memory.release(this.scratchBuffer);
  }

  /** OpenSSL has judged one certificate of the chain; this only remembers what for, the verdict stays. */
  private onVerify(isOk: number, store: number): number {
    if (isOk === 1) return 1;
    const code = ssl.X509_STORE_CTX_get_error(store);
    this.verifyFailure ??= {
      code,
      rule: ssl.X509_verify_cert_error_string(code) ?? `error ${code}`,
      depth: ssl.X509_STORE_CTX_get_error_depth(store),
      subject: subjectOf(ssl.X509_STORE_CTX_get_current_cert(store), this.scratch),
    };
    return 0;
  }

  /** A client that speaks of protocols must speak of ours: the port may be reached by what is meant for another. */
  private onAlpn(out: number, outLength: number, offered: number, length: number): number {
    const bytes = new Uint8Array(viewOf(offered, length));
    for (let at = 0; at + 1 + bytes[at] <= length; at += 1 + bytes[at]) {
      if (!isProtocol(bytes, at)) continue;
      new DataView(viewOf(out, 8)).setBigUint64(0, BigInt(offered + at + 1), true);
      new Uint8Array(viewOf(outLength, 1))[0] = bytes[at];
      return ssl.SSL_TLSEXT_ERR_OK;
    }
    return ssl.SSL_TLSEXT_ERR_ALERT_FATAL;
  }
}

function isProtocol(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== ALPN_PROTOCOL.length) return false;
  for (let i = 0; i < ALPN_PROTOCOL.length; i++) {
    if (bytes[at + 1 + i] !== ALPN_PROTOCOL.charCodeAt(i)) return false;
  }
  return true;
}
