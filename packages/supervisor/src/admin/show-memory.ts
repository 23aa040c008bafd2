import type { BufferBytes, ClientMemoryReport, ServerMemoryReport } from '@pgdog-cluster/core';
import { sessionNumber } from './session-number.js';
import { column, defineShow } from './show.js';
import { OF_SERVER, type OfServer } from './show-servers.js';

interface ServerRow extends ServerMemoryReport, OfServer {}

type Row = { readonly bytes: BufferBytes };

const totalOf = ({ allocated, prepared, queued }: BufferBytes): number => allocated + prepared + queued;

/** PgDog's columns. Buffers of received bytes belong to the worker (SHOW WORKERS), not to a connection. */
const BYTES = [
  column<Row>('buffer_reallocs', 'numeric', 'Always 0 in this version.', () => 0),
  column<Row>('buffer_reclaims', 'numeric', 'Always 0 in this version.', () => 0),
  column<Row>('buffer_bytes_used', 'numeric', 'Received, and not passed on yet.', ({ bytes }) => bytes.used),
  column<Row>(
    'buffer_bytes_alloc',
    'numeric',
    'Kept for that, and for what may have to be sent again.',
    ({ bytes }) => bytes.allocated,
  ),
  column<Row>(
    'prepared_statements_bytes',
    'numeric',
    'Texts of its prepared statements, which clients of a worker share; of a server connection the names, about.',
    ({ bytes }) => bytes.prepared,
  ),
  column<Row>('net_buffer_bytes', 'numeric', 'To be sent.', ({ bytes }) => bytes.queued),
  column<Row>('total_bytes', 'numeric', 'All of these, without TLS.', ({ bytes }) => totalOf(bytes)),
];

export const SHOW_CLIENT_MEMORY = defineShow<ClientMemoryReport>({
  name: 'client_memory',
  privilege: 'admin',
  description: 'SHOW CLIENT MEMORY: one row per client, what is kept for it.',
  columns: [
    column('client_id', 'bigint', 'id in SHOW CLIENTS.', (row) => sessionNumber(row.worker, row.slot)),
    column('database', 'text', 'Database.', (row) => row.database),
    column('user', 'text', 'User.', (row) => row.user),
    column('addr', 'text', 'Address of the client.', (row) => row.addr),
    column('port', 'numeric', 'Port of the client.', (row) => row.port),
    ...BYTES,
  ],
  rows: ({ reportClientMemory }) => reportClientMemory(),
});

export const SHOW_SERVER_MEMORY = defineShow<ServerRow>({
  name: 'server_memory',
  privilege: 'admin',
  description: 'SHOW SERVER MEMORY: one row per server connection, what is kept for it.',
  columns: [
    ...OF_SERVER,
    column('remote_pid', 'bigint', "The server's process id.", (row) => row.remotePid),
    ...BYTES,
  ],
  async rows({ config, reportServerMemory }) {
    const pools = new Map(config().pools.map((pool) => [pool.index, pool]));
    return (await reportServerMemory()).map((report) => ({ ...report, of: pools.get(report.pool) }));
  },
});
