import { type HostSnapshot, type Orders, ownOrders, type SharedMemory } from '@pgdog-cluster/core';
import type { DatabaseEntry, LoadedConfig } from '@pgdog-cluster/core/config';
import type { AuthRequests } from '../auth/auth-requests.js';
import { entriesWithHost } from '../config/database-snapshots.js';
import { hostIndexOf } from '../config/host-numbers.js';
import type { NameWatch } from '../config/name-watch.js';
import type { Departure, Publication } from '../config/publication.js';
import type { HostMonitor } from '../health/host-monitor.js';
import type { Logger } from '../log/logger.js';
import { TenantSweep } from './tenant-sweep.js';
import { type TemplateFigures, type Tenant, Tenants } from './tenants.js';

/** The parts of the program that have to do with tenants; those that come to be later are asked for. */
export interface TenantServiceOptions {
  memory: SharedMemory;
  loaded: LoadedConfig;
  logger: Logger;
  publication: Pick<Publication, 'loaded' | 'snapshot' | 'drop'>;
  auth: () => AuthRequests;
  health: () => HostMonitor;
  names: () => NameWatch;
}

/** Of one pattern, for SHOW TENANTS. */
export interface TemplateRow extends TemplateFigures {
  pattern: string;
  hosts: string[];
  serverDatabase: string;
  tenants: number;
}

/** Databases that come to be when somebody asks for them, and go when nobody does. See docs/internals/tenants.md. */
export class TenantService {
  readonly tenants: Tenants;
  readonly #options: TenantServiceOptions;
  readonly #sweep: TenantSweep;

  constructor(options: TenantServiceOptions) {
    this.#options = options;
    const { memory, loaded, logger, publication } = options;
    const isProven = (name: string): boolean =>
      this.#poolsOf(name).some((index) => memory.load.established(index) > 0);
    this.tenants = new Tenants({
      loaded,
      snapshot: () => publication.snapshot,
      hostsMax: memory.hosts.hostsMax,
      onMade: (tenant, hosts) => this.#made(tenant, hosts),
      isProven,
    });
    this.#sweep = new TenantSweep({
      capacity: memory.capacity,
      tenants: this.tenants,
      isProven,
      poolsOf: (name) => this.#poolsOf(name),
      isHeld: (name) => isHeld(ownOrders(publication.snapshot.orders, name)),
      idleTimeoutMs: () => publication.loaded.general.tenant_idle_timeout,
      drop: (close) =>
        publication.drop(
          () => this.#departureOf(close()),
          (departure) => this.#gone(departure),
        ),
      logger,
    });
  }

  /** A configuration has been taken up: entries of all hosts that are to be watched. */
  takeUp(loaded: LoadedConfig): DatabaseEntry[] {
    if (this.tenants.count > 0) this.#sweep.wake();
    const fixed = entriesWithHost(loaded);
    const known = new Set(fixed.map(hostIndexOf));
    const isElsewhere = ({ entries }: Tenant): boolean =>
      entries.some((entry) => !known.has(hostIndexOf(entry)));
    return [...fixed, ...[...this.tenants.all].filter(isElsewhere).flatMap(({ entries }) => entries)];
  }

  /** A server says that there is no such database. */
  missing(name: string): void {
    if (this.tenants.noteMissing(name) !== undefined) this.#sweep.hurry();
  }

  rows(): TemplateRow[] {
    const counts = new Map<string, number>();
    for (const { pattern } of this.tenants.all) counts.set(pattern, (counts.get(pattern) ?? 0) + 1);
    return this.#options.publication.loaded.templates.map(({ pattern, entries }) => ({
      pattern,
      hosts: entries.map(({ host, port }) => `${host}:${port}`),
      serverDatabase: entries[0].serverDatabase,
      tenants: counts.get(pattern) ?? 0,
      ...this.tenants.figuresOf(pattern),
    }));
  }

  close(): void {
    this.#sweep.close();
    this.tenants.close();
  }

  #poolsOf(name: string): number[] {
    return this.#options
      .auth()
      .poolsOf(name)
      .map(({ index }) => index);
  }

  #made(tenant: Tenant, hosts: readonly HostSnapshot[]): void {
    const { publication, health, names, logger } = this.#options;
    this.#sweep.wake();
    const { name: database, pattern } = tenant;
    logger.log('debug', 'tenant_made', `database "${database}" is served as "${pattern}" says`, { database });
    if (hosts.length === 0) return;
    names().add(hosts);
    const { loaded, snapshot } = publication;
    if (hosts.length === tenant.entries.length) health().add(tenant.entries, loaded, snapshot);
    else health().takeUp({ ...loaded, databases: this.takeUp(loaded) }, snapshot);
  }

  #departureOf(tenants: readonly Tenant[]): Departure | null {
    if (tenants.length === 0) return null;
    const going = new Set(tenants);
    const staying = [...this.tenants.all].filter((tenant) => !going.has(tenant));
    const kept = [
      ...entriesWithHost(this.#options.publication.loaded),
      ...staying.flatMap(({ entries }) => entries),
    ];
    const inUse = new Set(kept.map(hostIndexOf));
    const theirs = tenants.flatMap(({ entries }) => entries.map(hostIndexOf));
    return {
      databases: new Set(tenants.map(({ name }) => name)),
      pools: new Set(tenants.flatMap(({ name }) => this.#poolsOf(name))),
      hosts: new Set(theirs.filter((index) => !inUse.has(index))),
    };
  }

  #gone({ databases, hosts }: Departure): void {
    const { auth, health, names, logger } = this.#options;
    for (const name of databases) {
      const tenant = this.tenants.get(name);
      if (tenant === undefined) continue;
      auth().forget(tenant);
      const why = tenant.isMissing ? 'its server does not have it' : 'nobody has used it for long';
      logger.log('debug', 'tenant_dropped', `database "${name}" is forgotten: ${why}`, { database: name });
    }
    this.tenants.forgetHosts(hosts);
    health().forgetHosts(hosts);
    names().forget(hosts);
  }
}

/** An order stands that somebody will want to take back: by the name of a database that must be known for it. */
function isHeld({ holds, isDisabled }: Pick<Orders, 'holds' | 'isDisabled'>): boolean {
  return holds !== 0 || isDisabled;
}
