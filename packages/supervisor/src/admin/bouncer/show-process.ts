import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import {
  HOLD_PAUSE,
  HOLD_SUSPEND,
  type HostSnapshot,
  MEMORY_MAP,
  REGION_KEYS,
  regionBytes,
} from '@pgdog-cluster/core';
import { column, defineShow, type Show } from '../show.js';

/** What PgBouncer shows of its process, with what there is of it here; what has no meaning has its columns and no rows. */

function none(name: string, description: string, ...columns: [name: string, type: 'text' | 'int'][]): Show {
  return defineShow<never>({
    name,
    privilege: 'admin',
    description,
    columns: columns.map(([title, type]) => column(title, type, 'No row has it.', () => null)),
    rows: () => [],
  });
}

export const SHOW_STATE = defineShow<[key: string, isSo: boolean]>({
  name: 'state',
  privilege: 'admin',
  description: 'Whether PAUSE or SUSPEND of all databases is in force.',
  columns: [
    column('key', 'text', 'active, paused, suspended.', ([key]) => key),
    column('value', 'text', 'yes or no.', ([, isSo]) => (isSo ? 'yes' : 'no')),
  ],
  rows({ config }) {
    const holds = config().orders?.all.holds ?? 0;
    const [isPaused, isSuspended] = [(holds & HOLD_PAUSE) !== 0, (holds & HOLD_SUSPEND) !== 0];
    return [
      ['active', !isPaused && !isSuspended],
      ['paused', isPaused],
      ['suspended', isSuspended],
    ];
  },
});

interface MemoryRow {
  name: string;
  bytes: number;
}

export const SHOW_MEM = defineShow<MemoryRow>({
  name: 'mem',
  privilege: 'admin',
  description:
    'Memory outside of the heap: regions shared by all threads, and what each worker gives the kernel.',
  columns: [
    column('name', 'text', 'Region, or worker.', (row) => row.name),
    column('size', 'bigint', 'Bytes; address space, of which what is used is resident.', (row) => row.bytes),
    column('used', 'bigint', 'Always 1: each is one piece.', () => 1),
    column('free', 'bigint', 'Always 0.', () => 0),
    column('memtotal', 'bigint', 'Bytes.', (row) => row.bytes),
  ],
  rows({ memory }) {
    const { dimensions } = memory.handles;
    const regions = REGION_KEYS.map((key) => ({
      name: MEMORY_MAP[key].name,
      bytes: regionBytes(key, dimensions),
    }));
    const workers = Array.from({ length: dimensions.workers }, (_, worker) => ({
      name: `kernel memory of worker ${worker}`,
      bytes: memory.workers.kernelMemoryBytes(worker),
    }));
    return [...regions, ...workers];
  },
});

export const SHOW_DNS_HOSTS = defineShow<HostSnapshot>({
  name: 'dns_hosts',
  privilege: 'admin',
  description: 'Host names of servers and the addresses in use.',
  columns: [
    column('hostname', 'text', 'Name, as configured.', (row) => row.host),
    column(
      'ttl',
      'int',
      'Always NULL: names are asked again by dns_ttl or the life of the record.',
      () => null,
    ),
    column('addrs', 'text', 'Addresses, separated by commas; empty: it does not resolve.', (row) =>
      row.addresses.map(({ text }) => text).join(','),
    ),
  ],
  rows({ config }) {
    const isName = ({ host }: HostSnapshot) =>
      isIP(host) === 0 && !host.startsWith('/') && !host.startsWith('@');
    const byName = new Map(
      config()
        .hosts.filter(isName)
        .map((host) => [host.host, host]),
    );
    return byName.values();
  },
});

export const SHOW_DNS_ZONES = none(
  'dns_zones',
  'No rows: zones are not watched, names are.',
  ['zonename', 'text'],
  ['serial', 'int'],
  ['count', 'int'],
);

/** Of database pgbouncer; the others have PgDog's columns. */
export const BOUNCER_PEERS = none(
  'peers',
  'No rows: one process has all workers, and cancels need no peers.',
  ['peer_id', 'int'],
  ['host', 'text'],
  ['port', 'int'],
  ['pool_size', 'int'],
);

export const SHOW_PEERS = none(
  'peers',
  'No rows: proxies do not know each other.',
  ['addr', 'text'],
  ['last_seen', 'text'],
  ['clients', 'int'],
);

export const SHOW_PEER_POOLS = none(
  'peer_pools',
  'No rows: see SHOW PEERS.',
  ['peer_id', 'int'],
  ['cl_active_cancel_req', 'int'],
  ['cl_waiting_cancel_req', 'int'],
  ['sv_active_cancel', 'int'],
  ['sv_login', 'int'],
);

/** Of this run of the process. */
const INSTANCE_ID = randomBytes(4).toString('hex');

export const SHOW_INSTANCE_ID = defineShow<string>({
  name: 'instance_id',
  privilege: 'admin',
  description: 'A name of this process, another after a restart.',
  columns: [column('instance_id', 'text', 'Eight hexadecimal digits.', (row) => row)],
  rows: () => [INSTANCE_ID],
});

/** The grammar is Postgres 18's, whatever the servers are (architecture: libpg-query 18). */
const GRAMMAR = '18';

export const SHOW_SERVER_VERSION = defineShow<string>({
  name: 'server_version',
  privilege: 'admin',
  description: 'Version of Postgres whose grammar statements are read by.',
  columns: [column('server_version', 'text', 'Version.', (row) => row)],
  rows: () => [GRAMMAR],
});
