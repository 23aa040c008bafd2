import {
  BAN_NONE,
  BAN_REASON_NAMES,
  ORDER_BAN,
  ORDER_DISABLE,
  ORDER_DRAIN,
  ROLE_PRIMARY,
  ROLE_REPLICA,
  type RouteTerms,
  WANT_ANY,
  WANT_PRIMARY,
  WANT_READ,
  WANT_REPLICA,
} from '@pgdog-cluster/core';
import type { Pool } from '../pool/pool.js';
import type { Cluster, ClusterHost } from './cluster.js';

const ROLE_NAMES = ['role not known', 'primary', 'replica'];
const ORDER_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [ORDER_BAN, 'banned by the operator'],
  [ORDER_DRAIN, 'drained by the operator'],
  [ORDER_DISABLE, 'disabled by the operator'],
];

/** host:port of a pool. */
export function placeOf({ snapshot }: Pool): string {
  return `${snapshot.host}:${snapshot.port}`;
}

/** One line per host of a cluster: what it is, how it is, and why it is or is not the one. */
export function hostReport(
  cluster: Cluster,
  terms: RouteTerms,
  candidates: readonly ClusterHost[],
  next: ClusterHost | null,
): string[] {
  return cluster.hosts.map((host) => {
    const state = [ROLE_NAMES[cluster.roleOf(host)], ...troubles(cluster, host)];
    const { hosts } = cluster.context.memory;
    state.push(`${hosts.inFlight(host.hostIndex)} statements under way`);
    const lagMs = hosts.lagMs(host.hostIndex);
    if (cluster.roleOf(host) === ROLE_REPLICA) state.push(lagMs < 0 ? 'lag not known' : `lag ${lagMs} ms`);
    return `${placeOf(host.pool)}: ${state.join(', ')} -> ${verdict(cluster, host, terms, candidates, next)}`;
  });
}

/** What speaks against a host, whoever asks. */
function troubles({ context }: Cluster, { hostIndex, pool }: ClusterHost): string[] {
  const { hosts } = context.memory;
  const orders = hosts.orders(hostIndex);
  const found = ORDER_NAMES.filter(([bit]) => (orders & bit) !== 0).map(([, name]) => name);
  const ban = hosts.banReason(hostIndex);
  if (ban !== BAN_NONE) found.push(`banned (${BAN_REASON_NAMES[ban]})`);
  if (hosts.isFenced(hostIndex)) found.push('fenced');
  if (pool.opening.isFailing) found.push('connecting fails');
  return found;
}

function verdict(
  cluster: Cluster,
  host: ClusterHost,
  terms: RouteTerms,
  candidates: readonly ClusterHost[],
  next: ClusterHost | null,
): string {
  if (host === next) return candidates.length === 1 ? 'chosen, the only one' : 'chosen';
  if (candidates.includes(host)) return next === null ? 'may be chosen' : 'not this time';
  const role = cluster.roleOf(host);
  if (terms.want === WANT_PRIMARY && role !== ROLE_PRIMARY) return 'not the primary';
  if (terms.want === WANT_REPLICA && role !== ROLE_REPLICA) return 'not a replica';
  if (terms.want === WANT_ANY) return 'the primary can serve it';
  if (troubles(cluster, host).length > 0) return 'out of use';
  if (role === ROLE_REPLICA && !cluster.hasSeen(host, terms)) {
    return 'does not show yet what the session has written';
  }
  if (terms.want === WANT_READ)
    return `not by read_write_split = ${cluster.context.config.routing.readWriteSplit}`;
  return 'not usable';
}
