import {
  ADVISORY_LOCK,
  BINDS_CONNECTION,
  DEFINES_CODE,
  DEFINES_RELATION,
  DEPENDS_ON_SETTINGS,
  HARMLESS_FLAGS,
  RETURNS_COPY,
  SETS_PARAMETER,
  type SqlPlan,
  UNKNOWN_EFFECT,
  USES_SEQUENCE_STATE,
} from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { discardSequences } from '../backend/synchronise.js';
import { vacateForPlan } from '../pool/vacate.js';
import { touchesListening } from '../pubsub/ask-ahead.js';
import { planOfBody } from './client-statements.js';
import { PIN_ADVISORY_LOCK, PIN_CONNECTION, PIN_UNKNOWN_SETTING } from './pin-reasons.js';
import type { Session } from './session.js';

/** Names of one transaction that are remembered, about. */
const MENTIONED_MAX = 1000;

const HARMLESS = HARMLESS_FLAGS | RETURNS_COPY | DEPENDS_ON_SETTINGS | DEFINES_RELATION;

/** Whether a plan says anything about the session: most that are not plain just write or have a long text. */
export function needsAttention(plan: SqlPlan, server: ServerConnection): boolean {
  if ((plan.flags & ~HARMLESS) !== 0) return true;
  if (isMisread(plan.flags, server) || changesAccess(plan.flags, server)) return true;
  for (const { effect } of plan.statements) {
    if (effect !== null && effect.type !== 'begin' && effect.type !== 'commit' && effect.type !== 'rollback')
      return true;
  }
  return false;
}

/** The same for a text that is kept and may be run under other settings than now. */
export function needsKeeping(plan: SqlPlan, server: ServerConnection): boolean {
  return (plan.flags & DEPENDS_ON_SETTINGS) !== 0 || needsAttention(plan, server);
}

/** Those that may not be a database's, since their characters end in ASCII bytes, a backslash among them. */
const ENCODINGS_WITH_ASCII_ENDS = new Set('BIG5 GB18030 GBK JOHAB SHIFT_JIS_2004 SJIS UHC'.split(' '));

/**
 * Whether our reading does not hold, or may not when the server gets the text. What counts are the session's settings: the
 * server connection may have reported another's last, and be told of these with the text.
 */
export function isMisread(flags: number, server: ServerConnection): boolean {
  if ((flags & DEPENDS_ON_SETTINGS) === 0) return false;
  const { reported } = server.session ?? server;
  return (
    server.isSettingPending ||
    reported.get('standard_conforming_strings') === 'off' ||
    ENCODINGS_WITH_ASCII_ENDS.has(reported.get('client_encoding') ?? '')
  );
}

/** What is known of the relations, for those who ask which statements replicas may have, is known no more. */
function changesAccess(flags: number, server: ServerConnection): boolean {
  const { code } = server.pool;
  return (flags & DEFINES_RELATION) !== 0 && (code.wantsAccess || code.tenantColumn !== null);
}

/** What must be known before the statement runs, because it may do it even if it fails. */
export function noteForeseen(session: Session, server: ServerConnection, plan: SqlPlan): void {
  const { flags } = plan;
  const isUncertain = isMisread(flags, server);
  server.hasEffectPending = true;
  if ((flags & SETS_PARAMETER) !== 0) server.isSettingPending = true;
  const { pubSub } = session.context;
  if (pubSub.isUsed && touchesListening(plan)) pubSub.returns.start(session, server, true);
  vacateForPlan(server.pool, plan);
  // A connection of its own: whatever is left ends with the session, or is reset after it.
  if (session.isSessionMode) return;
  if (changesAccess(flags, server)) server.definesCode = true;
  if ((flags & DEFINES_CODE) !== 0) {
    server.definesCode = true;
    // It may be run unseen before anybody has had a look at it.
    server.isSuspect = true;
  }
  if (isUncertain) noteUnknown(session, server);
  else if ((flags & UNKNOWN_EFFECT) !== 0) {
    if (isQuiet(plan, server)) server.isSuspect = true;
    else noteUnknown(session, server);
    for (const { mentions } of plan.statements) {
      if (mentions !== undefined && session.mentionedNames.length < MENTIONED_MAX) {
        session.mentionedNames.push(...mentions);
      }
    }
  }
  // No error takes a session-level lock back, and a portal that stops halfway is never told complete.
  if ((flags & ADVISORY_LOCK) !== 0) session.pins |= PIN_ADVISORY_LOCK;
  if ((flags & BINDS_CONNECTION) !== 0) {
    session.pins |= PIN_CONNECTION;
    server.isDoomed = true;
  }
  if ((flags & USES_SEQUENCE_STATE) !== 0) discardSequences(session, server);
}

/** All that is unknown are functions whose sources are known to leave the session alone. Sources may change. */
function isQuiet(plan: SqlPlan, server: ServerConnection): boolean {
  if (plan.statements.length === 0) return false;
  const { code } = server.pool;
  return plan.statements.every(
    ({ flags, calls }) => (flags & UNKNOWN_EFFECT) === 0 || (calls !== undefined && code.areQuiet(calls)),
  );
}

/** First message of a batch: what must go to the server as a Query of ours can do so now, and not later. */
export function noteAheadOfBatch(session: Session, server: ServerConnection, plan: SqlPlan): void {
  let { flags } = plan;
  for (const { nameSpans } of plan.statements) {
    for (const { name } of nameSpans) flags |= session.statements.get(name)?.plan?.flags ?? 0;
  }
  const { pubSub } = session.context;
  const isAboutListening = (flags & UNKNOWN_EFFECT) !== 0 || touchesListening(plan);
  const mustReturn = pubSub.isUsed && isAboutListening;
  if ((flags & USES_SEQUENCE_STATE) === 0 && !mustReturn) return;
  server.isBatchOpen = false;
  if (mustReturn) pubSub.returns.start(session, server, touchesListening(plan));
  if ((flags & USES_SEQUENCE_STATE) !== 0) discardSequences(session, server);
  server.isBatchOpen = true;
}

/** Anything may be left on the server connection: it is asked when the statement is through. */
export function noteUnknown(session: Session, server: ServerConnection): void {
  // Inside a batch it would make a transaction of what may not run in one; see noteAheadOfBatch.
  if (!server.isBatchOpen) session.context.pubSub.returns.start(session, server, false);
  server.isSuspect = true;
  server.isTainted = true;
  session.isStateUnread = true;
}

/**
 * The statements that EXECUTE statements of this text run: what those do is done now. Their values are computed
 * by the server and known to it alone.
 */
export function noteExecuted(session: Session, server: ServerConnection, plan: SqlPlan): void {
  /** Prepared by an earlier statement of the same text. */
  const own = new Map<string, SqlPlan>();
  for (const { effect, nameSpans } of plan.statements) {
    if (effect?.type === 'prepare') {
      own.set(effect.name, planOfBody(session.context, effect));
    }
    if (effect?.type === 'prepare' || effect?.type === 'deallocate') continue;
    for (const { name } of nameSpans) {
      const statement = session.statements.get(name);
      const executed = own.get(name) ?? statement?.plan ?? null;
      // A function's, or of a text that was not read.
      const isForeign = executed === null && statement === undefined;
      if (isForeign && (server.isTainted || (session.pins & PIN_UNKNOWN_SETTING) !== 0))
        noteUnknown(session, server);
      if (executed === null || executed.flags === 0) continue;
      noteForeseen(session, server, executed);
      session.noteExecuted(server, executed);
    }
  }
}
