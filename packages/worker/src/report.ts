import { type ClientReport, READY, type ServerReport } from '@pgdog-cluster/core';
import type { ServerConnection } from './backend/server-connection.js';
import { pinNames } from './session/pin-reasons.js';
import { stateOfSession } from './session/session-state.js';
import type { TlsInfo } from './tls/tls-info.js';
import type { WorkerContext } from './worker-context.js';

/** As PgBouncer shows it. */
function tlsText(info: TlsInfo | null): string {
  return info === null ? '' : `${info.version}/${info.cipher}`;
}

/** For SHOW CLIENTS. */
export function reportClients(context: WorkerContext): ClientReport[] {
  const rows: ClientReport[] = [];
  context.sessions.forEach((session) => {
    rows.push({
      slot: session.slot,
      session: session.id,
      fd: session.connection.fd,
      worker: context.worker,
      user: session.user,
      database: session.database,
      addr: session.addr,
      port: session.port,
      state: stateOfSession(session),
      replication: session.replication,
      connectTimeMs: session.connectedMs,
      waitingSinceMs: session.waitingSinceMs,
      lastRequestMs: session.lastActivityMs,
      queries: session.queries,
      transactions: session.transactions,
      waitTimeUs: session.waitTimeUs,
      queryTimeUs: session.queryTimeUs,
      transactionTimeUs: session.transactionTimeUs,
      bytesReceived: session.bytesReceived,
      bytesSent: session.bytesSent,
      errors: session.errors,
      applicationName: session.reported.get('application_name') ?? '',
      peerUser: session.peerUser,
      pinReason: pinNames(session.pins | (session.router?.shards?.cross.keptPins ?? 0)),
      preparedStatements: session.statements.count,
      tls: tlsText(session.tls),
    });
  });
  return rows;
}

function stateOf(server: ServerConnection): string {
  if (server.cancelsInFlight > 0) return 'active_cancel';
  const isBetweenStatements = server.state === 'active' && server.isQuiet;
  return isBetweenStatements && server.readyStatus !== READY.Idle ? 'idle in transaction' : server.state;
}

/** For SHOW SERVERS. */
export function reportServers(context: WorkerContext): ServerReport[] {
  const rows: ServerReport[] = [];
  for (const pool of context.pools.values()) {
    for (const server of pool.all) {
      rows.push({
        pool: pool.index,
        worker: context.worker,
        state: stateOf(server),
        fd: server.connection.fd,
        isDoomed: server.isDoomed,
        connectTimeMs: server.createdMs,
        requestTimeMs: server.requestSinceMs,
        remotePid: server.remotePid,
        clientSlot: server.session?.slot ?? -1,
        transactions: server.transactions,
        queries: server.queries,
        rollbacks: server.rollbacks,
        preparedStatements: server.prepared.size,
        healthchecks: server.checkCount,
        errors: server.errors,
        bytesReceived: server.bytesReceived,
        bytesSent: server.bytesSent,
        lastSentMs: server.requestSinceMs,
        lastReceivedMs: server.lastReceivedMs,
        applicationName: server.reported.get('application_name') ?? '',
        tls: tlsText(server.tls),
      });
    }
  }
  return rows;
}
