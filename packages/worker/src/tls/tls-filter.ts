// ● per-frame path
import { HIGH_MARK } from '../io/connection.js';
import { BIG_BYTES, type KernelMemory } from '../io/kernel-memory.js';
import { OutputQueue } from '../io/output-queue.js';
import type { FilterPort, StreamFilter } from '../io/stream-filter.js';
import { AHEAD_BYTES, encryptGathered, RECORD_BYTES_MAX, takeWritten } from './cipher-output.js';
import type { Handshake } from './handshake-queue.js';
import type { MemoryBios } from './memory-bios.js';
import * as openssl from './openssl.js';
import { drainErrors } from './tls-error.js';
import {
  completeHandshake,
  describeFailure,
  keepSession,
  prepareHandshake,
  type TlsPeer,
} from './tls-handshake.js';
import type { TlsInfo } from './tls-info.js';
import { endsInRecord, recordEnd } from './tls-record.js';
import type { TlsWorker } from './tls-worker.js';

/** Reason bit of pauseReceive(); those of sessions and server connections are below it. */
const PAUSE_TLS = 1 << 16;
/** What a peer may send ahead of its turn to shake hands. */
const HELD_HANDSHAKE_BYTES_MAX = 128 * 1024;

// Life of a filter. It only moves down.
const FRESH = 0;
const HANDSHAKE = 1;
const OPEN = 2;
/** The peer has said goodbye: nothing more is received, sending still works. */
const ENDED = 3;
const FAILED = 4;
const FREED = 5;

/** What a read that gave nothing means, or else a reason. */
const NOTHING_YET = 'nothing yet';
const GOODBYE = 'goodbye';

/** Whom a filter tells. */
export interface TlsListener {
  /** The handshake is done; plain bytes follow. */
  handleTlsReady(info: TlsInfo): void;
  /** Handshake or stream is broken; an alert for the peer is queued. To be closed: nothing comes or goes any more. Once. */
  handleTlsFailed(reason: string): void;
}

/**
 * TLS for one connection: a filter over memory BIOs. See docs/internals/tls.md.
 *
 * Receiving decrypts in place: OpenSSL copies a record out of the received buffer before it writes its plain text,
 * which is shorter, over it. In a received buffer:
 *
 *   from <= out <= at <= end      [from, out) plain, not delivered yet; [at, end) cipher text, not read yet
 *
 * Only a record that began in an earlier buffer needs another one for its plain text ("aside").
 */
export class TlsFilter implements StreamFilter, Handshake {
  private readonly worker: TlsWorker;
  private readonly memory: KernelMemory;
  private readonly bios: MemoryBios;
  private readonly port: FilterPort;
  private readonly peer: TlsPeer;
  private readonly listener: TlsListener;
  /** SSL*, 0 before the handshake and after the end. */
  private ssl: number = 0;
  private life: number = FRESH;
  /** What the owner sends, until it is encrypted. */
  private readonly plain = new OutputQueue();
  /** OpenSSL may have the beginning of a record. Also true where that is not known: it costs a buffer, no more. */
  private isMidRecord: boolean = false;
  /** OpenSSL has plain text it had no room for. */
  private hasPending: boolean = false;
  private isFinished: boolean = false;
  /** Received bytes that wait, for a turn to shake hands or for memory; null = none. */
  private held: Uint8Array[] | null = null;
  private heldBytes: number = 0;
  isWaitingForTurn: boolean = false;

  constructor(worker: TlsWorker, port: FilterPort, peer: TlsPeer, listener: TlsListener) {
    this.worker = worker;
    this.memory = worker.memory;
    this.bios = worker.bios;
    this.port = port;
    this.peer = peer;
    this.listener = listener;
    peer.context.retain();
    worker.add(this);
  }

  get waitingBytes(): number {
    return this.plain.queuedBytes;
  }

  get isHolding(): boolean {
    return this.held !== null;
  }

  get isUnderWay(): boolean {
    return this.life === HANDSHAKE;
  }

  /** Towards a server we speak first. */
  start(): void {
    this.handshake(0, 0);
  }

  /** Bytes that came before the filter did: the first ones of a connection that begins with TLS. */
  receiveCopy(bytes: Uint8Array, start: number, end: number): void {
    this.hold(bytes, start, end);
    if (this.mayWork()) this.runHeld();
    else this.waitForTurn();
  }

  keepSession(): void {
    keepSession(this.peer, this.ssl);
  }

  // Receiving.

  receive(buffer: number, start: number, end: number): void {
    if (this.held === null && this.mayWork()) {
      if (!this.process(buffer, start, end)) this.waitForMemory();
      return;
    }
    this.hold(this.memory.bytes, start, end);
    this.memory.release(buffer);
    if (this.life <= HANDSHAKE) this.waitForTurn();
  }

  private mayWork(): boolean {
    return this.life > HANDSHAKE || !this.peer.context.isServer || this.worker.handshakes.mayStep(this);
  }

