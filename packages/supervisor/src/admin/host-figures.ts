import {
  BAN_REASON_NAMES,
  type ConfigSnapshot,
  HEALTH_FAILING,
  HEALTH_GOOD,
  type HostSnapshot,
  type HostTable,
  ORDER_BAN,
  ORDER_DISABLE,
  ORDER_DRAIN,
  ORDER_PAUSE,
  type PoolSnapshot,
} from '@pgdog-cluster/core';
import { ROLE_NAMES } from '../health/role-log.js';

/** How one host stands, read from shared memory alone. */
export interface HostFigures {
  host: HostSnapshot;
  /** Databases that clients reach there. */
  databases: string[];
  /** As configured: `auto` too. */
  configured: string;
  /** As measured. */
  role: string;
  health: string;
  /** Empty = not banned. */
  banReason: string;
  /** Epoch ms; 0 = as long as it is measured so. */
  banUntilMs: number;
  isBanOrdered: boolean;
  orders: string;
  /** Null = unknown. */
  lagMs: number | null;
  lagBytes: number | null;
  /** Replayed, or written by a primary; null = unknown. */
  lsn: number | null;
  timeline: number | null;
  latencyUs: number;
  /** Since the last check that passed; null = there was none. */
  ageMs: number | null;
  inFlight: number;
  connectFailures: number;
  resets: number;
  shutdowns: number;
  bans: number;
  roleChanges: number;
  failedChecks: number;
}

const ORDER_NAMES: readonly (readonly [number, string])[] = [
  [ORDER_BAN, 'ban'],
  [ORDER_DRAIN, 'drain'],
  [ORDER_DISABLE, 'disable'],
  [ORDER_PAUSE, 'pause'],
];

const known = (value: number): number | null => (value < 0 ? null : value);
const positive = (value: number): number | null => (value === 0 ? null : value);

export function readHostFigures(
  table: HostTable,
  host: HostSnapshot,
  pools: readonly PoolSnapshot[],
  nowMs: number,
): HostFigures {
  const { index } = host;
  const own = pools.filter(({ hostIndex }) => hostIndex === index);
  const orders = table.orders(index);
  const measuredMs = table.measuredMs(index);
  return {
    host,
    databases: [...new Set(own.map(({ database }) => database))],
    configured: [...new Set(own.map(({ role }) => role))].join(', '),
    role: ROLE_NAMES[table.role(index)],
    health: healthName(table, index),
    banReason: BAN_REASON_NAMES[table.banReason(index)],
    banUntilMs: table.banUntilMs(index),
    isBanOrdered: (orders & ORDER_BAN) !== 0,
    orders: ORDER_NAMES.filter(([bit]) => (orders & bit) !== 0)
      .map(([, name]) => name)
      .join(', '),
    lagMs: known(table.lagMs(index)),
    lagBytes: known(table.lagBytes(index)),
    lsn: positive(table.currentLsn(index)) ?? positive(table.replayedLsn(index)),
    timeline: positive(table.timeline(index)),
    latencyUs: table.latencyUs(index),
    ageMs: measuredMs === 0 ? null : Math.max(0, nowMs - measuredMs),
    inFlight: table.inFlight(index),
    connectFailures: table.connectFailures(index),
    resets: table.resets(index),
    shutdowns: table.shutdowns(index),
    bans: table.bans(index),
    roleChanges: table.roleChanges(index),
    failedChecks: table.failedChecks(index),
  };
}

function healthName(table: HostTable, index: number): string {
  const health = table.health(index);
  if (health === HEALTH_GOOD) return 'healthy';
  return health === HEALTH_FAILING ? 'failing' : 'unknown';
}

export function allHostFigures(
  table: HostTable,
  { hosts, pools }: Pick<ConfigSnapshot, 'hosts' | 'pools'>,
  nowMs: number,
): HostFigures[] {
  const shown = hosts.filter(({ index }) => index < table.hostsMax);
  // Once over the pools, not once for each host: there may be a thousand of both.
  const byHost = new Map<number, PoolSnapshot[]>();
  for (const pool of pools) {
    const others = byHost.get(pool.hostIndex);
    if (others === undefined) byHost.set(pool.hostIndex, [pool]);
    else others.push(pool);
  }
  return shown.map((host) => readHostFigures(table, host, byHost.get(host.index) ?? [], nowMs));
}

/** What PgDog's columns and labels call a pool's role: primary or replica, as found where it is not configured. */
export function poolRole({ role, hostIndex }: PoolSnapshot, table: HostTable): string {
  return role === 'auto' && hostIndex < table.hostsMax ? ROLE_NAMES[table.role(hostIndex)] : role;
}

/** As Postgres writes a position: two halves in hexadecimal digits. */
export function formatLsn(lsn: number): string {
  const half = 2 ** 32;
  const hex = (value: number) => value.toString(16).toUpperCase();
  return `${hex(Math.floor(lsn / half))}/${hex(lsn % half)}`;
}
