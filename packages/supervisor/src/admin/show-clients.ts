import type { ClientReport } from '@pgdog-cluster/core';
import { sessionNumber } from './session-number.js';
import { column, defineShow, timestampText } from './show.js';

export const SHOW_CLIENTS = defineShow<ClientReport>({
  name: 'clients',
  privilege: 'admin',
  description: 'One row per client. SHOW CLIENTS user, addr gives only these columns.',
  takesColumns: true,
  columns: [
    column('id', 'bigint', 'The process id the client was told.', (row) =>
      sessionNumber(row.worker, row.slot),
    ),
    column('user', 'text', 'User.', (row) => row.user),
    column('database', 'text', 'Database.', (row) => row.database),
    column(
      'addr',
      'text',
      'Address of the client (behind a trusted PROXY header: the one it names); unix.',
      (row) => row.addr,
    ),
    column('port', 'numeric', 'Port of the client; by a Unix socket the one listened on.', (row) => row.port),
    column(
      'state',
      'text',
      'idle, active, waiting, held (by MAINTENANCE, PAUSE, SUSPEND), idle in transaction, login.',
      (row) => row.state,
    ),
    column('replication', 'text', 'none, physical or logical.', (row) => row.replication),
    column('connect_time', 'text', 'When it connected.', (row) => timestampText(row.connectTimeMs)),
    column('last_request', 'text', 'When it last sent something.', (row) => timestampText(row.lastRequestMs)),
    column('queries', 'numeric', 'Queries.', (row) => row.queries),
    column('transactions', 'numeric', 'Transactions.', (row) => row.transactions),
    column('transactions_2pc', 'numeric', 'Always 0 in this version.', () => 0),
    column('wait_time', 'numeric', 'Waited for server connections, ms.', (row) => row.waitTimeUs / 1000),
    column('query_time', 'numeric', 'Spent in queries, ms.', (row) => row.queryTimeUs / 1000),
    column(
      'transaction_time',
      'numeric',
      'Spent in transactions, ms.',
      (row) => row.transactionTimeUs / 1000,
    ),
    column('bytes_received', 'numeric', 'Bytes from the client.', (row) => row.bytesReceived),
    column('bytes_sent', 'numeric', 'Bytes to the client.', (row) => row.bytesSent),
    column('errors', 'numeric', 'Errors it was sent.', (row) => row.errors),
    column('application_name', 'text', 'As the client set it.', (row) => row.applicationName),
    column(
      'locked',
      'bool',
      'It keeps its server connection beyond the pool mode.',
      (row) => row.pinReason !== '',
    ),
    column(
      'prepared_statements',
      'numeric',
      'Prepared statements it holds.',
      (row) => row.preparedStatements,
    ),
    column('worker', 'numeric', 'Worker that serves it.', (row) => row.worker),
    column(
      'peer_user',
      'text',
      'By a Unix socket: user of the system at its other end; NULL = none or unknown.',
      (row) => row.peerUser,
    ),
    column('pin_reason', 'text', 'Why it is locked.', (row) => row.pinReason),
    column('tls', 'text', 'TLS version and cipher; empty in the clear.', (row) => row.tls),
  ],
  rows: ({ reportClients }) => reportClients(),
});
