import type { PoolSnapshot, ServerReport } from '@pgdog-cluster/core';
import { sessionNumber } from './session-number.js';
import { column, defineShow, timestampText } from './show.js';

export interface OfServer {
  pool: number;
  /** undefined: no longer configured. */
  of: PoolSnapshot | undefined;
}

interface ServerRow extends ServerReport, OfServer {
  ageMs: number;
}

/** Of a row that is about a server connection. */
export const OF_SERVER = [
  column<OfServer>('pool_id', 'bigint', 'id in SHOW POOLS.', (row) => row.pool),
  column<OfServer>('database', 'text', 'Name clients ask for.', (row) => row.of?.database ?? ''),
  column<OfServer>('user', 'text', 'User of the clients.', (row) => row.of?.user ?? ''),
  column<OfServer>('addr', 'text', 'Host, as configured.', (row) => row.of?.host ?? ''),
  column<OfServer>('port', 'numeric', 'Port.', (row) => row.of?.port ?? null),
];

export const SHOW_SERVERS = defineShow<ServerRow>({
  name: 'servers',
  privilege: 'admin',
  description: 'One row per server connection. SHOW SERVERS addr, state gives only these columns.',
  takesColumns: true,
  columns: [
    ...OF_SERVER,
    column(
      'state',
      'text',
      'connecting, idle, active, idle in transaction, active_cancel, cleaning, lending.',
      (row) => row.state,
    ),
    column('connect_time', 'text', 'When it was opened.', (row) => timestampText(row.connectTimeMs)),
    column('request_time', 'text', 'When its last request began.', (row) => timestampText(row.requestTimeMs)),
    column('remote_pid', 'bigint', "The server's process id.", (row) => row.remotePid),
    column('client_id', 'bigint', 'id in SHOW CLIENTS of the client it serves; NULL = none.', (row) =>
      sessionNumber(row.worker, row.clientSlot),
    ),
    column('transactions', 'numeric', 'Transactions.', (row) => row.transactions),
    column('queries', 'numeric', 'Queries.', (row) => row.queries),
    column('rollbacks', 'numeric', 'Rollbacks made for clients that left.', (row) => row.rollbacks),
    column('prepared_statements', 'numeric', 'Prepared statements it has.', (row) => row.preparedStatements),
    column('healthchecks', 'numeric', 'Always 0 in this version.', (row) => row.healthchecks),
    column('errors', 'numeric', 'Errors it reported.', (row) => row.errors),
    column('bytes_received', 'numeric', 'Bytes from the server.', (row) => row.bytesReceived),
    column('bytes_sent', 'numeric', 'Bytes to the server.', (row) => row.bytesSent),
    column('last_sent', 'text', 'When it was last sent something.', (row) => timestampText(row.lastSentMs)),
    column('last_received', 'text', 'When it last answered.', (row) => timestampText(row.lastReceivedMs)),
    column('age', 'bigint', 'How long it has been open, ms.', (row) => row.ageMs),
    column('application_name', 'text', 'As set on it now.', (row) => row.applicationName),
    column('worker', 'numeric', 'Worker that has it.', (row) => row.worker),
    column('tls', 'text', 'TLS version and cipher; empty in the clear.', (row) => row.tls),
  ],
  async rows({ config, reportServers, nowMs }) {
    const pools = new Map(config().pools.map((pool) => [pool.index, pool]));
    const now = nowMs();
    const reports = await reportServers();
    return reports.map((report) => ({
      ...report,
      of: pools.get(report.pool),
      ageMs: Math.max(0, now - report.connectTimeMs),
    }));
  },
});
