// ● per-frame path
import type { ReadWriteStrategy } from '../config/snapshot.js';
import type { RouteFacts } from '../sql/route-facts.js';
import { WANT_ANY, WANT_PRIMARY, WANT_READ, WANT_REPLICA, type Want } from './want.js';

/** Why a statement goes where it goes that is a read as far as its text tells. */
export const CATALOG_UNREAD = 'the catalog of the database has not been read yet';

/** What a directive or `pgdog.role` asks for. */
export type RoleWish = 'primary' | 'replica' | null;

/** A transaction that has been begun, and in which nothing has been asked of a server. */
export interface BegunTransaction {
  /** READ ONLY, READ WRITE, or neither was said. */
  readonly isReadOnly: boolean | null;
  readonly isSerializable: boolean;
}

/** All that a decision depends on. */
export interface Asked {
  readonly facts: RouteFacts;
  /** Why it may write; null = it only reads. */
  readonly writes: string | null;
  readonly held: BegunTransaction | null;
  /** What a directive, SET LOCAL, SET or the start-up packet asks for, in this order. */
  readonly role: RoleWish;
  /** default_transaction_read_only, as the session or its user has it. */
  readonly isReadOnlyByDefault: boolean;
  /** default_transaction_isolation of the session. */
  readonly isSerializableByDefault: boolean;
  readonly isSessionMode: boolean;
  /** The session has written so lately that only the primary shows it. */
  readonly hasJustWritten: boolean;
  readonly strategy: ReadWriteStrategy;
}

export interface Decision {
  readonly want: Want;
  readonly reason: string;
  /** On a replica because what came first was a read, not because anybody said READ ONLY. */
  readonly isByFirstRead: boolean;
}

/** One object per kind of decision: reasons are few (one per statement kind and function name), requests are many. */
class Decisions {
  private readonly want: Want;
  private readonly isByFirstRead: boolean;
  private readonly byReason = new Map<string, Decision>();

  constructor(want: Want, isByFirstRead = false) {
    this.want = want;
    this.isByFirstRead = isByFirstRead;
  }

  of(reason: string): Decision {
    return this.byReason.get(reason) ?? this.add(reason);
  }

  private add(reason: string): Decision {
    if (this.byReason.size >= DECISIONS_MAX) this.byReason.clear();
    const made = { want: this.want, reason, isByFirstRead: this.isByFirstRead };
    this.byReason.set(reason, made);
    return made;
  }
}

const DECISIONS_MAX = 4096;
const PRIMARY = new Decisions(WANT_PRIMARY);
const REPLICA = new Decisions(WANT_REPLICA);
const READ = new Decisions(WANT_READ);
const READ_FIRST = new Decisions(WANT_READ, true);
const ANY = new Decisions(WANT_ANY);

export const UNREAD_ON_PRIMARY = PRIMARY.of('cannot be read as a whole');
export const UNREAD_ON_REPLICA = REPLICA.of('asked for a replica');
export const FUNCTION_CALL = PRIMARY.of('function call by number');

/** Who may run what a session asks. */
export function decideRoute(asked: Asked): Decision {
  const { facts, held, role } = asked;
  if (role === 'replica') return REPLICA.of('asked for a replica');
  if (role === 'primary') return PRIMARY.of('asked for the primary');
  if (asked.isSessionMode) {
    return (asked.isReadOnlyByDefault ? READ : PRIMARY).of('session mode');
  }
  const isTransaction = held !== null || facts.begin !== null;
  if (!isTransaction && facts.access === 'neutral') return ANY.of(facts.reason);
  // A standby knows nothing of serializable transactions (predicate.c).
  if (isSerializable(asked)) return PRIMARY.of('serializable');
  const isSaid = facts.begin?.isReadOnly ?? held?.isReadOnly ?? null;
  if (isSaid ?? asked.isReadOnlyByDefault) return decideReadOnly(asked.writes);
  return isTransaction
    ? decideTransaction(asked)
    : decideStatement(facts, asked.writes, asked.hasJustWritten);
}

/**
 * What a standby cannot do (LISTEN), does only for itself (advisory locks) or refuses in other words than a primary would
 * (COPY FROM) begins on the primary.
 */
function decideReadOnly(writes: string | null): Decision {
  if (writes === null) return READ.of('read only');
  return (writes === CATALOG_UNREAD ? ANY : PRIMARY).of(writes);
}

function isSerializable({ facts, held, isSerializableByDefault }: Asked): boolean {
  return isSerializableByDefault || held?.isSerializable === true || facts.begin?.isSerializable === true;
}

/** Of a statement by itself, of a session that has said nothing about its hosts: what decideRoute() comes to for it. */
export function decideStatement(facts: RouteFacts, writes: string | null, hasJustWritten: boolean): Decision {
  if (facts.access === 'neutral') return ANY.of(facts.reason);
  // Without a primary to ask a replica may: it refuses what writes.
  if (writes === CATALOG_UNREAD) return ANY.of(writes);
  if (writes !== null) return PRIMARY.of(writes);
  if (hasJustWritten) return PRIMARY.of('the session has just written');
  return READ.of(facts.reason);
}

function decideTransaction({ facts, writes, hasJustWritten, strategy }: Asked): Decision {
  if (strategy === 'conservative') return PRIMARY.of('transaction');
  if (writes !== null) return PRIMARY.of(writes);
  if (facts.access === 'neutral') return PRIMARY.of('transaction that begins with no read');
  if (hasJustWritten) return PRIMARY.of('the session has just written');
  return READ_FIRST.of('transaction that begins with a read');
}
