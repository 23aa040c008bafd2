import {
  type AskCatalog,
  type BegunTransaction,
  decideRoute,
  factReport,
  KEEPS_CONNECTION,
  type ReadWriteSplit,
  type RoleWish,
  type RouteReport,
  reportEntry,
  reportList,
  type SqlPlan,
  WANT_ANY,
  WANT_NAMES,
  WANT_PRIMARY,
  WANT_READ,
  type Want,
} from '@pgdog-cluster/core';
import type { DatabaseEntry, LoadedConfig } from '@pgdog-cluster/core/config';

/** Statements of a file, judged as if one session asked them in turn: without servers, health or other sessions. */
export class DrySession {
  private readonly hosts: readonly DatabaseEntry[];
  private readonly general: LoadedConfig['general'];
  private readonly ask: AskCatalog | null;
  private role: RoleWish = null;
  private held: BegunTransaction | null = null;
  /** Where an open transaction is, once its first statement has been seen. */
  private transactionWish: string | null = null;
  /** By PREPARE: why each may write. */
  private readonly prepared = new Map<string, string | null>();

  /** @param ask null: the catalog is not known */
  constructor(hosts: readonly DatabaseEntry[], general: LoadedConfig['general'], ask: AskCatalog | null) {
    this.hosts = hosts;
    this.general = general;
    this.ask = ask;
  }

  private get isRouted(): boolean {
    return this.hosts.length > 1 || this.hosts[0].role !== 'primary';
  }

  judge(kind: string, plan: SqlPlan): RouteReport {
    const report = factReport(kind, plan.route, this.ask);
    report.push(reportEntry('catalog', 'Catalog', this.catalogText(plan)));
    if (!this.isRouted) {
      const place = placeOf(this.hosts[0]);
      return [...report, reportEntry('chosen', 'Chosen', `${place}, the database's only host`)];
    }
    if (plan.route.directive?.error != null) {
      return [...report, reportEntry('refused', 'Refused', plan.route.directive.error)];
    }
    return [...report, ...this.choice(plan)];
  }

  private catalogText({ route }: SqlPlan): string {
    if (this.ask !== null) return this.ask(route) ?? 'nothing in it may write';
    const isAsked = route.access !== 'write' && route.functions.length + route.relations.length > 0;
    return isAsked
      ? 'not known (--connect asks it): functions and views are taken for harmless'
      : 'not needed';
  }

  private choice(plan: SqlPlan): RouteReport {
    const { effect } = plan.statements[0];
    if (effect?.type === 'commit' || effect?.type === 'rollback') {
      const wish = this.transactionWish ?? 'nobody has to know of it';
      this.held = null;
      this.transactionWish = null;
      return [reportEntry('wish', 'Wish', `ends the transaction (${wish})`)];
    }
    if (this.transactionWish !== null) {
      return [reportEntry('wish', 'Wish', `where the transaction is (${this.transactionWish})`)];
    }
    if (effect?.type === 'begin') {
      const { begin } = plan.route;
      this.held = { isReadOnly: begin?.isReadOnly ?? null, isSerializable: begin?.isSerializable === true };
      return [reportEntry('wish', 'Wish', 'held until the first statement of the transaction')];
    }
    if (effect?.type === 'set' && effect.name === 'pgdog.role' && !effect.isLocal) {
      this.role = effect.value === 'primary' || effect.value === 'replica' ? effect.value : null;
    }
    if (effect?.type === 'reset' && effect.name === 'pgdog.role') this.role = null;
    if (effect?.type === 'prepare') this.prepared.set(effect.name, this.whyWrite(plan.route, plan.flags));
    return this.decide(plan);
  }

  private decide({ route, flags }: SqlPlan): RouteReport {
    const { held } = this;
    const { want, reason } = decideRoute({
      facts: route,
      writes: this.whyWrite(route, flags),
      held,
      role: route.directive?.role ?? this.role,
      isReadOnlyByDefault: this.hosts[0].overrides.readOnly === true,
      isSerializableByDefault: false,
      isSessionMode: (this.hosts[0].overrides.poolerMode ?? this.general.pooler_mode) === 'session',
      hasJustWritten: false,
      strategy: this.general.read_write_strategy,
    });
    const wish = `${WANT_NAMES[want]} (${reason})`;
    if (held !== null) this.transactionWish = wish;
    const split = this.general.read_write_split;
    const lines = this.hosts.map((host) => `${placeOf(host)}: ${host.role} -> ${serves(host, want, split)}`);
    return [
      reportEntry('wish', 'Wish', wish),
      reportList('hosts', 'Host', lines),
      reportEntry(
        'strategy',
        'Strategy',
        `${this.general.load_balancing_strategy}, read_write_split = ${split}`,
      ),
    ];
  }

  private whyWrite(route: SqlPlan['route'], flags: number): string | null {
    if (route.access === 'write') return route.reason;
    if ((flags & KEEPS_CONNECTION) !== 0) return 'keeps its server connection';
    for (const name of route.executes) {
      const why = this.prepared.get(name);
      if (why !== null) return why ?? 'EXECUTE of an unknown statement';
    }
    return this.ask === null ? null : this.ask(route);
  }
}

function placeOf({ host, port }: DatabaseEntry): string {
  return `${host}:${port}`;
}

/** Of a host in good health. */
function serves({ role }: DatabaseEntry, want: Want, split: ReadWriteSplit): string {
  const isRead = want === WANT_READ;
  const prefersPrimary = want === WANT_ANY || (isRead && split === 'prefer_primary');
  if (role === 'auto') return 'as its role turns out';
  if (role === 'replica') {
    if (want === WANT_PRIMARY) return 'never';
    return prefersPrimary ? 'only when there is no primary' : 'may be chosen';
  }
  if (want === WANT_PRIMARY || prefersPrimary || (isRead && split === 'include_primary'))
    return 'may be chosen';
  if (!isRead || split === 'exclude_primary') return 'never';
  return 'only when a replica is banned';
}
