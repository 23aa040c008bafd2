/**
 * A bank on three shards behind two proxies, whose clients move money between accounts while proxies, workers, shards and
 * connections die, one after the other, as a seed has it. Money stays; a transfer is whole or not there; one that was
 * confirmed is there; once recovery has run nothing is in doubt.
 */
import assert from 'node:assert/strict';
import pg from 'pg';
import { crashWorkers } from '../support/crash-worker.js';
import { driverOfSeed } from '../support/drivers.js';
import type { TestProxy } from '../support/proxy.js';
import { SHOP, startShardedProxy } from '../support/shard-cluster.js';
import { ShardServers } from '../support/shard-servers.js';
import { eventually, sleep } from '../support/wire.js';
import { Chance } from './chance.js';

const SCHEMA = `
  CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);
  CREATE TABLE entry (account_id bigint, transfer bigint, delta int, PRIMARY KEY (account_id, transfer));`;
const TABLES = [
  { name: 'account', column: 'id', data_type: 'bigint' },
  { name: 'entry', column: 'account_id', data_type: 'bigint' },
];
const ACCOUNTS = 24;
const BALANCE = 100;
const SHARDS = 3;
const CLIENTS_PER_PROXY = 3;
/** Between two transfers of a client, at most: whoever is started again needs the processor, too. */
const PAUSE_MS_MAX = 30;
/** Rounds between two looks at all the money. */
const ROUNDS_PER_LOOK = 10;
const EXTRA_ROUNDS_MAX = 30;
/** A part that is never ended fails the run; a machine that is slow does not. */
const PATIENCE_MS = 120_000;
/** Of a COMMIT over several shards it says so; what is on one shard may be there, as with any server that is lost. */
const NOTHING_KEPT = '08006';

export const FAULTS = ['a proxy', 'a worker', 'a shard', 'the connections of a shard'] as const;
type Fault = (typeof FAULTS)[number];

/** How often each fault is drawn before another draw begins: a few rounds have them all. */
const TURNS = 2;
/** Of a proxy that has ended a part of a transaction that somebody has left (supervisor/two-phase). */
const ENDED_BY_RECOVERY = /on shard \d+ (committed|rolled back): shard \d+ has/g;

export interface CrashReport {
  rounds: number;
  confirmed: number;
  /** Parts of transactions that somebody who died had left prepared, and that recovery has ended. */
  recovered: number;
  faults: Record<Fault, number>;
}

export class ShardCrashes {
  readonly #servers: ShardServers;
  readonly #proxies: TestProxy[] = [];
  readonly #chance: Chance;
  /** The shard of each account. */
  readonly #homes = new Map<number, number>();
  readonly #confirmed = new Set<number>();
  /** Transfers of which a client was told that nothing is kept. */
  readonly #denied = new Set<number>();
  /** Answers to COMMIT that there cannot be. */
  readonly #odd: string[] = [];
  /** Faults that are still to come before all have had their turn again. */
  #bag: Fault[] = [];
  /** By proxies that have gone. */
  #recoveredBefore = 0;
  /** Transfers that each proxy has confirmed. */
  readonly #served: number[] = [0, 0];
  #nextTransfer = 1;
  #isOpen = true;
  #tellers: Promise<void>[] = [];
  readonly report: CrashReport = {
    rounds: 0,
    confirmed: 0,
    recovered: 0,
    faults: { 'a proxy': 0, 'a worker': 0, 'a shard': 0, 'the connections of a shard': 0 },
  };

  private constructor(servers: ShardServers, seed: number) {
    this.#servers = servers;
    this.#chance = new Chance(seed);
  }

