import { KEEPS_CONNECTION, type RouteFacts } from '@pgdog-cluster/core';
import type { DatabaseCode } from '../pool/database-code.js';
import type { Session } from '../session/session.js';

/** Why a text may write; null: it only reads, as far as text and catalog tell. */
export function whyWrite(
  session: Session,
  code: DatabaseCode,
  facts: RouteFacts,
  flags: number,
): string | null {
  if (facts.access === 'write') return facts.reason;
  if ((flags & KEEPS_CONNECTION) !== 0) return 'keeps its server connection';
  for (const name of facts.executes) {
    const plan = session.statements.get(name)?.plan ?? null;
    const why =
      plan === null ? 'EXECUTE of an unknown statement' : whyWrite(session, code, plan.route, plan.flags);
    if (why !== null) return why;
  }
  return code.mayWrite(facts) ?? code.whyPrimaryOnly(session.pool?.snapshot.serverUser ?? '');
}
