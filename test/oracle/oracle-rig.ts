/** The proxy over three shards, the reference beside it, and the verdict on each case. */
import type { TestDriver } from '../support/drivers.js';
import { PATIENCE_MS } from '../support/patience.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { SHOP, ShardCluster, startShardedProxy } from '../support/shard-cluster.js';
import { type Answer, difference, run } from './oracle-answer.js';
import { describeCase, type OracleCase, type Step } from './oracle-case.js';
import { ALL_TABLES, REFERENCES, refill } from './oracle-refill.js';
import {
  COPIES,
  keepOwn,
  ORACLE_SCHEMA,
  ORACLE_TABLES,
  SHARD_COUNT,
  SHARDED,
  stateQuery,
} from './oracle-schema.js';
import type { Counts } from './oracle-table.js';

export interface Verdict {
  kind: 'equal' | 'refused' | 'wrong';
  /** Why refused, without names; or what is wrong. */
  text: string;
}

const EQUAL: Verdict = { kind: 'equal', text: '' };
const OMNI = new Set(ORACLE_TABLES.flatMap(({ name, key }) => (key === null ? [name] : [])));

const REFILLS_MAX = 5;

type State = Record<string, unknown>[];

function lines(rows: State): string[] {
  return rows.map(({ t, r }) => `${t} ${r}`).sort();
}

function listDifference(own: string[], their: string[], where: string): string | null {
  const [owns, theirs] = [new Set(own), new Set(their)];
  const [extra, missing] = [own.find((row) => !theirs.has(row)), their.find((row) => !owns.has(row))];
  if (own.length === their.length && extra === undefined && missing === undefined) return null;
  return `${where}: ${own.length} rows against ${their.length}; too much: ${extra}; missing: ${missing}`;
}

function stateDifference(reference: State, shards: State[]): string | null {
  const isOmni = ({ t }: Record<string, unknown>): boolean => OMNI.has(t as string);
  const omni = lines(reference.filter(isOmni));
  for (const [shard, rows] of shards.entries()) {
    const problem = listDifference(lines(rows.filter(isOmni)), omni, `shard ${shard}`);
    if (problem !== null) return problem;
  }
  const isCopy = ({ t }: Record<string, unknown>): boolean => String(t).startsWith(COPIES);
  const [first = [], ...others] = shards.map((rows) => lines(rows.filter(isCopy)));
  for (const [index, copy] of others.entries()) {
    const problem = listDifference(copy, first, `shard ${index + 1} against shard 0`);
    if (problem !== null) return problem;
  }
  const sharded = shards.flatMap((rows) => rows.filter((row) => !isOmni(row) && !isCopy(row)));
  return listDifference(lines(sharded), lines(reference.filter((row) => !isOmni(row))), 'shards together');
}

/** Tables of which rows are not what they were. */
function changedTables(start: State, now: State): string[] {
  const rows = (state: State): Map<string, string[]> => {
    const of = new Map<string, string[]>();
    for (const { t, r } of state) of.set(String(t), [...(of.get(String(t)) ?? []), String(r)]);
    return of;
  };
  const [before, after] = [rows(start), rows(now)];
  const names = new Set([...before.keys(), ...after.keys()]);
  const textOf = (list: string[] = []): string => list.sort().join('\n');
  return [...names].filter((name) => textOf(before.get(name)) !== textOf(after.get(name)));
}

/** Without names and numbers, so that refusals of one kind are one. */
export function refusalKind({ M = '' }: Record<string, string>): string {
  return M.replace(/"[^"]*"/g, '"…"')
    .replace(/\b[a-z_]+\.[a-z_]+\b/g, '…')
    .replace(/\d+/g, 'n');
}

