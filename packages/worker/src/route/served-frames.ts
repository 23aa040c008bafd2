// ● per-frame path
import { FRONTEND, READY, ROLE_REPLICA, WANT_PRIMARY, WANT_READ } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { Session } from '../session/session.js';
import type { ShardDesk } from '../shard/shard-desk.js';
import { HOLD, type ShardOutcome } from '../shard/shard-outcome.js';
import { END_FLUSH, END_OPEN, END_SYNC } from './batch-ahead.js';
import { stepOf } from './held-transaction.js';
import { ahead, type LookAhead } from './look-ahead.js';
import type { RouteChoice } from './route-choice.js';
import type { SessionRouter } from './session-router.js';

const HEADER_BYTES = 5;
const BATCH_TYPES: ReadonlySet<number> = new Set([
  FRONTEND.Parse,
  FRONTEND.Bind,
  FRONTEND.Describe,
  FRONTEND.Execute,
  FRONTEND.Close,
]);

/** Frames of a session that has a server connection (a transaction, a pin, what is under way): whether they may go there. */
export class ServedFrames {
  private readonly session: Session;
  private readonly router: SessionRouter;
  private readonly shards: ShardDesk | null;
  private readonly choice: RouteChoice;
  private readonly looking: LookAhead;

  constructor(router: SessionRouter, looking: LookAhead) {
    this.session = router.session;
    this.router = router;
    this.shards = router.shards;
    this.choice = router.choice;
    this.looking = looking;
  }

  /** The first frame of an exchange, for the server connection that the session has. */
  atHand(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): void {
    this.choice.isHarmless = false;
    if (!this.choice.readOnly.mayLook) return;
    const isQuery = type === FRONTEND.Query;
    const isWhole = end - start === frameBytes && (isQuery || BATCH_TYPES.has(type));
    if (isWhole) {
      this.looking.begin(false);
      if (isQuery) ahead.query(bytes, start + HEADER_BYTES, end - 1);
      else this.looking.look(bytes, start, end);
    }
    const isOne = isWhole && ahead.end === END_SYNC && ahead.plans.length === 1 && (isQuery || ahead.isOne);
    if (isOne) this.choice.isHarmless = this.choice.readOnly.isHarmless(ahead.plans[0]);
    else this.choice.readOnly.ended();
  }

  /**
   * An exchange that was sent before the last one was answered, on the same server connection. False: it must wait,
   * for where it belongs depends on how that one ends (its transaction may stay open), or it belongs elsewhere.
   */
  follows(server: ServerConnection, type: number, bytes: Uint8Array, start: number, end: number): boolean {
    const isPlainRead = this.isPlainRead(type, bytes, start, end);
    // What is sent without waiting is not followed that closely.
    this.choice.readOnly.ended();
    this.choice.isHarmless = false;
    // Of a batch that is not all there the shard is not known, nor that of anything while an answer may open a transaction.
    this.router.endsAtFlush = false;
    // What is under way may change where names are looked for; and whoever keeps it may ask other shards behind its own statement.
    if (this.shards !== null && (server.hasEffectPending || this.session.pins !== 0)) return false;
    if (this.shards !== null && (ahead.end !== END_SYNC || !this.shards.mayFollow(server))) return false;
    if (isPlainRead) return true;
    this.choice.isRepeatable = false;
    if (server.pool.role === ROLE_REPLICA) return false;
    // It would count as a write, and have whatever comes as fast behind it asked here for ever.
    if (this.router.trace.isAsking && this.mayLeave()) return false;
    this.router.trace.willWrite();
    return true;
  }

  /** A read as this session may have it from any host, as far as it is there. */
  private isPlainRead(type: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.looking.begin(false);
    if (type === FRONTEND.Query) ahead.query(bytes, start + HEADER_BYTES, end - 1);
    else this.looking.look(bytes, start, end);
    if (ahead.end !== END_SYNC) return false;
    const facts = ahead.facts();
    const writes = this.choice.whyWrite(facts, ahead.flags());
    return (
      facts.access === 'read' &&
      facts.begin === null &&
      facts.directive === null &&
      this.choice.judge(facts, writes, ahead.plans).want === WANT_READ
    );
  }

  /** What has been looked at may be for another host than the primary. */
  private mayLeave(): boolean {
    if (ahead.end !== END_SYNC) return false;
    const facts = ahead.facts();
    const { readWriteStrategy } = this.session.context.config.routing;
    if (facts.begin !== null && readWriteStrategy === 'aggressive') return true;
    return (
      this.choice.judge(facts, this.choice.whyWrite(facts, ahead.flags()), ahead.plans).want !== WANT_PRIMARY
    );
  }

  /** Elsewhere, should that be for other shards: in a transaction, or while the session keeps its server connection. */
  private mayGoOn({ readyStatus }: ServerConnection): boolean {
    return readyStatus === READY.InTransaction || (readyStatus === READY.Idle && this.session.pins !== 0);
  }

  /** Whether a frame may go to the server connection that the session has. */
  atServer(
    server: ServerConnection,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    frameBytes: number,
  ): ShardOutcome {
    const { shards } = this;
    if (shards === null) return null;
    // Most of what goes to a server connection that the session has: the rest of a batch whose Bind has been looked at.
    if (type === FRONTEND.Execute && server.isBatchOpen) return null;
    // The first frame of a batch: where the others belong is seen before anything of it is sent.
    if (BATCH_TYPES.has(type) && server.isQuiet && this.mayGoOn(server)) {
      if (this.looking.isTooSoon(bytes, start, end)) return HOLD;
      this.looking.begin(false);
      const seenBytes = this.looking.look(bytes, start, end);
      if (this.looking.mustBeMade()) return HOLD;
      if (ahead.problem !== null) return ahead.problem;
      if (this.looking.waits(seenBytes)) return HOLD;
      this.router.endsAtFlush = ahead.end === END_FLUSH && !ahead.hasBind;
      const isDecided = ahead.end === END_OPEN && shards.asked.isApart;
      const isWhole = ahead.end === END_SYNC;
      if (isWhole && ahead.isOne && server.readyStatus === READY.Idle && stepOf(ahead.plans[0]) === 'begin')
        this.router.noteBegin(ahead.plans[0], ahead.beginText);
      if (isWhole || this.router.endsAtFlush || isDecided) return shards.settleBatchAt(server);
    }
    return shards.atServer(server, type, bytes, start, end, frameBytes);
  }
}
