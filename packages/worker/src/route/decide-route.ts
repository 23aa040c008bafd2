// ● per-frame path
import type { ReadWriteStrategy, RouteFacts } from '@pgdog-cluster/core';
import { CATALOG_UNREAD } from '../pool/database-code.js';
import type { HeldTransaction } from './held-transaction.js';
import type { RoleWish } from './role-setting.js';
import { WANT_ANY, WANT_PRIMARY, WANT_READ, WANT_REPLICA, type Want } from './want.js';

/** All that a decision depends on. */
export interface Asked {
  readonly facts: RouteFacts;
  /** Why it may write; null = it only reads. */
  readonly writes: string | null;
  readonly held: HeldTransaction | null;
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
const decisions = new Map<string, Decision>();
const DECISIONS_MAX = 4096;

function decision(want: Want, reason: string, isByFirstRead = false): Decision {
  const key = isByFirstRead ? `${want}!${reason}` : `${want}${reason}`;
  const known = decisions.get(key);
  if (known !== undefined) return known;
  if (decisions.size >= DECISIONS_MAX) decisions.clear();
  const made = { want, reason, isByFirstRead };
  decisions.set(key, made);
  return made;
}

export const UNREAD_ON_PRIMARY = decision(WANT_PRIMARY, 'cannot be read as a whole');
export const UNREAD_ON_REPLICA = decision(WANT_REPLICA, 'asked for a replica');
export const FUNCTION_CALL = decision(WANT_PRIMARY, 'function call by number');

/** Who may run what a session asks. */
export function decideRoute(asked: Asked): Decision {
  const { facts, held, role } = asked;
  if (role === 'replica') return decision(WANT_REPLICA, 'asked for a replica');
  if (role === 'primary') return decision(WANT_PRIMARY, 'asked for the primary');
  if (asked.isSessionMode) {
    return decision(asked.isReadOnlyByDefault ? WANT_READ : WANT_PRIMARY, 'session mode');
  }
  const isTransaction = held !== null || facts.begin !== null;
  if (!isTransaction && facts.access === 'neutral') return decision(WANT_ANY, facts.reason);
  // A standby knows nothing of serializable transactions (predicate.c).
  if (isSerializable(asked)) return decision(WANT_PRIMARY, 'serializable');
  const isSaid = facts.begin?.isReadOnly ?? held?.isReadOnly ?? null;
  if (isSaid ?? asked.isReadOnlyByDefault) return decision(WANT_READ, 'read only');
  return isTransaction ? decideTransaction(asked) : decideStatement(asked);
}

function isSerializable({ facts, held, isSerializableByDefault }: Asked): boolean {
  return isSerializableByDefault || held?.isSerializable === true || facts.begin?.isSerializable === true;
}

function decideStatement({ facts, writes, hasJustWritten }: Asked): Decision {
  // Without a primary to ask a replica may: it refuses what writes.
  if (writes === CATALOG_UNREAD) return decision(WANT_ANY, writes);
  if (writes !== null) return decision(WANT_PRIMARY, writes);
  if (hasJustWritten) return decision(WANT_PRIMARY, 'the session has just written');
  return decision(WANT_READ, facts.reason);
}

function decideTransaction({ facts, writes, hasJustWritten, strategy }: Asked): Decision {
  if (strategy === 'conservative') return decision(WANT_PRIMARY, 'transaction');
  if (writes !== null) return decision(WANT_PRIMARY, writes);
  if (facts.access === 'neutral') return decision(WANT_PRIMARY, 'transaction that begins with no read');
  if (hasJustWritten) return decision(WANT_PRIMARY, 'the session has just written');
  return decision(WANT_READ, 'transaction that begins with a read', true);
}
