import {
  BAN_REASON_NAMES,
  type BanReason,
  type ConfigSnapshot,
  HEALTH_FAILING,
  type HostAddress,
  type HostTable,
  type PoolSnapshot,
  ROLE_PRIMARY,
  ROLE_REPLICA,
  systemClock,
} from '@pgdog-cluster/core';
import type { DatabaseEntry, LoadedConfig } from '@pgdog-cluster/core/config';
import { hostIndexOf } from '../config/host-numbers.js';
import type { Logger } from '../log/logger.js';
import { banReasonOf, banUntilMsOf } from './ban-state.js';
import { NO_MEMORY, type Verdict } from './elect-roles.js';
import { type HealthSettings, healthSettings } from './health-settings.js';
import type { ProbeTarget } from './healthcheck.js';
import { HostGroup } from './host-group.js';
import { type GroupPlan, type HostPlan, planGroups } from './host-plan.js';
import { HostWatch, type WatchClock } from './host-watch.js';
import { PatroniWatch } from './patroni-watch.js';
import { probeLogins } from './probe-login.js';
import { RoleLog } from './role-log.js';

export interface HostMonitorOptions {
  table: HostTable;
  logger: Logger;
  clock?: WatchClock;
  /** A check of a host has failed. */
  onFailure?: (host: number) => void;
}

/** How often workers' rows are looked at. */
const EVIDENCE_MS = 100;

const CLOCK: WatchClock = { nowMs: () => systemClock.nowMs(), epochMs: () => Date.now() };