  private hold(bytes: Uint8Array, start: number, end: number): void {
    if (this.life >= ENDED || start >= end) return;
    this.held ??= [];
    this.held.push(bytes.slice(start, end));
    this.heldBytes += end - start;
  }

  private waitForTurn(): void {
    if (this.heldBytes > HELD_HANDSHAKE_BYTES_MAX) {
      this.fail('too many bytes before the handshake');
      return;
    }
    if (this.isWaitingForTurn) return;
    this.isWaitingForTurn = true;
    this.port.pauseReceive(PAUSE_TLS);
    this.worker.handshakes.wait(this);
  }

  private waitForMemory(): void {
    this.port.pauseReceive(PAUSE_TLS);
    this.port.markDirty();
  }

  /** The turn of a waiting handshake has come, or there may be memory again. */
  runHeld(): void {
    this.isWaitingForTurn = false;
    const { held, memory } = this;
    if (held === null) return;
    while (held.length > 0 && this.life < ENDED) {
      const buffer = memory.allocateBigAboveReserve();
      if (buffer < 0) {
        if (this.life <= HANDSHAKE) this.waitForTurn();
        else this.waitForMemory();
        return;
      }
      const first = held[0];
      const start = memory.start(buffer);
      const size = Math.min(first.length, BIG_BYTES);
      memory.bytes.set(first.subarray(0, size), start);
      if (size < first.length) held[0] = first.subarray(size);
      else held.shift();
      this.heldBytes -= size;
      if (this.process(buffer, start, start + size)) continue;
      this.waitForMemory();
      return;
    }
    this.held = null;
    this.heldBytes = 0;
    this.port.resumeReceive(PAUSE_TLS);
    this.port.handleHeldDone();
  }

  /** Takes the buffer's reference. False when memory ran out: the rest is held, ahead of all that is. */
  private process(buffer: number, start: number, end: number): boolean {
    const at = this.life <= HANDSHAKE ? this.handshake(start, end) : start;
    if (this.life === OPEN && at < end) return this.decrypt(buffer, at, end);
    this.memory.release(buffer);
    return true;
  }

  private decrypt(buffer: number, start: number, end: number): boolean {
    const { memory, bios } = this;
    let from = start;
    let out = start;
    let at = start;
    let outcome = '';
    while (outcome === '' && (at < end || this.hasPending)) {
      const isAside = this.isMidRecord || this.hasPending;
      const target = isAside ? this.asideBuffer() : buffer;
      if (target < 0) break;
      const to = isAside ? memory.start(target) : out;
      const room = isAside ? RECORD_BYTES_MAX : recordEnd(memory.bytes, at, end) - out;
      // Fed anew each time: the BIO is shared, and what was delivered in between may have led anywhere.
      bios.feed(memory.address + at, end - at);
      const count = openssl.SSL_read(this.ssl, memory.address + to, room);
      const before = at;
      at = end - bios.leftBytes;
      if (count > 0) this.hasPending = count === room && !isAside && openssl.SSL_pending(this.ssl) > 0;
      else outcome = this.readOutcome(count);
      // Key updates are answered; a peer that asks for them and does not read would fill our memory.
      if (bios.writtenBytes > 0 && this.takeWritten() > HIGH_MARK) outcome = 'the peer does not read';
      if (count <= 0) {
        this.isMidRecord ||= endsInRecord(memory.bytes, before, end);
        if (isAside) memory.release(target);
      } else if (isAside) {
        this.isMidRecord = false;
        // In order: what lies in place came first.
        if (out > from) {
          memory.retain(buffer);
          this.port.deliver(buffer, from, out);
          from = out;
        }
        this.port.deliver(target, to, to + count);
        if (this.life !== OPEN) outcome = NOTHING_YET;
      } else out += count;
    }
    const isStarved = outcome === '' && at < end;
    if (isStarved) this.holdFirst(at, end);
    if (out > from) this.port.deliver(buffer, from, out);
    else memory.release(buffer);
    if (outcome !== '' && outcome !== NOTHING_YET) this.endStream(outcome);
    return !isStarved;
  }

  /** Plain text that OpenSSL has already must go somewhere: for that even the reserve will do. */
  private asideBuffer(): number {
    const buffer = this.memory.allocateBigAboveReserve();
    if (buffer >= 0 || !this.hasPending) return buffer;
    const reserved = this.memory.allocateBig();
    if (reserved < 0) throw new Error('no kernel memory for what TLS has decrypted');
    return reserved;
  }

  private holdFirst(start: number, end: number): void {
    this.held ??= [];
    this.held.unshift(this.memory.bytes.slice(start, end));
    this.heldBytes += end - start;
  }

