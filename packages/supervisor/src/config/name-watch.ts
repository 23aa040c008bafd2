import { Resolver } from 'node:dns/promises';
import { type HostAddress, type HostSnapshot, isUnixHost, parseIp } from '@pgdog-cluster/core';
import { resolveHost } from './host-address.js';

/** Where neither dns_ttl nor the record says: as PgBouncer's dns_max_ttl. */
const TTL_MS = 15_000;
/** A record may say less or more; less would be a load, more would outlast what its owner remembers. */
const TTL_MS_MIN = 1_000;
const TTL_MS_MAX = 300_000;
/** A name that does not resolve is asked again after this long, doubled up to TTL_MS. */
const RETRY_MS = 1_000;
/** A host that fails may have moved: its name is asked at once, but not more often than this. */
const HURRY_MS = 1_000;
/** The resolver of the system blocks a thread of few: names wait for each other. */
const RUNNING_MAX = 2;

export interface NameWatchOptions {
  /** Injected by tests. */
  resolve?: (host: string, port: number) => Promise<HostAddress[]>;
  ttlMs?: (host: string) => Promise<number | null>;
  nowMs?: () => number;
  /** The addresses are others than before, in whatever order. */
  onChange: (host: HostSnapshot, addresses: HostAddress[]) => void;
  /** It had addresses, and does not resolve now: they stay in use. */
  onLost: (host: HostSnapshot) => void;
}

interface Watched {
  host: HostSnapshot;
  timer: NodeJS.Timeout | undefined;
  askedMs: number;
  failures: number;
}

/** Asks names again when their time is over, or their host fails. */
export class NameWatch {
  readonly #options: Required<NameWatchOptions>;
  readonly #watched = new Map<number, Watched>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  /** dns_ttl; null = as the record says. */
  #ttlMs: number | null = null;

  constructor({ resolve = resolveHost, ttlMs = recordTtlMs, nowMs = Date.now, ...rest }: NameWatchOptions) {
    this.#options = { resolve, ttlMs, nowMs, ...rest };
  }

  takeUp(hosts: readonly HostSnapshot[], ttlMs: number | null): void {
    const isSameTtl = ttlMs === this.#ttlMs;
    this.#ttlMs = ttlMs;
    const before = new Map(this.#watched);
    const fresh = hosts.filter((host) => {
      const known = before.get(host.index);
      // What is watched already goes on: asking for the lives of thousands of names would be a storm.
      if (known === undefined || !isSameTtl || !isSameHost(known.host, host)) return true;
      before.delete(host.index);
      return false;
    });
    this.forget(before.keys());
    this.add(fresh);
  }

  /** Beside those that are watched. */
  add(hosts: readonly HostSnapshot[]): void {
    for (const host of hosts) {
      if (!isName(host.host)) continue;
      const known: Watched = { host, timer: undefined, askedMs: this.#options.nowMs(), failures: 0 };
      this.#watched.set(host.index, known);
      void this.#planNext(known);
    }
  }

  close(): void {
    for (const { timer } of this.#watched.values()) clearTimeout(timer);
    this.#watched.clear();
  }

  forget(indexes: Iterable<number>): void {
    for (const index of indexes) {
      clearTimeout(this.#watched.get(index)?.timer);
      this.#watched.delete(index);
    }
  }

  /** Its host fails. */
  hurry(index: number): void {
    const known = this.#watched.get(index);
    if (known === undefined || this.#options.nowMs() - known.askedMs < HURRY_MS) return;
    known.askedMs = this.#options.nowMs();
    clearTimeout(known.timer);
    void this.#ask(known);
  }

  async #planNext(known: Watched): Promise<void> {
    const isUnknown = known.host.addresses.length === 0 || known.failures > 0;
    const delayMs = isUnknown
      ? Math.min(TTL_MS, RETRY_MS * 2 ** Math.min(known.failures, 10))
      : await this.#lifeMs(known.host.host);
    if (this.#watched.get(known.host.index) !== known) return;
    clearTimeout(known.timer);
    known.timer = setTimeout(() => void this.#ask(known), delayMs).unref();
  }

  async #lifeMs(host: string): Promise<number> {
    // A timer takes 24 days at most; "for ever" is as long.
    if (this.#ttlMs !== null) return Math.min(Math.max(1, this.#ttlMs), 0x7fff_ffff);
    const ttlMs = await this.#options.ttlMs(host);
    return ttlMs === null ? TTL_MS : Math.min(TTL_MS_MAX, Math.max(TTL_MS_MIN, ttlMs));
  }

  async #ask(known: Watched): Promise<void> {
    if (this.#running >= RUNNING_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    const { host, port } = known.host;
    const addresses = await this.#options.resolve(host, port).catch(() => []);
    this.#running--;
    this.#waiting.shift()?.();
    if (this.#watched.get(known.host.index) !== known) return;
    known.askedMs = this.#options.nowMs();
    this.#take(known, addresses);
    await this.#planNext(known);
  }

  #take(known: Watched, addresses: HostAddress[]): void {
    if (addresses.length === 0) {
      known.failures++;
      // What was true a moment ago is better than nothing: resolvers fail more often than hosts vanish.
      if (known.failures === 1 && known.host.addresses.length > 0) this.#options.onLost(known.host);
      return;
    }
    known.failures = 0;
    if (isSameSet(known.host.addresses, addresses)) return;
    this.#options.onChange(known.host, addresses);
    known.host = { ...known.host, addresses };
  }
}

function isName(host: string): boolean {
  return !isUnixHost(host) && parseIp(host.split('%')[0]) === null;
}

function isSameHost(one: HostSnapshot, other: HostSnapshot): boolean {
  return one.host === other.host && one.port === other.port && isSameSet(one.addresses, other.addresses);
}

function isSameSet(one: readonly HostAddress[], other: readonly HostAddress[]): boolean {
  const texts = new Set(one.map(({ text }) => text));
  return texts.size === other.length && other.every(({ text }) => texts.has(text));
}

/** The shortest life of the records of a name; null when no name server knows it (it may stand in /etc/hosts). */
async function recordTtlMs(host: string): Promise<number | null> {
  const resolver = new Resolver({ timeout: 1_000, tries: 1 });
  const answers = await Promise.allSettled([
    resolver.resolve4(host, { ttl: true }),
    resolver.resolve6(host, { ttl: true }),
  ]);
  const ttls = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  return ttls.length === 0 ? null : Math.min(...ttls.map(({ ttl }) => ttl)) * 1_000;
}
