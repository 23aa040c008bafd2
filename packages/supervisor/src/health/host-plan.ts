import type { HostRole } from '@pgdog-cluster/core';
import type { DatabaseEntry } from '@pgdog-cluster/core/config';
import { hostIndexOf } from '../config/host-numbers.js';

/** What the configuration says of one host, over all databases on it. */
export interface HostPlan {
  index: number;
  host: string;
  port: number;
  /** `auto` if any database says so, then `primary`. */
  role: HostRole;
  /** It is one of several, or need not be a primary: what it is must be known. */
  isRouted: boolean;
}

/** Hosts that have a shard of a database in common: one of them at a time is the primary. In the order of the configuration. */
export interface GroupPlan {
  hosts: HostPlan[];
  isAuto: boolean;
  /** Of Patroni, which knows who is the primary; empty = nobody says. */
  patroniUrls: string[];
}

const RANK: Record<HostRole, number> = { replica: 0, primary: 1, auto: 2 };

/** One group per set of hosts that shards connect with each other. */
export function planGroups(databases: readonly DatabaseEntry[]): GroupPlan[] {
  const hosts = new Map<number, HostPlan>();
  const groupOf = new Map<number, Set<number>>();
  const firstOf = new Map<string, number>();
  for (const { name, shard, host, port, role } of databases) {
    const index = hostIndexOf({ host, port });
    const known = hosts.get(index);
    if (known === undefined) {
      hosts.set(index, { index, host, port, role, isRouted: role !== 'primary' });
      groupOf.set(index, new Set([index]));
    } else if (RANK[role] > RANK[known.role]) known.role = role;
    const key = `${name}\0${shard}`;
    const first = firstOf.get(key) ?? index;
    firstOf.set(key, first);
    if (first !== index) join(groupOf, first, index);
  }
  // By one pass over them: each of thousands may be a group of its own.
  const plans = new Map<Set<number>, HostPlan[]>();
  for (const plan of hosts.values()) {
    const members = groupOf.get(plan.index);
    if (members === undefined) continue;
    const group = plans.get(members);
    if (group === undefined) plans.set(members, [plan]);
    else group.push(plan);
  }
  return [...plans].map(([members, planned]) => {
    const isRouted = planned.length > 1 || planned.some((plan) => plan.isRouted);
    for (const plan of planned) plan.isRouted = isRouted;
    const isAuto = planned.some(({ role }) => role === 'auto');
    return { hosts: planned, isAuto, patroniUrls: isAuto ? patroniUrlsOf(databases, members) : [] };
  });
}

function patroniUrlsOf(databases: readonly DatabaseEntry[], members: ReadonlySet<number>): string[] {
  const here = databases.filter((entry) => members.has(hostIndexOf(entry)));
  return [...new Set(here.flatMap((entry) => entry.patroniUrls))];
}

function join(groupOf: Map<number, Set<number>>, a: number, b: number): void {
  const [into, from] = [groupOf.get(a), groupOf.get(b)];
  if (into === undefined || from === undefined || into === from) return;
  for (const index of from) {
    into.add(index);
    groupOf.set(index, into);
  }
}