  static async start(seed: number): Promise<ShardCrashes> {
    const bank = new ShardCrashes(await ShardServers.start(SCHEMA, SHARDS), seed);
    for (const [index] of bank.#served.entries()) await bank.#startProxy(index);
    const filler = new pg.Client({ connectionString: bank.#proxies[0].url(SHOP) });
    await filler.connect();
    for (let id = 1; id <= ACCOUNTS; id++)
      await filler.query('INSERT INTO account VALUES ($1, $2)', [id, BALANCE]);
    await filler.end();
    for (let shard = 0; shard < SHARDS; shard++)
      for (const { id } of await bank.#servers.shard(shard, 'SELECT id::int AS id FROM account'))
        bank.#homes.set(Number(id), shard);
    return bank;
  }

  async #startProxy(index: number): Promise<void> {
    const driver = driverOfSeed(index);
    if (driver === undefined) throw new Error('no driver runs here');
    this.#proxies[index] = await startShardedProxy(this.#servers.direct, driver, {
      tables: TABLES,
      workers: 1,
      general: { two_phase_recovery_interval: 50 },
    });
  }

  async stop(): Promise<void> {
    await this.#close();
    for (const proxy of this.#proxies) await proxy?.stop();
    await this.#servers.stop();
  }

  // Clients.

  #open(): void {
    this.#isOpen = true;
    this.#tellers = this.#served.flatMap((_, proxy) =>
      Array.from({ length: CLIENTS_PER_PROXY }, (_, client) =>
        this.#teller(proxy, this.#chance.fork(this.report.rounds * 100 + proxy * 10 + client)),
      ),
    );
  }

  /** Throws when a client hangs. */
  async #close(): Promise<void> {
    this.#isOpen = false;
    let openCount = this.#tellers.length;
    for (const teller of this.#tellers) void teller.then(() => openCount--);
    await eventually('every client has an answer', async () => openCount === 0, PATIENCE_MS);
    this.#tellers = [];
  }

  async #teller(proxy: number, chance: Chance): Promise<void> {
    while (this.#isOpen) {
      const client = new pg.Client({ connectionString: this.#proxies[proxy].url(SHOP) });
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (this.#isOpen) {
          await this.#transfer(client, proxy, chance);
          await sleep(chance.between(0, PAUSE_MS_MAX));
        }
      } catch {
        // Somebody has died: whatever has become of it, the next one is on another connection.
        await sleep(20);
      }
      await client.end().catch(() => undefined);
    }
  }

