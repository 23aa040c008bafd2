/**
 * Somebody dies at each step of a commit over three shards: the proxy, its worker, the shard that decides, another shard, the
 * client. A second proxy, which knows nothing of it, ends what is left. Everything or nothing, and what the client was told is
 * true.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { crashWorkers } from '../../support/crash-worker.js';
import { DRIVERS, driverProblem, forEachDriver, type TestDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { SHOP, startShardedProxy } from '../../support/shard-cluster.js';
import { ShardServers } from '../../support/shard-servers.js';
import { eventually, sleep } from '../../support/wire.js';

const SCHEMA = `
  CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);
  CREATE TABLE entry (account_id bigint, transfer bigint, PRIMARY KEY (account_id, transfer));`;
const TABLES = [
  { name: 'account', column: 'id', data_type: 'bigint' },
  { name: 'entry', column: 'account_id', data_type: 'bigint' },
];
const BALANCE = 1000;
const [DECIDER, OTHER] = [0, 1];
/** Of one worker: then another proxy starts in less time than it. */
const CRASHES_MAX = 3;

/** In the order of a commit, the first two at once; `shard`: whom the statement is sent to. */
const STEPS = [
  { name: 'lock and rows', shard: DECIDER, pattern: /^SELECT pg_catalog\.pg_advisory_xact_lock/ },
  { name: 'PREPARE', shard: OTHER, pattern: /^PREPARE TRANSACTION/ },
  { name: 'the decision', shard: DECIDER, pattern: /^COMMIT$/ },
  { name: 'COMMIT PREPARED', shard: OTHER, pattern: /^COMMIT PREPARED/ },
];
const DECISION = 2;
const STOPS = ['before', 'after'] as const;
const FAULTS = ['proxy', 'worker', 'decider', 'other', 'client'] as const;

interface Scene {
  step: number;
  stop: (typeof STOPS)[number];
  fault: (typeof FAULTS)[number];
}

/**
 * Whether the decision is made in the end. A commit whose other shard or whose client dies goes on; one whose decider dies
 * does not.
 */
function isCommitted({ step, stop, fault }: Scene): boolean {
  if (fault === 'client') return true;
  if (step > DECISION) return true;
  if (step < DECISION) return false;
  return stop === 'after' || fault === 'other';
}

/** What node-postgres makes of a connection that ends without a word. */
const LOST = ['lost', 'ECONNRESET', 'EPIPE'];
const [NOTHING_KEPT, UNKNOWN] = ['08006', '08007'];

/** What a client may be told: 08006 says that nothing is kept, 08007 that the answer to the decision was lost. */
function answersOf(scene: Scene): string[] {
  const { step, fault } = scene;
  if (fault === 'proxy' || fault === 'worker' || fault === 'client') return LOST;
  if (step === DECISION && fault === 'decider') return [UNKNOWN];
  if (isCommitted(scene)) return ['COMMIT'];
  // A loss of the decider that has not been heard of when all have prepared shows at the decision.
  return step > 0 && fault === 'decider' ? [NOTHING_KEPT, UNKNOWN] : [NOTHING_KEPT];
}

let servers: ShardServers;
/** An account of each shard. */
const accounts: number[] = [];
let nextTransfer = 1;

before(async () => {
  // A commit that nobody makes durable is lost with its server.
  servers = await ShardServers.start(SCHEMA, 3, { synchronous_commit: 'off', wal_writer_delay: '10s' });
});
after(() => servers.stop());

const outcomeOf = (answer: Promise<pg.QueryResult>): Promise<string> =>
  answer.then(
    ({ command }) => command,
    (error: Error & { code?: string }) => error.code ?? 'lost',
  );

