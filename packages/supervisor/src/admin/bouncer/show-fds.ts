import { sessionNumber } from '../session-number.js';
import { column, defineShow } from '../show.js';

interface FdRow {
  fd: number;
  task: 'client' | 'server';
  user: string;
  database: string;
  addr: string;
  port: number | null;
  cancel: number | null;
  link: number | null;
}

/** For people: descriptors are not handed over with the rows, and no secret stands in them. */
export const SHOW_FDS = defineShow<FdRow>({
  name: 'fds',
  privilege: 'admin',
  isForAdminsOnly: true,
  description: 'One row per client and server connection with its descriptor, for lsof and strace.',
  columns: [
    column('fd', 'int', 'Number of the descriptor.', (row) => row.fd),
    column('task', 'text', 'client or server.', (row) => row.task),
    column('user', 'text', 'User.', (row) => row.user),
    column('database', 'text', 'Name clients ask for.', (row) => row.database),
    column('addr', 'text', 'Address of the client; of a server its host, as configured.', (row) => row.addr),
    column('port', 'int', 'Port.', (row) => row.port),
    column('cancel', 'bigint', "The client's id; of a server its process id.", (row) => row.cancel),
    column('link', 'int', 'Descriptor of the other end it is linked to; NULL: none.', (row) => row.link),
    ...['client_encoding', 'std_strings', 'datestyle', 'timezone'].map((name) =>
      column<FdRow>(name, 'text', 'Always NULL: no other process takes over.', () => null),
    ),
    ...['password', 'scram_client_key', 'scram_server_key'].map((name) =>
      column<FdRow>(name, 'text', 'Always NULL: a secret.', () => null),
    ),
  ],
  async rows({ config, reportClients, reportServers }) {
    const [clients, servers] = await Promise.all([reportClients(), reportServers()]);
    const pools = new Map(config().pools.map((pool) => [pool.index, pool]));
    const clientAt = (worker: number, slot: number) =>
      clients.find((client) => slot >= 0 && client.worker === worker && client.slot === slot);
    const linked = new Map(servers.map((server) => [clientAt(server.worker, server.clientSlot), server.fd]));
    return [
      ...clients.map((client): FdRow => {
        const { fd, user, database, addr, port, worker, slot } = client;
        const link = linked.get(client) ?? null;
        return { fd, task: 'client', user, database, addr, port, cancel: sessionNumber(worker, slot), link };
      }),
      ...servers.map(({ fd, pool: index, remotePid, worker, clientSlot }): FdRow => {
        const pool = pools.get(index);
        const { serverUser: user = '', database = '', host: addr = '', port = null } = pool ?? {};
        const link = clientAt(worker, clientSlot)?.fd ?? null;
        return { fd, task: 'server', user, database, addr, port, cancel: remotePid, link };
      }),
    ];
  },
});
