import type { ClientReport, PoolSnapshot, ServerReport } from '@pgdog-cluster/core';
import type { AdminContext } from '../admin-context.js';
import { sessionNumber } from '../session-number.js';
import { column, defineShow, type Show, type ShowColumn, secondsText } from '../show.js';

const US_PER_S = 1_000_000;

/** A client (C) or a server connection (S), as PgBouncer shows both. */
export interface SocketRow {
  type: 'C' | 'S';
  user: string;
  database: string;
  replication: string;
  state: string;
  addr: string;
  port: number | null;
  connectTimeMs: number;
  requestTimeMs: number;
  /** How long it has waited for a server connection. */
  waitUs: number;
  isDoomed: boolean;
  ptr: string;
  link: string;
  remotePid: number;
  tls: string;
  applicationName: string;
  preparedStatements: number;
  id: number;
  isActive: boolean;
}

const CLIENT_STATES: Record<string, string> = {
  active: 'active',
  'idle in transaction': 'active',
  waiting: 'waiting',
  held: 'waiting',
  login: 'waiting',
};

const SERVER_STATES: Record<string, string> = {
  connecting: 'new',
  active: 'active',
  'idle in transaction': 'active',
  active_cancel: 'being_canceled',
  testing: 'tested',
  cleaning: 'tested',
};

function clientPtr(worker: number, slot: number): string {
  const number = sessionNumber(worker, slot);
  return number === null ? '' : `0x${number.toString(16).padStart(8, '0')}`;
}

/** Unlike those of clients it begins behind 32 bits. */
function serverPtr({ worker, pool, remotePid }: ServerReport): string {
  return `0x${(worker + 1).toString(16)}${pool.toString(16).padStart(4, '0')}${remotePid.toString(16).padStart(8, '0')}`;
}

function clientRow(
  client: ClientReport,
  servers: ReadonlyMap<string, ServerReport>,
  nowMs: number,
): SocketRow {
  const ptr = clientPtr(client.worker, client.slot);
  const server = servers.get(ptr);
  const state = CLIENT_STATES[client.state] ?? 'idle';
  return {
    ...client,
    type: 'C',
    state,
    requestTimeMs: client.lastRequestMs,
    waitUs: client.waitingSinceMs === 0 ? 0 : Math.max(0, nowMs - client.waitingSinceMs) * 1000,
    isDoomed: false,
    ptr,
    link: server === undefined ? '' : serverPtr(server),
    remotePid: 0,
    id: sessionNumber(client.worker, client.slot) ?? 0,
    isActive: state !== 'idle',
  };
}

function serverRow(server: ServerReport, pool: PoolSnapshot | undefined): SocketRow {
  const state = SERVER_STATES[server.state] ?? 'idle';
  return {
    ...server,
    type: 'S',
    user: pool?.serverUser ?? '',
    database: pool?.database ?? '',
    replication: 'none',
    state,
    addr: pool?.host ?? '',
    port: pool?.port ?? null,
    waitUs: 0,
    ptr: serverPtr(server),
    link: clientPtr(server.worker, server.clientSlot),
    id: server.remotePid,
    isActive: state !== 'idle',
  };
}

async function socketRows(context: AdminContext): Promise<SocketRow[]> {
  const { reportClients, reportServers, config, nowMs } = context;
  const [clients, servers] = await Promise.all([reportClients(), reportServers()]);
  const pools = new Map(config().pools.map((pool) => [pool.index, pool]));
  const bySession = new Map(servers.map((server) => [clientPtr(server.worker, server.clientSlot), server]));
  bySession.delete('');
  return [
    ...clients.map((client) => clientRow(client, bySession, nowMs())),
    ...servers.map((server) => serverRow(server, pools.get(server.pool))),
  ];
}

const COLUMNS: readonly ShowColumn<SocketRow>[] = [
  column('type', 'text', 'C: client, S: server connection.', (row) => row.type),
  column('user', 'text', 'User.', (row) => row.user),
  column('database', 'text', 'Name clients ask for.', (row) => row.database),
  column('replication', 'text', 'none, physical or logical.', (row) => row.replication),
  column(
    'state',
    'text',
    'Clients: active, waiting, idle. Servers: active, idle, tested, new, being_canceled.',
    (row) => row.state,
  ),
  column(
    'addr',
    'text',
    'Address of the client; unix. Of a server its host, as configured.',
    (row) => row.addr,
  ),
  column('port', 'int', 'Port.', (row) => row.port),
  column('local_addr', 'text', 'Always empty in this version.', () => ''),
  column('local_port', 'int', 'Always 0 in this version.', () => 0),
  column('connect_time', 'text', 'When it connected.', (row) => secondsText(row.connectTimeMs)),
  column('request_time', 'text', 'When its last request began.', (row) => secondsText(row.requestTimeMs)),
  column('wait', 'int', 'How long it waits for a server connection, whole seconds.', (row) =>
    Math.floor(row.waitUs / US_PER_S),
  ),
  column('wait_us', 'int', 'And microseconds.', (row) => row.waitUs % US_PER_S),
  column('close_needed', 'int', '1: closed as soon as it comes free (RECONNECT).', (row) =>
    row.isDoomed ? 1 : 0,
  ),
  column('ptr', 'text', 'A name for it, as long as it lives.', (row) => row.ptr),
  column('link', 'text', 'ptr of the other end it is linked to; empty: none.', (row) => row.link),
  column('remote_pid', 'int', "The server's process id; of a client 0.", (row) => row.remotePid),
  column('tls', 'text', 'TLS version and cipher; empty in the clear.', (row) => row.tls),
  column('application_name', 'text', 'As set now.', (row) => row.applicationName),
  column('prepared_statements', 'int', 'Prepared statements it has.', (row) => row.preparedStatements),
  column('id', 'int', 'Of a client: for KILL_CLIENT. Of a server its process id.', (row) => row.id),
];

/** Bytes that wait are in the worker's rings and queues, which PgBouncer's positions do not describe. */
const BUFFERS: readonly ShowColumn<SocketRow>[] = [
  'recv_pos',
  'pkt_pos',
  'pkt_remain',
  'send_pos',
  'send_remain',
  'pkt_avail',
  'send_avail',
].map((name) => column(name, 'int', 'Always 0 in this version.', () => 0));

function sockets(
  name: string,
  description: string,
  columns: readonly ShowColumn<SocketRow>[],
  isShown: (row: SocketRow) => boolean,
): Show {
  return defineShow<SocketRow>({
    name,
    privilege: 'admin',
    description,
    columns,
    rows: async (context) => (await socketRows(context)).filter(isShown),
  });
}

/** SHOW CLIENTS and SHOW SERVERS of database pgbouncer. */
export const BOUNCER_CLIENTS = sockets('clients', 'One row per client.', COLUMNS, ({ type }) => type === 'C');
export const BOUNCER_SERVERS = sockets(
  'servers',
  'One row per server connection.',
  COLUMNS,
  ({ type }) => type === 'S',
);

export const SHOW_SOCKETS = sockets(
  'sockets',
  'One row per client and per server connection.',
  [...COLUMNS, ...BUFFERS],
  () => true,
);
export const SHOW_ACTIVE_SOCKETS = sockets(
  'active_sockets',
  'As SHOW SOCKETS, of those that are not idle.',
  [...COLUMNS, ...BUFFERS],
  ({ isActive }) => isActive,
);
