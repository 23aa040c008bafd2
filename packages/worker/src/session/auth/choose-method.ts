import {
  type AuthType,
  type HbaGroups,
  type HbaRule,
  type HbaSubject,
  hbaRefusal,
  matchHba,
  namesDatabase,
  PgDogError,
  UNIX_ADDRESS,
} from '@pgdog-cluster/core';
import type { Session } from '../session.js';

/** What a client is asked for. `hba` has been resolved by then. */
export type Demand = Exclude<AuthType, 'hba'> | 'peer';

export interface Method {
  demand: Demand;
  /** The rule that asks for it; null outside HBA. */
  rule: HbaRule | null;
}

/** What rules see of a session. */
function subjectOf(session: Session, groups: HbaGroups): HbaSubject {
  return {
    user: session.user,
    database: session.database,
    address: session.addr === UNIX_ADDRESS ? null : session.addr,
    isTls: session.tls !== null,
    isReplication: session.replication === 'physical',
    groups,
  };
}

/**
 * The first rule that fits the session, null where none are asked, or why it may not go on. `ask`: the user's groups
 * have to be found out first.
 */
export function findRule(session: Session, groups: HbaGroups): HbaRule | null | 'ask' | PgDogError {
  const { general, hba } = session.context.config;
  if (general.authType !== 'hba') return null;
  const subject = subjectOf(session, groups);
  const rule = matchHba(hba ?? [], subject);
  if (rule === 'ask' || (rule !== null && rule.method !== 'reject')) return rule;
  return new PgDogError('authentication_refused', hbaRefusal(subject, rule !== null));
}

const DEMANDS: Record<Exclude<HbaRule['method'], 'reject'>, Demand> = {
  trust: 'trust',
  md5: 'md5',
  'scram-sha-256': 'scram',
  password: 'plain',
  cert: 'cert',
  peer: 'peer',
};

/** A rule over the user's own method over the general one. */
export function chooseMethod(session: Session, rule: HbaRule | null, own: AuthType | null): Method {
  if (rule !== null && rule.method !== 'reject') {
    const demand = DEMANDS[rule.method];
    // A rule about all databases does not mean the one from which everything can be stopped.
    const isOpened = demand !== 'trust' || !session.isAdmin || namesDatabase(rule, session.database);
    return { demand: isOpened ? demand : 'scram', rule };
  }
  const type = own ?? session.context.config.general.authType;
  if (type === 'hba' || (type === 'trust' && session.isAdmin)) return { demand: 'scram', rule: null };
  return { demand: type, rule: null };
}