/** Of the reference, then of each shard. */
function statesOf(cluster: ShardCluster): Promise<State[]> {
  // Prepared: to read so many SELECTs takes Postgres four times as long as to run them.
  const name = 'state';
  return Promise.all([
    cluster.reference({ name, text: stateQuery(null) }),
    ...cluster.shards.map((_, shard) => cluster.shard(shard, { name, text: stateQuery(shard) })),
  ]);
}

export class OracleRig {
  readonly cluster: ShardCluster;
  readonly proxy: TestProxy;
  #ours: RawClient | null = null;
  #theirs: RawClient | null = null;
  /** Of the last ReadyForQuery. */
  readonly #statuses = new WeakMap<RawClient, string>();
  /** What the reference and the shards have before each case. */
  readonly #starts: State[];
  readonly #references: { own: string; other: string }[];

  private constructor(
    cluster: ShardCluster,
    proxy: TestProxy,
    starts: State[],
    references: { own: string; other: string }[],
  ) {
    this.#starts = starts;
    this.#references = references;
    this.cluster = cluster;
    this.proxy = proxy;
  }

  static async start(driver: TestDriver): Promise<OracleRig> {
    const cluster = await ShardCluster.start({
      schema: ORACLE_SCHEMA,
      shardCount: SHARD_COUNT,
      settings: { autovacuum: 'off' },
      locale: process.env.PGDOG_ORACLE_LOCALE,
    });
    try {
      for (let shard = 0; shard < SHARD_COUNT; shard++) await cluster.shard(shard, keepOwn(shard));
      await cluster.everywhere(refill(ALL_TABLES));
      const proxy = await startShardedProxy(cluster, driver, {
        tables: SHARDED,
        workers: 1,
        sections: { rewrite: { shard_key: 'rewrite' } },
        // Hundreds of log-ins: their cost is other tests' affair.
        general: { auth_type: 'trust' },
      });
      const references = await cluster.reference(REFERENCES);
      return new OracleRig(
        cluster,
        proxy,
        await statesOf(cluster),
        references as { own: string; other: string }[],
      );
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.disconnect();
    await this.proxy.stop();
    await this.cluster.stop();
  }

  async clients(): Promise<[RawClient, RawClient]> {
    const login = { user: 'postgres', password: 'postgres', timeoutMs: PATIENCE_MS };
    this.#ours ??= await RawClient.connect({ ...login, port: this.proxy.port, database: SHOP });
    this.#theirs ??= await RawClient.connect({
      ...login,
      port: this.cluster.server.port,
      database: 'reference',
    });
    return [this.#ours, this.#theirs];
  }

  async disconnect(): Promise<void> {
    for (const client of [this.#ours, this.#theirs]) client?.destroy();
    const theirs = this.#theirs;
    this.#ours = null;
    this.#theirs = null;
    if (theirs !== null) await this.#untilGone(theirs.pid);
  }

  /** Its locks and open transactions with it. */
  async #untilGone(pid: number): Promise<void> {
    const text = 'SELECT 1 FROM pg_stat_activity WHERE pid = $1';
    while ((await this.cluster.reference(text, [pid])).length > 0) await new Promise((r) => setTimeout(r, 2));
  }

  /** What a case has left open may still be on its way out. @param names of tables; those that refer to them are put back, too */
  async refill(names: ReadonlySet<string> = ALL_TABLES): Promise<void> {
    const all = new Set(names);
    // A set that grows is walked to its end.
    for (const name of all) {
      for (const { own, other } of this.#references) if (other === name) all.add(own);
    }
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.cluster.everywhere(refill(all));
      } catch (error) {
        if (attempt === REFILLS_MAX) throw error;
      }
    }
  }

  /** null: the shards together have what the reference has. */
  async stateDifference(): Promise<string | null> {
    const [reference, ...shards] = await statesOf(this.cluster);
    return stateDifference(reference ?? [], shards);
  }

