/** What workers report, with as much as a test wants to be otherwise. */
import type { ClientReport, MirrorReport, ServerReport } from '@pgdog-cluster/core';
import type { CertificateReport } from 'pgdog-cluster';

/** Epoch ms at which the admin database of the tests is asked. */
export const NOW_MS = Date.UTC(2030, 0, 31, 12);

/** Of one worker; shop is mirrored to other. */
export function mirrorReport(changes: Partial<MirrorReport> = {}): MirrorReport {
  const figures = { total: 9, mirrored: 4, skipped: 1, failed: 1, dropped: 1, errors: 1, queued: 1 };
  return { source: 'shop', destination: 'other', user: 'app', ...figures, ...changes };
}

export function clientReport(changes: Partial<ClientReport> = {}): ClientReport {
  return {
    slot: 5,
    session: 77,
    fd: 30,
    worker: 1,
    user: 'app',
    database: 'shop',
    addr: '10.0.0.1',
    port: 5555,
    state: 'active',
    replication: 'none',
    connectTimeMs: NOW_MS - 1000,
    waitingSinceMs: 0,
    lastRequestMs: NOW_MS - 10,
    queries: 4,
    transactions: 3,
    waitTimeUs: 1500,
    queryTimeUs: 2500,
    transactionTimeUs: 3500,
    bytesReceived: 100,
    bytesSent: 200,
    errors: 1,
    applicationName: 'psql',
    peerUser: null,
    pinReason: 'listen',
    preparedStatements: 2,
    tls: 'TLSv1.3/TLS_AES_256_GCM_SHA384',
    ...changes,
  };
}

export function serverReport(changes: Partial<ServerReport> = {}): ServerReport {
  return {
    pool: 0,
    worker: 1,
    state: 'active',
    fd: 31,
    isDoomed: false,
    connectTimeMs: NOW_MS - 5000,
    requestTimeMs: NOW_MS - 20,
    remotePid: 4242,
    clientSlot: 5,
    transactions: 3,
    queries: 4,
    rollbacks: 0,
    preparedStatements: 2,
    healthchecks: 0,
    errors: 1,
    bytesReceived: 200,
    bytesSent: 100,
    lastSentMs: NOW_MS - 20,
    lastReceivedMs: 0,
    applicationName: 'psql',
    tls: '',
    ...changes,
  };
}

export function certificateReport(changes: Partial<CertificateReport> = {}): CertificateReport {
  return {
    usage: 'clients',
    file: '/etc/pgdog/cert.pem',
    subject: 'CN=db.example',
    issuer: 'CN=authority',
    serial: '4d01',
    notBeforeMs: NOW_MS - 86_400_000,
    notAfterMs: NOW_MS + 86_400_000,
    ...changes,
  };
}
