/**
 * Sessions that write and then read what they wrote, each in ways drawn by chance, while standbys lag and their replay
 * stops and goes on. Whatever a read shows that is older than its session's last write is stale.
 */
import assert from 'node:assert/strict';
import type { TestDriver } from '../support/drivers.js';
import { B, c, d, E, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient, RawResult } from '../support/raw-client.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { startRoutedProxy, untilStandbysServe } from '../support/routed-proxy.js';
import { clientOf, run, sleep } from '../support/wire.js';
import { Chance } from './chance.js';

const PAIR_CLIENTS = 8;
/** Of the two standbys. Both lag, by different times: a read that goes to either too early is stale. */
const DELAYS_MS = [15, 40];
const READ_YOUR_WRITES_MS = 400;

export interface PairsReport {
  pairs: number;
  /** Reads that a standby answered: allowed as soon as it shows the write. */
  onStandbys: number;
  stale: string[];
  /** How often the replay of a standby stood still for a while. */
  stops: number;
}

export async function startLaggingCluster(): Promise<ReplicationCluster> {
  const cluster = await ReplicationCluster.start({
    // A standby that is never done with what it has been sent soon has no patience left with whoever reads, and ends the
    // sessions whose snapshots are in its way: it waits for them instead.
    settings: { max_standby_streaming_delay: '-1' },
    initSql: `CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO counter SELECT n, 0 FROM generate_series(1, ${PAIR_CLIENTS}) AS n;
      CREATE TABLE copied (id int, n int);
      CREATE FUNCTION raise_counter(which int) RETURNS int LANGUAGE sql AS
        'UPDATE counter SET n = n + 1 WHERE id = which RETURNING n';
      CREATE FUNCTION look(which int) RETURNS int STABLE LANGUAGE sql AS
        'SELECT n FROM counter WHERE id = which';`,
  });
  for (const [index, standby] of cluster.standbys.entries())
    await standby.set('recovery_min_apply_delay', `${DELAYS_MS[index]}ms`);
  return cluster;
}

/** Reads go to standbys alone as long as these may serve. */
export async function startPairsProxy(
  cluster: ReplicationCluster,
  driver: TestDriver,
  mode: string,
): Promise<TestProxy> {
  const proxy = await startRoutedProxy(cluster, driver, {
    general: {
      read_your_writes: mode,
      read_your_writes_ms: READ_YOUR_WRITES_MS,
      read_write_split: 'exclude_primary',
      load_balancing_strategy: 'round_robin',
    },
  });
  await untilStandbysServe(proxy, cluster);
  return proxy;
}

const update = (id: number, n: number): string => `UPDATE counter SET n = ${n} WHERE id = ${id}`;
const lookSql = (id: number | '$1'): string =>
  `SELECT n, current_setting('cluster_name') FROM counter WHERE id = ${id}`;
const simple = (sql: string): Buffer[] => [Q(sql)];
const extended = (sql: string): Buffer[] => [P('', sql), B('', ''), E(''), S()];

async function send(client: RawClient, readyCount: number, ...parts: Buffer[]): Promise<RawResult> {
  client.send(...parts);
  const result = await client.readUntilReady(readyCount);
  assert.equal(result.error, null, JSON.stringify(result.error));
  return result;
}

type Write = (client: RawClient, id: number, n: number) => Promise<unknown>;

/** Every way to write that a proxy must notice. Each leaves `n` in the counter. */
const WRITES: Record<string, Write> = {
  'a query': (client, id, n) => run(client, update(id, n)),
  'an extended query': (client, id, n) =>
    send(
      client,
      1,
      P('', 'UPDATE counter SET n = $1 WHERE id = $2'),
      B('', '', { values: [String(n), String(id)] }),
      E(''),
      S(),
    ),
  'a transaction': (client, id, n) => run(client, 'BEGIN', update(id, n), 'COMMIT'),
  'a transaction that reads first': (client, id, n) =>
    run(client, 'BEGIN', `SELECT n FROM counter WHERE id = ${id}`, update(id, n), 'END'),
  'several statements': (client, id, n) => run(client, `SELECT 1; ${update(id, n)}; SELECT 2`),
  'a transaction in one query': (client, id, n) => run(client, `BEGIN; ${update(id, n)}; COMMIT`),
  'a write hidden in WITH': (client, id, n) =>
    run(client, `WITH changed AS (${update(id, n)} RETURNING n) SELECT n FROM changed`),
  'a function that writes': (client, id, n) => run(client, update(id, n - 1), `SELECT raise_counter(${id})`),
  'a pipelined transaction': (client, id, n) =>
    send(client, 3, ...['BEGIN', update(id, n), 'COMMIT'].flatMap(extended)),
  COPY: async (client, id, n) => {
    await send(client, 1, Q(`COPY copied FROM STDIN`), d(`${id}\t${n}\n`), c());
    await run(client, update(id, n));
  },
};