  async #transfer(client: pg.Client, proxy: number, chance: Chance): Promise<void> {
    const transfer = this.#nextTransfer++;
    const source = chance.between(1, ACCOUNTS);
    const target = 1 + ((source + chance.between(0, ACCOUNTS - 2)) % ACCOUNTS);
    // In the order of their numbers: no two wait for each other on two shards.
    const order = [source, target].sort((a, b) => a - b);
    await client.query('BEGIN');
    for (const id of order) {
      const delta = id === source ? -1 : 1;
      await client.query('UPDATE account SET balance = balance + $1 WHERE id = $2', [delta, id]);
      await client.query('INSERT INTO entry VALUES ($1, $2, $3)', [id, transfer, delta]);
    }
    // Who calls takes any error for a death.
    const { command } = await client.query('COMMIT').catch((error: Error & { code?: string }) => {
      const isOverSeveral = this.#homes.get(source) !== this.#homes.get(target);
      if (error.code === NOTHING_KEPT && isOverSeveral) this.#denied.add(transfer);
      throw error;
    });
    if (command !== 'COMMIT') this.#odd.push(`${command} of ${transfer}`);
    this.#confirmed.add(transfer);
    this.#served[proxy]++;
  }

  // Rounds.

  /**
   * So many rounds, and more while nobody who died has left anything to recovery: whether one does is a matter of the moment.
   *
   * @param onLook told of the report whenever all has been looked at
   */
  async run(rounds: number, onLook = (_report: CrashReport): void => undefined): Promise<CrashReport> {
    const isOver = (): boolean =>
      this.report.rounds >= rounds + EXTRA_ROUNDS_MAX || this.report.recovered > 0;
    while (this.report.rounds < rounds || !isOver()) {
      if (this.#tellers.length === 0) this.#open();
      await this.#round();
      if (this.report.rounds % ROUNDS_PER_LOOK !== 0 && this.report.rounds < rounds) continue;
      await this.#close();
      await this.#verify();
      this.report.confirmed = this.#confirmed.size;
      onLook(this.report);
    }
    return this.report;
  }

  async #round(): Promise<void> {
    const before = [...this.#served];
    await eventually(
      'both proxies serve',
      async () => this.#served.every((count, proxy) => count > (before[proxy] ?? 0)),
      PATIENCE_MS,
    );
    // A moment later it is before or behind the decision.
    await this.#untilPrepared();
    const fault = this.#nextFault();
    await this.#strike(fault);
    this.report.faults[fault]++;
    this.report.rounds++;
  }

  /** Each as often as the others, in an order by chance. */
  #nextFault(): Fault {
    if (this.#bag.length === 0) this.#bag = Array.from({ length: TURNS }, () => FAULTS).flat();
    const index = this.#chance.between(0, this.#bag.length - 1);
    return this.#bag.splice(index, 1)[0];
  }

  async #untilPrepared(): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    while ((await this.#servers.prepared()).length === 0)
      assert.ok(performance.now() < deadlineMs, 'nothing is ever prepared');
  }

  async #strike(fault: Fault): Promise<void> {
    const chance = this.#chance;
    const shard = chance.between(0, SHARDS - 1);
    const index = chance.between(0, this.#served.length - 1);
    if (fault === 'a proxy') {
      const proxy = this.#proxies[index];
      proxy.kill('SIGKILL');
      await proxy.exited;
      this.#recoveredBefore += recoveredBy(proxy);
      await this.#startProxy(index);
    } else if (fault === 'a worker') await crashWorkers(this.#proxies[index], 0);
    else if (fault === 'a shard') {
      await this.#servers.kill(shard);
      await this.#servers.restart(shard);
    } else await this.#servers.shard(shard, CUT);
  }

  // What must hold.

  async #verify(): Promise<void> {
    await eventually(
      'nothing is in doubt',
      async () => (await this.#servers.prepared()).length === 0,
      PATIENCE_MS,
    );
    // First, for it tells which half is missing.
    assert.deepEqual(await this.#servers.all(UNLIKE), [], 'balances that are not the sum of their entries');
    const balances = await this.#servers.all('SELECT balance::int AS balance FROM account');
    const total = balances.reduce((sum, { balance }) => sum + Number(balance), 0);
    assert.equal(total, ACCOUNTS * BALANCE, 'money has come or gone');
    const parts = new Map<number, number>();
    for (const { transfer } of await this.#servers.all('SELECT transfer::int AS transfer FROM entry'))
      parts.set(Number(transfer), (parts.get(Number(transfer)) ?? 0) + 1);
    const halves = [...parts].filter(([, count]) => count !== 2);
    assert.deepEqual(halves, [], 'transfers that are half there');
    assert.deepEqual(this.#odd, [], 'answers to COMMIT');
    const kept = [...this.#denied].filter((transfer) => parts.has(transfer));
    assert.deepEqual(kept, [], 'transfers of which the client was told that nothing is kept');
    const lost = [...this.#confirmed].filter((transfer) => !parts.has(transfer));
    assert.deepEqual(lost, [], 'transfers that were confirmed and are gone');
    await eventually(
      'no transaction is left open',
      async () => (await this.#servers.all(OPEN)).length === 0,
      PATIENCE_MS,
    );
    this.report.recovered = this.#proxies.reduce(
      (sum, proxy) => sum + recoveredBy(proxy),
      this.#recoveredBefore,
    );
  }
}

const recoveredBy = ({ output }: TestProxy): number => output.match(ENDED_BY_RECOVERY)?.length ?? 0;

const OTHERS = "backend_type = 'client backend' AND pid <> pg_backend_pid()";
const CUT = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${OTHERS}`;
const OPEN = `SELECT pid FROM pg_stat_activity WHERE ${OTHERS} AND state LIKE 'idle in transaction%'`;
const UNLIKE = `SELECT a.id::int, a.balance::int, ${BALANCE} + coalesce(sum(e.delta), 0)::int AS of_entries,
  array_agg(e.transfer ORDER BY e.transfer DESC) AS transfers
  FROM account a LEFT JOIN entry e ON e.account_id = a.id GROUP BY a.id, a.balance
  HAVING a.balance <> ${BALANCE} + coalesce(sum(e.delta), 0)`;