  async judge(each: OracleCase): Promise<Verdict> {
    let verdict: Verdict;
    try {
      verdict = await this.#steps(each);
    } catch (error) {
      verdict = { kind: 'wrong', text: `${error}` };
      await this.disconnect();
    }
    await this.#rollback();
    if (each.isSession) await this.disconnect();
    if (!each.isWrite) return verdict;
    const state = await this.#stateAfter(each, verdict);
    if (state !== null && verdict.kind !== 'wrong') verdict = { kind: 'wrong', text: `afterwards, ${state}` };
    return verdict;
  }

  /** A refused statement changed nothing; several that were refused half way may have done the first half. */
  async #stateAfter({ steps }: OracleCase, verdict: Verdict): Promise<string | null> {
    const [start = []] = this.#starts;
    const states = await statesOf(this.cluster);
    const [reference = [], ...shards] = states;
    const isHalf = verdict.kind === 'refused' && steps.length > 1;
    const problem = isHalf ? null : stateDifference(verdict.kind === 'refused' ? start : reference, shards);
    const changed = states.flatMap((state, index) => changedTables(this.#starts[index] ?? [], state));
    const names = changed.map((name) => name.replace(/^(misplaced |copies of )/, ''));
    if (names.length > 0 || steps.length > 1) await this.refill(new Set(names));
    return problem;
  }

  async #run(client: RawClient, step: Step): Promise<Answer> {
    const answer = await run(client, step);
    this.#statuses.set(client, answer.status);
    return answer;
  }

  async #steps({ steps, order, isWrite, isSession }: OracleCase): Promise<Verdict> {
    const [ours, theirs] = await this.clients();
    const isAlone = isWrite || isSession;
    let refused: Verdict | null = null;
    for (const step of steps) {
      const answering = this.#run(theirs, step);
      // What both would do to the server they share is done by one after the other.
      if (isAlone) await answering;
      const [their, own] = await Promise.all([answering, this.#run(ours, step)]);
      // What comes after a refusal compares to nothing; it runs for what it takes back.
      if (refused !== null) continue;
      if (own.error?.C === '0A000' && their.error?.C !== '0A000') {
        refused = { kind: 'refused', text: refusalKind(own.error) };
        continue;
      }
      const problem = difference(own, their, order);
      if (problem !== null)
        return { kind: 'wrong', text: steps.length > 1 ? `${step.sql}: ${problem}` : problem };
    }
    return refused ?? EQUAL;
  }

  async #rollback(): Promise<void> {
    for (const client of [this.#ours, this.#theirs]) {
      if (client === null || this.#statuses.get(client) === 'I') continue;
      await this.#run(client, { sql: 'ROLLBACK' });
    }
  }
}

/** Verdicts of a run, counted. */
export class OracleTally {
  readonly constructs = new Map<string, Required<Counts> & { wrong: number }>();
  readonly reasons = new Map<string, number>();
  readonly wrongs: string[] = [];

  add(each: OracleCase, verdict: Verdict): void {
    const counts = this.constructs.get(each.construct) ?? { equal: 0, refused: 0, wrong: 0, byHome: 0 };
    this.constructs.set(each.construct, counts);
    counts[verdict.kind]++;
    if (each.isByHome === true) counts.byHome++;
    if (verdict.kind === 'refused') this.reasons.set(verdict.text, (this.reasons.get(verdict.text) ?? 0) + 1);
    if (verdict.kind === 'wrong')
      this.wrongs.push(`${each.construct}: ${describeCase(each)}\n      ${verdict.text}`);
  }

  total(kind: Verdict['kind']): number {
    return [...this.constructs.values()].reduce((sum, counts) => sum + counts[kind], 0);
  }

  get summary(): string {
    const reasons = [...this.reasons].sort((a, b) => b[1] - a[1]).map(([reason, n]) => `  ${n} × ${reason}`);
    return [
      `equal ${this.total('equal')}, refused ${this.total('refused')}, wrong ${this.total('wrong')}`,
      ...reasons,
    ].join('\n');
  }
}