type Read = (client: RawClient, id: number) => Promise<RawResult>;

async function last(client: RawClient, statements: string[], wanted: number): Promise<RawResult> {
  let found: RawResult | undefined;
  for (const [place, sql] of statements.entries()) {
    const result = await client.query(sql);
    assert.equal(result.error, null, JSON.stringify(result.error));
    if (place === wanted) found = result;
  }
  assert.ok(found !== undefined);
  return found;
}

/** Every way to read that may go to a standby. The first row has the counter and the host. `look` is prepared, in both ways. */
const READS: Record<string, Read> = {
  'a query': (client, id) => send(client, 1, ...simple(lookSql(id))),
  'an extended query': (client, id) => send(client, 1, ...extended(lookSql(id))),
  'a prepared statement': (client, id) =>
    send(client, 1, B('', 'look', { values: [String(id)] }), E(''), S()),
  EXECUTE: (client, id) => send(client, 1, ...simple(`EXECUTE look_too(${id})`)),
  'a function that reads': (client, id) =>
    send(client, 1, ...simple(`SELECT look(${id}), current_setting('cluster_name')`)),
  'a READ ONLY transaction': (client, id) => last(client, ['BEGIN READ ONLY', lookSql(id), 'COMMIT'], 1),
  'a cursor': (client, id) =>
    last(client, ['BEGIN READ ONLY', `DECLARE place CURSOR FOR ${lookSql(id)}`, 'FETCH place', 'COMMIT'], 2),
};

/** Nobody waits for the write's answer before the read is sent. */
const BEHIND: Record<string, (sql: string) => Buffer[]> = { simple, extended };

class Pairs {
  readonly report: PairsReport = { pairs: 0, onStandbys: 0, stale: [], stops: 0 };
  readonly #port: number;
  #isOver = false;

  constructor(port: number) {
    this.#port = port;
  }

  async client(id: number, count: number, chance: Chance): Promise<void> {
    const client = await clientOf({ port: this.#port });
    try {
      await send(client, 1, P('look', lookSql('$1'), [23]), S());
      await run(client, `PREPARE look_too(int) AS ${lookSql('$1')}`);
      for (let n = 1; n <= count; n++) await this.#pair(client, id, n, chance);
    } finally {
      await client.end();
    }
  }

  async #pair(client: RawClient, id: number, n: number, chance: Chance): Promise<void> {
    if (chance.is(10)) {
      const [name, parts] = chance.pick(Object.entries(BEHIND));
      const both = [...parts(update(id, n)), ...parts(lookSql(id))];
      return this.#note(await send(client, 2, ...both), n, `right behind its write, ${name}`);
    }
    const [writeName, write] = chance.pick(Object.entries(WRITES));
    await write(client, id, n);
    // Every so often time enough for standbys to catch up and be used.
    if (chance.is(4)) await sleep(READ_YOUR_WRITES_MS + chance.between(1, 200));
    else if (chance.is(10)) await sleep(chance.between(1, 60));
    const [readName, read] = chance.pick(Object.entries(READS));
    this.#note(await read(client, id), n, `${readName} after ${writeName}`);
  }

  #note({ rows }: RawResult, n: number, what: string): void {
    const [seen, host] = rows[0];
    this.report.pairs++;
    if (host !== 'primary') this.report.onStandbys++;
    if (Number(seen) !== n) this.report.stale.push(`${what}: ${seen} instead of ${n}, on ${host}`);
  }

  /** Stops the replay of one standby at a time, for less and for more than what reads wait for. */
  async stopReplay({ standbys }: ReplicationCluster, chance: Chance): Promise<void> {
    while (!this.#isOver) {
      await sleep(chance.between(100, 1000));
      const standby = chance.pick(standbys);
      await standby.pauseReplay();
      this.report.stops++;
      await sleep(chance.between(20, 3 * READ_YOUR_WRITES_MS));
      await standby.resumeReplay();
    }
  }

  end(): void {
    this.#isOver = true;
  }
}

/** `count` pairs over all clients through the proxy at `port`. */
export async function runPairs(
  cluster: ReplicationCluster,
  port: number,
  count: number,
  seed: number,
): Promise<PairsReport> {
  await cluster.primary.query('UPDATE counter SET n = 0');
  await cluster.untilCaughtUp();
  const pairs = new Pairs(port);
  const chance = new Chance(seed);
  const each = Math.ceil(count / PAIR_CLIENTS);
  const stopping = pairs.stopReplay(cluster, chance.fork(0));
  const clients = Array.from({ length: PAIR_CLIENTS }, (_, index) =>
    pairs.client(index + 1, each, chance.fork(index + 1)),
  );
  await Promise.all(clients).finally(() => pairs.end());
  await stopping;
  return pairs.report;
}
