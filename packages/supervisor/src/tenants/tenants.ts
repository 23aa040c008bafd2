import type { AuthReplyMessage, ConfigSnapshot, HostAddress, HostSnapshot } from '@pgdog-cluster/core';
import { firstMatch } from '@pgdog-cluster/core';
import type { DatabaseEntry, DatabaseTemplate, LoadedConfig } from '@pgdog-cluster/core/config';
import { fillTemplate } from '@pgdog-cluster/core/config';
import { type Way, waysTo } from '../auth/dynamic-pools.js';
import { databaseOf } from '../config/database-snapshots.js';
import { inheritDatabaseTls } from '../config/database-tls.js';
import { resolveHost } from '../config/host-address.js';
import { hostIndexOf } from '../config/host-numbers.js';
import { resolvePeer } from '../config/resolve-entries.js';
import { Probation, type ProbationOptions } from './probation.js';

export type Refusal = NonNullable<AuthReplyMessage['refusal']>;

/** A database that was made of a template, at the first login. */
export interface Tenant {
  name: string;
  pattern: string;
  /** One per host. */
  entries: DatabaseEntry[];
  ways: Way[];
  database: ConfigSnapshot['databases'][number];
  /** Since when nobody has been there; 0 = somebody is. */
  idleSinceMs: number;
  /** A server has said that there is no such database. */
  isMissing: boolean;
}

export interface TenantsOptions {
  loaded: LoadedConfig;
  /** In force; a tenant that is made is added to it. */
  snapshot: () => ConfigSnapshot;
  hostsMax: number;
  /** It serves from now on. `hosts`: those that nobody had before. */
  onMade: (tenant: Tenant, hosts: HostSnapshot[]) => void;
  /** Whether a server has been logged in to for the database. */
  isProven: ProbationOptions['isProven'];
}

/** What has become of the names that a pattern has been asked for, since the start. */
export interface TemplateFigures {
  made: number;
  dropped: number;
  /** Of those: the server had no such database. */
  missing: number;
  refused: number;
}

/** Which databases there are by name, configured or made of a template. See docs/internals/tenants.md. */
export class Tenants {
  readonly #options: TenantsOptions;
  readonly #probation: Probation;
  readonly #figures = new Map<string, TemplateFigures>();
  readonly #making = new Map<string, Promise<Tenant | Refusal | null>>();
  /** Those of the snapshot in force, by port and name. */
  readonly #hosts = new Map<string, HostSnapshot>();
  #exact = new Map<string, DatabaseEntry[]>();
  #made = new Map<string, Tenant>();
  /** Those before a configuration that is being taken up, which may fail. */
  #before: ReadonlyMap<string, Tenant> | null = null;
  #loaded: LoadedConfig;
  /** How often a configuration has been taken up. */
  #turn = 0;

  constructor(options: TenantsOptions) {
    this.#options = options;
    this.#probation = new Probation({ isProven: options.isProven });
    this.#loaded = options.loaded;
    this.#exact = byName(options.loaded.databases);
  }

  get all(): Iterable<Tenant> {
    return this.#made.values();
  }

  get count(): number {
    return this.#made.size;
  }

  get(name: string): Tenant | undefined {
    return this.#made.get(name);
  }

  /** Of tenants there are: hosts, each once. */
  get hosts(): HostSnapshot[] {
    const hosts = new Map<number, HostSnapshot>();
    for (const tenant of this.#made.values()) {
      for (const host of hostsOf(tenant)) hosts.set(host.index, host);
    }
    return [...hosts.values()];
  }

  figuresOf(pattern: string): TemplateFigures {
    let figures = this.#figures.get(pattern);
    if (figures === undefined) {
      figures = { made: 0, dropped: 0, missing: 0, refused: 0 };
      this.#figures.set(pattern, figures);
    }
    return figures;
  }

