import {
  type AuthReplyMessage,
  type AuthRequestMessage,
  formatVerifier,
  PgDogError,
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
    isUnreachable: reply.isUnreachable,
    askedMs: nowMs,
    freshUntilMs: reply.freshUntilMs,
  });
  if (kind === 'lookup') directory.noteReach(database, reply, nowMs);
  takeUpPools(session, reply);
}

/** The user has logged in, and has no pool here: it is made. `onPool` is called when there is one; else the client is told. */
export function askForPool(session: Session, onPool: () => void): void {
  askAboutUser(session, 'pool', (reply) => {
    const { directory } = session.context;
    takeUpPools(session, reply);
    // Meanwhile the database may have come to be configured, with pools for those who are listed.
    const isListed = directory.user(session.user, session.database) !== null;
    const hasPool = directory.pool(session.database, session.user) !== null;
    if (hasPool && (reply.pools.length > 0 || isListed)) {
      onPool();
      return;
    }
    const { refusal, isFull, isUnreachable } = reply;
    const without = isUnreachable ? 'users_unreachable' : 'unknown_database';
    const code = refusal?.code ?? (isFull ? 'too_many_dynamic_users' : without);
    session.fail(new PgDogError(code, refusal?.message));
  });
}

/** Pools as the supervisor has them now: new here, or with another secret than before. */
function takeUpPools({ context }: Session, { pools, database }: AuthReplyMessage): void {
  if (pools.length > 0 && database !== undefined) context.directory.addDatabase(database);
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