  /** Why a read gave nothing. Before any other call into OpenSSL. */
  private readOutcome(result: number): string {
    const code = openssl.SSL_get_error(this.ssl, result);
    if (code === openssl.SSL_ERROR_WANT_READ) return NOTHING_YET;
    return code === openssl.SSL_ERROR_ZERO_RETURN ? GOODBYE : drainErrors();
  }

  /** The owner may have closed the connection while it was told of the last bytes. */
  private endStream(outcome: string): void {
    if (this.life !== OPEN) return;
    if (outcome !== GOODBYE) {
      this.fail(outcome);
      return;
    }
    this.life = ENDED;
    this.port.endReceive(0);
  }

  // Handshake.

  /** A step with the bytes [start, end) of kernel memory; returns how many of them it took, as an offset. */
  private handshake(start: number, end: number): number {
    const { bios, memory, worker, peer } = this;
    const { handshakes } = worker;
    const startedMs = performance.now();
    openssl.ERR_clear_error();
    if (this.life === FRESH) {
      this.ssl = prepareHandshake(worker, peer);
      if (this.ssl === 0) {
        this.fail(drainErrors());
        return end;
      }
      this.life = HANDSHAKE;
      if (peer.context.isServer) handshakes.began(this);
    }
    worker.verifyFailure = null;
    bios.feed(memory.address + start, end - start);
    const result = openssl.SSL_do_handshake(this.ssl);
    const at = end - bios.leftBytes;
    const outcome = result === 1 ? '' : this.readOutcome(result);
    this.takeWritten();
    if (peer.context.isServer) handshakes.spent((performance.now() - startedMs) * 1000);
    if (outcome === '') this.establish();
    else if (outcome !== NOTHING_YET) this.fail(describeFailure(worker, peer, outcome));
    return at;
  }

  private establish(): void {
    const { worker, peer } = this;
    const info = completeHandshake(worker, peer, this.ssl);
    if (typeof info === 'string') {
      this.fail(info);
      return;
    }
    worker.handshakes.ended(this);
    worker.handshakes.doneCount++;
    this.life = OPEN;
    this.listener.handleTlsReady(info);
  }

  handleStalled(): void {
    this.fail('the handshake took too long while others waited');
  }

  private fail(reason: string): void {
    if (this.life >= FAILED) return;
    const wasHandshake = this.life <= HANDSHAKE;
    this.life = FAILED;
    this.worker.handshakes.ended(this);
    if (wasHandshake) this.worker.handshakes.failedCount++;
    this.plain.clear(this.memory);
    this.held = null;
    this.heldBytes = 0;
    this.listener.handleTlsFailed(reason);
  }

  // Sending.

  push(buffer: number, bytes: Uint8Array, start: number, end: number, isSpilling: boolean): void {
    // Before the handshake there is nothing that may leave: not in the clear, and not encrypted.
    if (this.life !== OPEN && this.life !== ENDED) return;
    const { plain, memory } = this;
    if (isSpilling) plain.pushSpilled(bytes, start, end);
    else if (buffer >= 0) plain.pushSlice(memory, buffer, start, end);
    else plain.pushCopy(memory, bytes, start, end);
  }

  flush(): void {
    if (this.held !== null && this.life === OPEN) this.runHeld();
    const { plain, memory, port } = this;
    while (plain.queuedBytes > 0 && port.output.queuedBytes < AHEAD_BYTES) {
      const count = plain.gather(memory);
      if (count === 0) {
        // Spilled, and no buffer to encrypt from: others are sending from theirs, so the next turn is soon.
        port.markDirty();
        return;
      }
      const encryptedBytes = encryptGathered(this.worker, this.ssl, port.output, count);
      port.markDirty();
      plain.finish(memory, Math.abs(encryptedBytes));
      if (encryptedBytes <= 0) {
        this.fail(drainErrors());
        return;
      }
    }
  }

  private takeWritten(): number {
    if (this.bios.writtenBytes > 0) {
      takeWritten(this.worker, this.port.output);
      this.port.markDirty();
    }
    return this.port.output.queuedBytes;
  }

  finish(): void {
    if (this.isFinished || (this.life !== OPEN && this.life !== ENDED)) return;
    this.isFinished = true;
    openssl.SSL_shutdown(this.ssl);
    this.takeWritten();
  }

  spill(): void {
    this.plain.spill(this.memory);
  }

  dropOutput(): void {
    this.plain.clear(this.memory);
  }

  free(): void {
    if (this.life === FREED) return;
    this.life = FREED;
    const { ssl, worker } = this;
    this.ssl = 0;
    worker.handshakes.ended(this);
    worker.remove(this);
    this.plain.clear(this.memory);
    this.held = null;
    if (ssl !== 0) {
      // Else OpenSSL takes the end for a broken one, and the session for not to be resumed.
      openssl.SSL_set_shutdown(ssl, openssl.SSL_SHUTDOWN_BOTH);
      openssl.SSL_free(ssl);
    }
    this.peer.context.release();
  }
}