forEachDriver('steps of a commit', (driver) => {
  let proxy: TestProxy;
  let second: TestProxy;
  /** Of the one worker of `proxy`: each makes it wait longer before it starts again. */
  let crashes = 0;
  const startProxy = (): Promise<TestProxy> =>
    startShardedProxy(servers.gated, driver, {
      tables: TABLES,
      workers: 1,
      // It leaves recovery to the other one.
      general: { two_phase_recovery_interval: 3_600_000 },
    });

  before(async () => {
    second = await startShardedProxy(servers.direct, driver, {
      tables: TABLES,
      workers: 1,
      general: { two_phase_recovery_interval: 50 },
    });
    proxy = await startProxy();
    if (accounts.length === 0) await fill();
  });
  after(async () => {
    await proxy?.stop();
    await second?.stop();
  });

  async function connected(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: proxy.url(SHOP) });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async function fill(): Promise<void> {
    const client = await connected();
    for (let id = 1; id <= 30; id++) await client.query('INSERT INTO account VALUES ($1, $2)', [id, BALANCE]);
    await client.end();
    for (const [shard] of servers.servers.entries()) {
      const [row] = await servers.shard(shard, 'SELECT min(id)::int AS id FROM account');
      accounts.push(Number(row?.id));
      await servers.shard(shard, 'CHECKPOINT');
    }
  }

  /** Everything but its COMMIT; again while a shard that was killed is not used again yet. */
  async function begun(transfer: number): Promise<pg.Client> {
    let client: pg.Client | null = null;
    await eventually('a transaction over all shards', async () => {
      const one = await connected().catch(() => null);
      try {
        await one?.query('BEGIN');
        for (const [shard, id] of accounts.entries()) {
          const delta = shard === DECIDER ? -2 : 1;
          await one?.query('UPDATE account SET balance = balance + $1 WHERE id = $2', [delta, id]);
          await one?.query('INSERT INTO entry VALUES ($1, $2)', [id, transfer]);
        }
        client = one;
      } catch {
        await one?.end().catch(() => undefined);
      }
      return client !== null;
    });
    if (client === null) throw new Error('no transaction');
    return client;
  }

  /** The proxy knows that it has gone. */
  async function vanish(client: pg.Client): Promise<void> {
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await eventually('no client is left', async () => {
      const clients = await proxy.adminQuery<{ database: string }>('SHOW CLIENTS');
      return clients.every(({ database }) => database !== SHOP);
    });
  }

  async function strike({ fault, step }: Scene, client: pg.Client): Promise<void> {
    if (fault === 'proxy') {
      proxy.kill('SIGKILL');
      await proxy.exited;
      proxy = await startProxy();
    } else if (fault === 'worker') {
      await crashWorkers(proxy, 0);
      crashes++;
    } else if (fault === 'client') {
      await vanish(client);
      servers.gates[STEPS[step].shard].release();
    } else {
      await servers.kill(fault === 'decider' ? DECIDER : OTHER);
      servers.gates[STEPS[step].shard].release();
    }
  }

  async function assertWhole(scene: Scene, transfer: number, outcome: string): Promise<void> {
    await eventually('nothing is in doubt', async () => (await servers.prepared()).length === 0);
    const written = `SELECT account_id FROM entry WHERE transfer = ${transfer}`;
    // Nobody is told when it is done, on one shard after the other; before it has begun nothing is in doubt either.
    if (scene.fault === 'client')
      await eventually(
        'it is committed on all shards',
        async () => (await servers.all(written)).length >= accounts.length,
      );
    const entries = await servers.all(written);
    assert.equal(
      entries.length,
      isCommitted(scene) ? accounts.length : 0,
      `entries; the client was told ${outcome}`,
    );
    const balances = await servers.all('SELECT balance::int AS balance FROM account');
    const total = balances.reduce((sum, { balance }) => sum + Number(balance), 0);
    assert.equal(total, balances.length * BALANCE);
    assert.ok(
      answersOf(scene).includes(outcome),
      `told ${outcome} instead of ${answersOf(scene).join(' or ')}`,
    );
  }

  async function play(scene: Scene): Promise<void> {
    const { step, stop, fault } = scene;
    const { shard, pattern } = STEPS[step];
    const transfer = nextTransfer++;
    const client = await begun(transfer);
    const stopped = servers.gates[shard].stopAt(pattern, stop);
    const answer = outcomeOf(client.query('COMMIT'));
    await stopped;
    await strike(scene, client);
    const outcome = await answer;
    if (fault === 'decider') await servers.restart(DECIDER);
    if (fault === 'other') await servers.restart(OTHER);
    await assertWhole(scene, transfer, outcome);
    await client.end().catch(() => undefined);
    if (crashes < CRASHES_MAX) return;
    await proxy.stop();
    proxy = await startProxy();
    crashes = 0;
  }

  const scenes = STEPS.flatMap((_, step) =>
    STOPS.flatMap((stop) => FAULTS.map((fault) => ({ step, stop, fault }))),
  );
  for (const scene of scenes.filter((_, index) => isTurnOf(driver, index))) {
    const { step, stop, fault } = scene;
    it(`the ${fault} dies ${stop} ${STEPS[step].name}`, () => play(scene));
  }

  it('a read that is asked again behind a transaction over several shards is in none', async () => {
    const gate = servers.gates[DECIDER];
    const id = accounts[DECIDER];
    // A worker that has just started does not know yet what the catalog's functions do, and asks nothing again.
    await eventually('a read is asked again', async () => {
      const transfer = nextTransfer++;
      const client = await begun(transfer);
      await client.query('COMMIT');
      const stopped = gate.stopAt(/^SELECT balance/, 'before');
      const answer = outcomeOf(client.query(`SELECT balance FROM account WHERE id = ${id}`));
      await stopped;
      gate.cut();
      const isAnswered = (await answer) === 'SELECT';
      if (isAnswered) {
        await client.query(`INSERT INTO entry VALUES (${id}, ${-transfer})`);
        const seen = await servers.all(`SELECT 1 FROM entry WHERE transfer = ${-transfer}`);
        assert.equal(seen.length, 1, 'it is committed by itself');
      }
      await client.end().catch(() => undefined);
      return isAnswered;
    });
  });

  it('a proxy that is told to end waits for a commit whose client has gone', async () => {
    const transfer = nextTransfer++;
    const client = await begun(transfer);
    const gate = servers.gates[OTHER];
    const stopped = gate.stopAt(/^PREPARE TRANSACTION/, 'before');
    const outcome = outcomeOf(client.query('COMMIT'));
    await stopped;
    await vanish(client);
    proxy.kill('SIGTERM');
    assert.equal(await Promise.race([proxy.exited, sleep(500)]), undefined, 'it waits');
    gate.release();
    assert.equal(await proxy.exited, 0);
    await assertWhole({ step: 1, stop: 'before', fault: 'client' }, transfer, await outcome);
    proxy = await startProxy();
  });

  it('what the decider notes when recovery has given the transaction up commits nothing', async () => {
    const transfer = nextTransfer++;
    const client = await begun(transfer);
    const gate = servers.gates[DECIDER];
    const endedBefore = second.output.split('rolled back: shard 0 has not decided').length;
    const stopped = gate.stopAt(STEPS[0].pattern, 'before');
    const outcome = outcomeOf(client.query('COMMIT'));
    await stopped;
    // The others prepare meanwhile, and have a second; who looked for what they prepare could come too late.
    await eventually('recovery has ended what they prepared', async () => {
      const isEnded = second.output.split('rolled back: shard 0 has not decided').length >= endedBefore + 2;
      return isEnded && (await servers.prepared()).length === 0;
    });
    gate.release();
    assert.equal(await outcome, '40001');
    const entries = await servers.all(`SELECT 1 FROM entry WHERE transfer = ${transfer}`);
    assert.equal(entries.length, 0);
    assert.equal((await client.query('SELECT count(*)::int AS count FROM account')).rows[0].count, 30);
    await client.end();
  });

  it('COMMIT PREPARED that is cancelled is sent again', { timeout: 60_000 }, async () => {
    const transfer = nextTransfer++;
    const client = await begun(transfer);
    const gate = servers.gates[OTHER];
    const cancelled = gate.stopAt(/^COMMIT PREPARED/, { instead: '57014' });
    const outcome = outcomeOf(client.query('COMMIT'));
    await cancelled;
    await gate.stopAt(/^COMMIT PREPARED/, 'after');
    gate.release();
    assert.equal(await outcome, 'COMMIT');
    await assertWhole({ step: DECISION + 1, stop: 'after', fault: 'other' }, transfer, 'COMMIT');
    await client.end();
  });
});

/** Each scene on one of the drivers, where both run here: what a step leaves behind does not depend on it. */
function isTurnOf(driver: TestDriver, index: number): boolean {
  const isAlone =
    process.env.PGDOG_TEST_DRIVER !== undefined || DRIVERS.some((one) => driverProblem(one) !== '');
  // Steps before a statement and behind it change places with every fault.
  const turn = (index + Math.floor(index / FAULTS.length)) % 2;
  return isAlone || turn === (driver === 'epoll' ? 1 : 0);
}
