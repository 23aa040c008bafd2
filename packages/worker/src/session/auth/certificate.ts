import { type HbaRule, isMappedUser, PgDogError, type UserSnapshot } from '@pgdog-cluster/core';
import type { Session } from '../session.js';

/** Of a user. */
export type CertificateTerms = Pick<UserSnapshot, 'identity' | 'isCertificateRequired'>;

/**
 * What a rule asks of the client's certificate beside its method; null when it is there. As Postgres words it.
 */
export function checkClientCertificate(session: Session, rule: HbaRule | null): PgDogError | null {
  if (rule === null || rule.clientCert === 'no') return null;
  if (peerOf(session) === null) {
    return new PgDogError('authentication_refused', 'connection requires a valid client certificate');
  }
  // Method cert compares the name itself, with its map.
  if (rule.clientCert === 'verify-ca' || rule.method === 'cert') return null;
  return nameOf(session, rule) === session.user ? null : certificateRefused(session);
}

/** What the user's own entry asks of the certificate, whatever the method; null when it is there. */
export function checkRequiredCertificate(
  session: Session,
  known: CertificateTerms | null,
): PgDogError | null {
  if (known?.isCertificateRequired !== true) return null;
  if (peerOf(session) === null) {
    return new PgDogError('authentication_refused', 'connection requires a valid client certificate');
  }
  return known.identity === null || isIdentity(session, known.identity) ? null : certificateRefused(session);
}

/** Does the verified certificate hold this name: as its common name, a DNS name or a URI? */
export function isIdentity(session: Session, identity: string): boolean {
  const peer = peerOf(session);
  if (peer === null || identity === '') return false;
  return peer.commonName === identity || peer.alternatives.includes(identity);
}

/** Does the certificate belong to the user: by the rule's map, by the user's identity, or by its name? */
export function isCertificateOf(session: Session, rule: HbaRule | null, identity: string | null): boolean {
  if (identity !== null && (rule?.map ?? '') === '') return isIdentity(session, identity);
  const name = nameOf(session, rule);
  if (name === null || name === '') return false;
  return isMappedUser(session.context.config.identMappings, rule?.map ?? '', name, session.user);
}

/** Does the process at the other end of a Unix socket run as the user, by the rule's map or by its name? */
export function isPeerOf(session: Session, rule: HbaRule | null): boolean {
  const { peerUser } = session;
  if (peerUser === null || peerUser === '') return false;
  return isMappedUser(session.context.config.identMappings, rule?.map ?? '', peerUser, session.user);
}

export function certificateRefused({ user }: Session): PgDogError {
  return new PgDogError('authentication_refused', `certificate authentication failed for user "${user}"`);
}

export function peerRefused({ user }: Session): PgDogError {
  return new PgDogError('authentication_refused', `Peer authentication failed for user "${user}"`);
}

function peerOf(session: Session) {
  return session.tls?.peer ?? null;
}

function nameOf(session: Session, rule: HbaRule | null): string | null {
  const peer = peerOf(session);
  if (peer === null) return null;
  return rule?.clientName === 'DN' ? peer.subject : peer.commonName;
}