/** Watches every host and writes what is believed of it into its row. See docs/internals/hosts.md. */
export class HostMonitor {
  readonly #table: HostTable;
  readonly #logger: Logger;
  readonly #clock: WatchClock;
  readonly #watches = new Map<number, HostWatch>();
  readonly #groupOf = new Map<number, HostGroup>();
  readonly #log: RoleLog;
  readonly #patronis: PatroniWatch[] = [];
  readonly #onFailure: (host: number) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor({ table, logger, clock = CLOCK, onFailure = () => {} }: HostMonitorOptions) {
    this.#table = table;
    this.#logger = logger;
    this.#clock = clock;
    this.#log = new RoleLog(logger);
    this.#onFailure = onFailure;
  }

  /** Hosts that stay go on with what is known of them. */
  takeUp(loaded: LoadedConfig, snapshot: ConfigSnapshot): void {
    const settings = healthSettings(loaded);
    const groups = planGroups(loaded.databases);
    const planned = new Set(groups.flatMap(({ hosts }) => hosts.map(({ index }) => index)));
    for (const [index, watch] of this.#watches) if (!planned.has(index)) this.#forget(index, watch);
    for (const patroni of this.#patronis.splice(0)) patroni.close();
    this.#begin(groups, settings, loaded, snapshot);
  }

  /** Hosts that nobody had before, of a database that has come to be. */
  add(databases: readonly DatabaseEntry[], loaded: LoadedConfig, snapshot: ConfigSnapshot): void {
    this.#begin(
      planGroups(databases),
      healthSettings(loaded),
      { ...loaded, databases: [...databases] },
      snapshot,
    );
  }

  /** They have gone with the databases on them. */
  forgetHosts(indexes: Iterable<number>): void {
    for (const index of indexes) {
      const watch = this.#watches.get(index);
      if (watch !== undefined) this.#forget(index, watch);
    }
  }

  #begin(
    groups: readonly GroupPlan[],
    settings: HealthSettings,
    loaded: LoadedConfig,
    snapshot: ConfigSnapshot,
  ): void {
    for (const plan of groups.flatMap(({ hosts }) => hosts)) {
      if (plan.index >= this.#table.hostsMax) continue;
      this.#watch(plan, targetOf(plan, settings, loaded, snapshot), settings);
    }
    for (const { hosts, isAuto, patroniUrls } of groups) {
      const members = hosts.flatMap(({ index }) => this.#watches.get(index) ?? []);
      const before = members
        .map(({ plan }) => this.#groupOf.get(plan.index))
        .find((known) => known !== undefined);
      const patroni = this.#askPatroni(patroniUrls, members, settings, snapshot);
      const group = new HostGroup(isAuto, members, settings, before?.memory ?? NO_MEMORY, () =>
        verdictOf(patroni, members, snapshot),
      );
      for (const { plan } of members) {
        const state = this.#groupOf.get(plan.index)?.states.get(plan.index);
        if (state !== undefined) group.states.set(plan.index, state);
        this.#groupOf.set(plan.index, group);
      }
    }
    clearInterval(this.#timer);
    const routed = [...this.#watches.values()].filter(({ plan }) => plan.isRouted);
    if (routed.length > 0) this.#timer = setInterval(() => lookAt(routed), EVIDENCE_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const watch of this.#watches.values()) watch.close();
    for (const patroni of this.#patronis) patroni.close();
  }

  watch(host: number): HostWatch | undefined {
    return this.#watches.get(host);
  }

  get watches(): readonly HostWatch[] {
    return [...this.#watches.values()];
  }

  /**
   * Entries of one database in the order in which to ask a question of our own: the primary, then hosts that are well,
   * then the rest. Fenced ones not at all.
   */
  inOrder(hosts: readonly DatabaseEntry[]): DatabaseEntry[] {
    const rank = (entry: DatabaseEntry): number => {
      const index = hostIndexOf(entry);
      if (index >= this.#table.hostsMax) return 1;
      if (this.#table.isFenced(index)) return Number.POSITIVE_INFINITY;
      const isFailing = this.#table.health(index) === HEALTH_FAILING;
      const isPrimary = this.#table.role(index) === ROLE_PRIMARY || entry.role === 'primary';
      return (isFailing ? 2 : 0) + (isPrimary ? 0 : 1);
    };
    const ranked = hosts.map((entry) => ({ entry, rank: rank(entry) }));
    const usable = ranked.filter((one) => Number.isFinite(one.rank)).sort((a, b) => a.rank - b.rank);
    return usable.map(({ entry }) => entry);
  }

  /** A pool has come into being since: where nobody was known who could ask a host, its user can. */
  offerLogin({ hostIndex }: PoolSnapshot, loaded: LoadedConfig, snapshot: ConfigSnapshot): void {
    const watch = this.#watches.get(hostIndex);
    if (watch === undefined || !watch.plan.isRouted || watch.whyUnmeasured === '') return;
    const settings = healthSettings(loaded);
    watch.takeUp(watch.plan, targetOf(watch.plan, settings, loaded, snapshot), settings);
  }

  /** Its name has other addresses. */
  moveHost(host: number, addresses: readonly HostAddress[]): void {
    this.#watches.get(host)?.moveTo(addresses.map(({ text }) => text));
  }

  /** Sets or takes back an order of the operator; what is measured goes on beside it. */
  order(host: number, bit: number, isOn: boolean): void {
    const before = this.#table.orders(host);
    const after = isOn ? before | bit : before & ~bit;
    this.#table.setOrders(host, after);
    const watch = this.#watches.get(host);
    if (after !== before && watch !== undefined) this.#log.ordered(watch.plan, bit, isOn);
  }

  /** What was held against it is forgotten; the next check begins anew. */
  forgive(host: number): void {
    const watch = this.#watches.get(host);
    if (watch === undefined) return;
    watch.apply({ type: 'forgiven' });
    this.#publish(watch, '');
    watch.checkNow();
  }

  /** Now, whatever the interval: null when it passed, else why not. */
  async checkNow(host: number): Promise<string | null> {
    const watch = this.#watches.get(host);
    if (watch === undefined) return 'there is no such host';
    const result = await watch.nextResult();
    const { host: name, port } = watch.plan;
    return result.kind === 'failed' ? `host ${name}:${port}: ${result.why}` : null;
  }

  #askPatroni(
    urls: readonly string[],
    members: readonly HostWatch[],
    { intervalMs, timeoutMs }: HealthSettings,
    { pools, tls }: ConfigSnapshot,
  ): PatroniWatch | null {
    const [first] = members;
    if (urls.length === 0 || first === undefined) return null;
    const pool = pools.find(({ hostIndex }) => hostIndex === first.plan.index);
    const patroni = new PatroniWatch({
      urls,
      intervalMs,
      timeoutMs,
      ca: tls.servers[pool?.tls ?? -1]?.ca ?? null,
      nowMs: () => this.#clock.nowMs(),
      onChange: () => this.#onVerdict(patroni, first),
      onState: (isAnswering, why) => this.#log.patroni(isAnswering, why),
    });
    this.#patronis.push(patroni);
    return patroni;
  }

  #onVerdict(patroni: PatroniWatch, first: HostWatch): void {
    const group = this.#groupOf.get(first.plan.index);
    if (group === undefined) return;
    group.evaluate(null);
    patroni.isUrgent = group.primary === -1;
    this.#publish(first, '');
    this.#log.afterCheck(first, group);
  }

  #watch(plan: HostPlan, target: ProbeTarget, settings: HealthSettings): void {
    const known = this.#watches.get(plan.index);
    if (known !== undefined) {
      known.takeUp(plan, target, settings);
      return;
    }
    const orders = this.#table.orders(plan.index);
    this.#table.clearHost(plan.index);
    this.#table.setOrders(plan.index, orders);
    const watch = new HostWatch({
      plan,
      target,
      settings,
      table: this.#table,
      clock: this.#clock,
      onCheck: (checked, why) => this.#onCheck(checked, why),
    });
    this.#watches.set(plan.index, watch);
    this.#writeBan(watch, '');
    watch.start();
  }

  #forget(index: number, watch: HostWatch): void {
    watch.close();
    this.#watches.delete(index);
    this.#groupOf.delete(index);
    this.#table.clearHost(index);
  }

  #onCheck(watch: HostWatch, why: string): void {
    const group = this.#groupOf.get(watch.plan.index);
    if (group === undefined) return;
    if (watch.ban.failures > 0) this.#onFailure(watch.plan.index);
    if (watch.plan.isRouted) group.evaluate(watch);
    watch.apply({ type: 'lag', is: group.lagEvent(watch.plan.index) });
    this.#publish(watch, why);
    this.#log.afterCheck(watch, group);
  }

  /**
   * Who may no longer be written to stops first, everywhere; then bans, and the primary last. So at every moment a
   * worker finds one primary or none, and never reads from a fenced host as a replica.
   */
  #publish(watch: HostWatch, why: string): void {
    const group = this.#groupOf.get(watch.plan.index);
    if (group === undefined) return;
    const states = group.watches.map((one) => ({ one, role: group.state(one.plan.index).role }));
    for (const { one, role } of states) if (role !== ROLE_PRIMARY) this.#writeRole(one, role);
    for (const { one } of states) this.#writeBan(one, one === watch ? why : '');
    this.#writeFigures(watch, group);
    for (const { one, role } of states) if (role === ROLE_PRIMARY) this.#writeRole(one, role);
  }

  #writeRole({ plan, measurement }: HostWatch, role: ReturnType<HostTable['role']>): void {
    const before = this.#table.role(plan.index);
    if (before === role) return;
    this.#table.setRole(plan.index, role);
    this.#log.roleChanged(plan, before, role, measurement?.timeline ?? 0);
  }

  #writeBan(watch: HostWatch, why: string): void {
    const { index } = watch.plan;
    const reason = banReasonOf(watch.ban);
    const before = this.#table.banReason(index);
    this.#table.setHealth(index, watch.ban.health);
    if (reason === before) return;
    if (reason === 0) this.#table.unban(index);
    else this.#table.ban(index, reason, banUntilMsOf(watch.ban));
    this.#logBan(watch, reason, before, why);
  }

  #logBan({ plan, ban }: HostWatch, reason: BanReason, before: BanReason, why: string): void {
    const { host, port } = plan;
    if (reason === 0) {
      const text = `host ${host}:${port} is used again`;
      this.#logger.log('info', 'host_unbanned', text, { host, port, reason: BAN_REASON_NAMES[before] });
      return;
    }
    const name = BAN_REASON_NAMES[reason];
    const text = `host ${host}:${port} is not used: ${name}${why === '' ? '' : ` (${why})`}`;
    const leftMs = Math.max(0, banUntilMsOf(ban) - this.#clock.epochMs());
    this.#logger.log('warn', 'host_banned', text, { host, port, reason: name, ms: leftMs });
  }

  #writeFigures({ plan, measurement, latencyUs, passedMs }: HostWatch, group: HostGroup): void {
    const table = this.#table;
    const { role, lag, shownMs } = group.state(plan.index);
    table.setLatencyUs(plan.index, latencyUs);
    table.setMeasuredMs(plan.index, passedMs);
    if (measurement === null) return;
    table.setTimeline(plan.index, measurement.timeline);
    table.setLag(plan.index, Math.round(lag.ms), lag.bytes);
    const { isInRecovery, lsn } = measurement;
    // Of a fenced host no position counts: it would vouch for writes that it has not got.
    const isReplica = role === ROLE_REPLICA && isInRecovery;
    table.setShownMs(plan.index, isReplica ? shownMs : 0);
    table.setLsns(plan.index, isReplica ? lsn : 0, role === ROLE_PRIMARY ? lsn : 0);
  }
}

