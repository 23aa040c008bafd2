import { type ConnectionOptions, checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { ServerTlsSnapshot } from '@pgdog-cluster/core';
import type { DatabaseEntry } from '@pgdog-cluster/core/config';
import type { LoadedTls } from './tls-files.js';

interface DatabaseTls {
  /** Position in TlsSnapshot.servers; -1 = in the clear. */
  index: number;
  settings: ServerTlsSnapshot | undefined;
}

/** What is in force for each database, since the files were last taken up. */
const inForce = new WeakMap<DatabaseEntry, DatabaseTls>();

export function setDatabaseTls({ indexOf, snapshot }: LoadedTls): void {
  const byIndex = new Map<number, DatabaseTls>();
  for (const [database, index] of indexOf) {
    const settings = byIndex.get(index) ?? { index, settings: snapshot.servers[index] };
    byIndex.set(index, settings);
    inForce.set(database, settings);
  }
}

/** What is in force for the template is for the entry that was made of it. */
export function inheritDatabaseTls(database: DatabaseEntry, template: DatabaseEntry): void {
  const settings = inForce.get(template);
  if (settings !== undefined) inForce.set(database, settings);
}

/** For pools that are made between two publications. */
export function databaseTlsIndex(database: DatabaseEntry): number {
  return inForce.get(database)?.index ?? -1;
}

/** TLS of a connection by pg. */
export interface PgTls {
  /** pg's `ssl`; false = in the clear. */
  ssl: ConnectionOptions | false;
  /** Where the server has none, in the clear will do. */
  isOptional: boolean;
}

const IN_THE_CLEAR: PgTls = { ssl: false, isOptional: false };

/** Of several common names the first counts, as for libpq; Node takes any. */
function withOneName(peer: PeerCertificate): PeerCertificate {
  const names: unknown = peer.subject?.CN;
  return Array.isArray(names) ? { ...peer, subject: { ...peer.subject, CN: String(names[0]) } } : peer;
}

/** For questions of the supervisor's own. */
export function databasePgTls(database: DatabaseEntry): PgTls {
  return pgTlsOf(database.host, inForce.get(database)?.settings);
}

/** As a pool connects. */
export function pgTlsOf(host: string, settings: ServerTlsSnapshot | undefined): PgTls {
  if (settings === undefined) return IN_THE_CLEAR;
  const { mode, certificate, privateKey, ca, crl, terms } = settings;
  const ssl: ConnectionOptions = {
    minVersion: terms.versionMin,
    maxVersion: terms.versionMax,
    rejectUnauthorized: mode.startsWith('verify'),
    ...(certificate === null ? {} : { cert: certificate, key: privateKey ?? '' }),
    ...(ca === null ? {} : { ca }),
    ...(crl === null ? {} : { crl }),
    // The connection goes to an address; the name is the configuration's.
    checkServerIdentity: (_host, peer) =>
      mode === 'verify_full' ? checkServerIdentity(host, withOneName(peer)) : undefined,
  };
  return { ssl, isOptional: mode === 'prefer' };
}