  /** Of a configured database, a tenant, or one that could be made. A text: why there can be none. Null: nobody has it. */
  entriesOf(name: string): readonly DatabaseEntry[] | string | null {
    const known = this.#exact.get(name) ?? this.#made.get(name)?.entries;
    if (known !== undefined) return known;
    const template = firstMatch(this.#loaded.templates, name);
    return template === null ? null : entriesBy(template, name);
  }

  /** Of databases that there are. */
  knownEntriesOf(name: string): readonly DatabaseEntry[] {
    return this.#exact.get(name) ?? this.#made.get(name)?.entries ?? [];
  }

  async waysOf(entries: readonly DatabaseEntry[]): Promise<Way[]> {
    return entries.length > 0 ? (this.#made.get(entries[0].name)?.ways ?? waysTo(entries)) : [];
  }

  /** The tenant of that name, made if need be: by one, for all who ask. */
  async obtain(name: string): Promise<Tenant | Refusal> {
    const known = this.#made.get(name);
    if (known !== undefined) {
      known.idleSinceMs = 0;
      return known;
    }
    let making = this.#making.get(name);
    if (making === undefined) {
      making = this.#make(name).finally(() => this.#making.delete(name));
      this.#making.set(name, making);
    }
    return (await making) ?? this.obtain(name);
  }

  /** Null: another configuration came meanwhile. */
  async #make(name: string): Promise<Tenant | Refusal | null> {
    const template = firstMatch(this.#loaded.templates, name);
    if (template === null) return unknown(name);
    const refuse = (refusal: Refusal): Refusal => {
      this.figuresOf(template.pattern).refused++;
      this.#probation.leave(name);
      return refusal;
    };
    const entries = entriesBy(template, name);
    if (typeof entries === 'string') return refuse(unknown(name, entries));
    const turn = this.#turn;
    const { tenants_max: tenantsMax } = this.#loaded.general;
    const isFull = (): boolean => this.#made.size >= tenantsMax;
    if (isFull()) return refuse(full(`tenants_max = ${tenantsMax}`));
    if (!(await this.#probation.enter(name))) return refuse(full('too many of them are new at this moment'));
    const ways = await this.#waysTo(entries);
    if (turn !== this.#turn) return null;
    if (isFull()) return refuse(full(`tenants_max = ${tenantsMax}`));
    const lost = entries.find((entry, place) => this.#isNowhere(entry, ways[place]));
    if (lost !== undefined) {
      // A name of the client's making: nothing is kept of it, and the next login asks again.
      return refuse({ code: 'server_unreachable', message: `host name ${lost.host} does not resolve` });
    }
    const isRoomless = entries.some((entry) => hostIndexOf(entry) >= this.#options.hostsMax);
    if (isRoomless) return refuse(full('no room for another host'));
    return this.#keep(template, name, entries, ways);
  }

  #isNowhere(entry: DatabaseEntry, { addresses }: Way): boolean {
    return addresses.length === 0 && !this.#hosts.has(addressKey(entry));
  }

  /** Without a pause: into the snapshot that is in force now. */
  #keep(template: DatabaseTemplate, name: string, entries: DatabaseEntry[], ways: Way[]): Tenant {
    const { pattern } = template;
    const database = databaseOf(name, entries, this.#loaded);
    const tenant = { name, pattern, entries, ways, database, idleSinceMs: 0, isMissing: false };
    const hosts = hostsOf(tenant).filter((host) => !this.#hosts.has(addressKey(host)));
    for (const host of hosts) this.#hosts.set(addressKey(host), host);
    this.#made.set(name, tenant);
    this.figuresOf(pattern).made++;
    const snapshot = this.#options.snapshot();
    snapshot.databases.push(database);
    snapshot.hosts.push(...hosts);
    this.#options.onMade(tenant, hosts);
    return tenant;
  }

  /** A server says that there is no such database. Undefined: nor is it a tenant. */
  noteMissing(name: string): Tenant | undefined {
    const tenant = this.#made.get(name);
    if (tenant !== undefined) tenant.isMissing = true;
    // It holds up no other.
    this.#probation.leave(name);
    return tenant;
  }

  /** It is not in the snapshot in force any more. */
  forget({ name, pattern, isMissing }: Tenant): void {
    this.#made.delete(name);
    this.#probation.leave(name);
    const figures = this.figuresOf(pattern);
    figures.dropped++;
    if (isMissing) figures.missing++;
  }

  /** Its name has other addresses. */
  moveHost(index: number, addresses: HostAddress[]): void {
    for (const [key, host] of this.#hosts)
      if (host.index === index) this.#hosts.set(key, { ...host, addresses });
    for (const tenant of this.#made.values()) {
      tenant.ways = tenant.ways.map((way, place) =>
        hostIndexOf(tenant.entries[place]) === index ? { ...way, addresses } : way,
      );
    }
  }

  /** Another configuration: tenants whose names are served by it go on, by what it says of them. */
  async takeUp(loaded: LoadedConfig): Promise<void> {
    this.#turn++;
    this.#before ??= this.#made;
    this.#loaded = loaded;
    this.#exact = byName(loaded.databases);
    const resolved = new Map<string, Promise<HostAddress[]>>();
    const next = new Map<string, Tenant>();
    for (const tenant of this.#before.values()) {
      const { name } = tenant;
      const template = this.#exact.has(name) ? null : firstMatch(loaded.templates, name);
      const entries = template === null ? null : entriesBy(template, name);
      if (template === null || entries === null || typeof entries === 'string') continue;
      if (entries.some((entry) => hostIndexOf(entry) >= this.#options.hostsMax)) continue;
      const ways = await this.#waysTo(entries, resolved);
      const database = databaseOf(name, entries, loaded);
      next.set(name, { ...tenant, pattern: template.pattern, entries, ways, database });
    }
    this.#made = next;
  }

  /** What was taken up last is in force. */
  settled(): void {
    this.#before = null;
    this.#hosts.clear();
    for (const host of this.#options.snapshot().hosts) this.#hosts.set(addressKey(host), host);
    for (const name of this.#probation.names()) if (!this.#made.has(name)) this.#probation.leave(name);
  }

  /** Hosts have gone from the snapshot, with their tenants. */
  forgetHosts(indexes: ReadonlySet<number>): void {
    if (indexes.size === 0) return;
    for (const [key, { index }] of this.#hosts) if (indexes.has(index)) this.#hosts.delete(key);
  }

  close(): void {
    this.#probation.close();
  }

  /** @param asked when given: names are resolved anew, each once */
  #waysTo(entries: readonly DatabaseEntry[], asked?: Map<string, Promise<HostAddress[]>>): Promise<Way[]> {
    return Promise.all(
      entries.map(async (entry) => {
        const peer = await resolvePeer(entry);
        const key = addressKey(entry);
        const known = asked === undefined ? this.#hosts.get(key)?.addresses : asked.get(key);
        const addresses = known ?? resolveHost(entry.host, entry.port);
        asked?.set(key, Promise.resolve(addresses));
        return { addresses: await addresses, peer };
      }),
    );
  }
}

function addressKey({ host, port }: { host: string; port: number }): string {
  return `${port} ${host}`;
}

function byName(databases: readonly DatabaseEntry[]): Map<string, DatabaseEntry[]> {
  const groups = new Map<string, DatabaseEntry[]>();
  for (const entry of databases) {
    const group = groups.get(entry.name);
    if (group === undefined) groups.set(entry.name, [entry]);
    else group.push(entry);
  }
  return groups;
}

function entriesBy(template: DatabaseTemplate, name: string): DatabaseEntry[] | string {
  const entries = fillTemplate(template, name);
  if (typeof entries === 'string') return entries;
  for (const [place, entry] of entries.entries()) inheritDatabaseTls(entry, template.entries[place]);
  return entries;
}

function hostsOf({ entries, ways }: Pick<Tenant, 'entries' | 'ways'>): HostSnapshot[] {
  return entries.map((entry, place) => {
    const { host, port } = entry;
    return { index: hostIndexOf(entry), host, port, addresses: ways[place].addresses };
  });
}

function unknown(name: string, why = ''): Refusal {
  const message = `database "${name}" does not exist${why === '' ? '' : `: ${why}`}`;
  return { code: 'unknown_database', message };
}

function full(why: string): Refusal {
  return { code: 'too_many_tenants', message: `too many databases are served by patterns already (${why})` };
}