/** Null: Patroni is not asked, or does not answer. */
function verdictOf(
  patroni: PatroniWatch | null,
  members: readonly HostWatch[],
  { hosts }: ConfigSnapshot,
): Verdict | null {
  const view = patroni?.view ?? null;
  if (view === null) return null;
  const { leader } = view;
  const found = members.find(({ plan }) => {
    const addresses = hosts.find(({ index }) => index === plan.index)?.addresses ?? [];
    const isHere = leader?.host === plan.host || addresses.some(({ text }) => text === leader?.host);
    return isHere && leader?.port === plan.port;
  });
  return { leader: found?.plan.index ?? -1 };
}

function lookAt(watches: readonly HostWatch[]): void {
  for (const watch of watches) watch.lookAtEvidence();
}

function targetOf(
  { index, port, isRouted }: HostPlan,
  { timeoutMs }: HealthSettings,
  { databases, general }: LoadedConfig,
  snapshot: ConfigSnapshot,
): ProbeTarget {
  const known = snapshot.hosts.find((one) => one.index === index);
  const knockMs = general.healthcheck_timeout || timeoutMs;
  return {
    port,
    addresses: (known?.addresses ?? []).map(({ text }) => text),
    logins: isRouted ? probeLogins(index, snapshot, databases) : [],
    timeouts: isRouted
      ? { connectMs: timeoutMs, queryMs: timeoutMs }
      : { connectMs: knockMs, queryMs: knockMs },
  };
}
