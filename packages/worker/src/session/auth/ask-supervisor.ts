import {
  type AuthReplyMessage,
  type AuthRequestMessage,
  formatVerifier,
  type PoolSnapshot,
} from '@pgdog-cluster/core';
import type { LookupKind } from '../../directory.js';
import type { WorkerContext } from '../../worker-context.js';
import type { Session } from '../session.js';

/**
 * Asks about a user who is not known here. `onReply` is called in a later turn, unless the session has ended by then;
 * one question at a time.
 */
export function askAboutUser(
  session: Session,
  question: AuthRequestMessage['question'],
  onReply: (reply: AuthReplyMessage) => void,
  { password = '', names = [] }: Partial<Pick<AuthRequestMessage, 'password' | 'names'>> = {},
): void {
  const { context, database, user } = session;
  session.onAuthReply = onReply;
  context.tell({
    type: 'authRequest',
    worker: context.worker,
    slot: session.slot,
    generation: session.id,
    question,
    database,
    user,
    password,
    names,
    ageMsMax: context.config.general.lookupFailureTtlMs,
  });
}

/** The supervisor has answered. */
export function supervisorRepliedAboutUser(session: Session, reply: AuthReplyMessage): void {
  const told = session.onAuthReply;
  session.onAuthReply = null;
  if (session.phase === 'authenticating') told?.(reply);
}

/** Keeps an answer for the logins that follow. */
export function noteAnswer(session: Session, kind: LookupKind, reply: AuthReplyMessage): void {
  const { context, database, user } = session;
  const { nowMs, directory } = context;
  directory.noteLookedUp(kind, database, user, {
    user: reply.user,
    askedMs: nowMs,
    freshUntilMs: reply.freshUntilMs,
  });
  takeUpPools(session, reply.pools);
}

/** Pools as the supervisor has them now: new here, or with another secret than before. */
export function takeUpPools({ context }: Session, pools: readonly PoolSnapshot[]): void {
  for (const pool of pools) takeUpPool(context, pool);
}

function takeUpPool(context: WorkerContext, pool: PoolSnapshot): void {
  const before = context.directory.poolAt(pool.index);
  if (before !== null && hasSameSecrets(before, pool)) return;
  context.directory.addPool(pool);
  context.pools.get(pool.index)?.takeUp(pool);
}

function hasSameSecrets(a: PoolSnapshot, b: PoolSnapshot): boolean {
  const textsOf = ({ serverPasswords, serverMd5Hashes, serverVerifiers }: PoolSnapshot): string[] => [
    ...serverPasswords,
    ...serverMd5Hashes,
    ...serverVerifiers.map((verifier) => formatVerifier(verifier)),
  ];
  const theirs = textsOf(b);
  const mine = textsOf(a);
  return mine.length === theirs.length && mine.every((text, index) => text === theirs[index]);
}
