/** Numbers of proxies: no two make an id alike, whatever their clocks say and whoever loses a claim without noticing. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import {
  IdTable,
  ManualClock,
  type NodeClaimedMessage,
  SeededRandom,
  type UniqueIdTerms,
} from '@pgdog-cluster/core';
import { type ClaimSession, NodeClaims } from 'pgdog-cluster';

const STANDARD: UniqueIdTerms = { form: 'standard', node: 0, min: 0 };
const COMPACT: UniqueIdTerms = { form: 'compact', node: 0, min: 0 };
const EPOCH_MS = 1_800_000_000_000;
const LEASE_MS = 5_000;
const ROW = 3;

const newTable = (): IdTable => new IdTable(new SharedArrayBuffer(64 * 64));

describe('ids by a claimed number', () => {
  it('none without a claim, before it has been renewed, at the end of the lease', () => {
    const ids = newTable();
    assert.equal(ids.nextClaimed(ROW, 0, STANDARD), 'unclaimed');
    const lease = { node: 7, serverMs: EPOCH_MS, monotonicMs: 100, leaseMs: LEASE_MS };
    ids.claim(ROW, lease);
    assert.equal(ids.nextClaimed(ROW, 100, STANDARD), 'unclaimed');
    assert.equal(ids.renew(ROW, lease), false, 'no ms is left between a claim and its own lease');
    assert.equal(ids.renew(ROW, { ...lease, serverMs: EPOCH_MS + 1 }), true);
    const made = Array.from({ length: 4097 }, () => ids.nextClaimed(ROW, 100, STANDARD));
    assert.equal(new Set(made).size, 4097);
    assert.equal(made[4096], 'unclaimed');
    assert.equal(((made[0] as bigint) >> 12n) & 1023n, 7n);
    ids.renew(ROW, { ...lease, serverMs: EPOCH_MS + 1_000, monotonicMs: 1_100 });
    assert.equal(typeof ids.nextClaimed(ROW, 1_100, STANDARD), 'bigint');
    assert.equal(ids.nextClaimed(ROW, 1_100 + LEASE_MS, STANDARD), 'unclaimed');
    assert.equal(ids.nextClaimed(ROW, 1_100, COMPACT) !== null, true);
    ids.revoke(ROW);
    assert.equal(ids.nextClaimed(ROW, 1_100, STANDARD), 'unclaimed');
  });

  it('a number that the form has no room for is none', () => {
    const ids = newTable();
    ids.claim(ROW, { node: 64, serverMs: EPOCH_MS, monotonicMs: 0, leaseMs: LEASE_MS });
    ids.renew(ROW, { node: 64, serverMs: EPOCH_MS + 9, monotonicMs: 0, leaseMs: LEASE_MS });
    assert.equal(ids.nextClaimed(ROW, 0, COMPACT), 'unclaimed');
    assert.equal(typeof ids.nextClaimed(ROW, 0, STANDARD), 'bigint');
  });

  it('a number that goes from hand to hand makes nothing twice, whatever the clocks of the proxies say', () => {
    const random = new SeededRandom(11);
    const seen = new Map<bigint, number>();
    const proxies = Array.from({ length: 4 }, () => ({
      ids: newTable(),
      // Its clock has a beginning of its own, and a speed.
      skewMs: random.below(10_000_000),
      speed: 0.5 + random.below(1_000) / 1_000,
    }));
    let holder = -1;
    for (let step = 0, serverMs = EPOCH_MS; step < 20_000; step++) {
      serverMs += random.below(400);
      const at = random.below(proxies.length);
      const { ids, skewMs, speed } = proxies[at];
      const monotonicMs = skewMs + (serverMs - EPOCH_MS) * speed;
      const lease = { node: 9, serverMs, monotonicMs, leaseMs: LEASE_MS };
      // The lock goes to another, of which the one before learns nothing: it makes ids as long as its table lets it.
      if (holder < 0 || random.below(20) === 0) {
        holder = at;
        ids.claim(ROW, lease);
      } else if (holder === at) ids.renew(ROW, lease);
      for (let n = random.below(6); n > 0; n--) {
        const id = ids.nextClaimed(ROW, monotonicMs, COMPACT);
        if (typeof id !== 'bigint') break;
        assert.equal(seen.get(id), undefined, `${id} of proxy ${seen.get(id)} is made by ${at}`);
        seen.set(id, at);
      }
    }
    assert.ok(seen.size > 5_000, String(seen.size));
    assert.equal(new Set(seen.values()).size, proxies.length);
  });
});

/** The first shard: who has which number. */
class FakeServer {
  readonly locks = new Map<number, FakeSession>();
  isDown = false;
  opened = 0;
  readonly dead = new Set<number>();

  open(): Promise<ClaimSession> {
    if (this.isDown) return Promise.reject(new Error('down'));
    this.opened++;
    return Promise.resolve(new FakeSession(this));
  }
}

class FakeSession implements ClaimSession {
  readonly place = 'there';
  readonly #server: FakeServer;
  isClosed = false;

  constructor(server: FakeServer) {
    this.#server = server;
  }

  claim(node: number): Promise<boolean> {
    const holder = this.#server.locks.get(node);
    if (holder === undefined) this.#server.locks.set(node, this);
    return Promise.resolve(holder === undefined || holder === this);
  }

  prove(): Promise<number> {
    const isThere = !this.isClosed && !this.#server.isDown;
    return isThere ? Promise.resolve(Date.now()) : Promise.reject(new Error('lost'));
  }

  taken(): Promise<ReadonlySet<number>> {
    return Promise.resolve(new Set(this.#server.locks.keys()));
  }

  endDead(node: number): Promise<void> {
    if (this.#server.dead.has(node)) this.#server.locks.delete(node);
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.isClosed = true;
    for (const [node, holder] of this.#server.locks) if (holder === this) this.#server.locks.delete(node);
    return Promise.resolve();
  }
}

describe('claims of numbers', () => {
  const open: NodeClaims[] = [];
  // Their own timers keep no process alive.
  let isAwake: NodeJS.Timeout;
  beforeEach(() => {
    isAwake = setInterval(() => {}, 1_000);
  });
  afterEach(() => {
    clearInterval(isAwake);
    for (const claims of open.splice(0)) claims.close();
  });

  function proxy(
    server: FakeServer,
    general: { node_id: number | null; unique_id_function: 'standard' | 'compact' },
  ) {
    const ids = newTable();
    const clock = new ManualClock(1);
    const answers: NodeClaimedMessage[] = [];
    const random = new SeededRandom(3);
    let wake = (): void => {};
    const claims = new NodeClaims({
      logger: { log: () => {} } as never,
      ids,
      clock,
      below: (limit) => random.below(limit),
      open: () => server.open(),
      firstHost: () => 'a:1',
      tell: (_worker, message) => {
        answers.push(message);
        wake();
      },
    });
    open.push(claims);
    const loaded = { sharding: new Map([['shop', {}]]), general } as never;
    claims.takeUp(loaded);
    const want = async (): Promise<NodeClaimedMessage> => {
      const before = answers.length;
      const answered = new Promise<void>((resolve) => {
        wake = resolve;
      });
      claims.wanted({ type: 'nodeWanted', worker: 0, database: 'shop' });
      await answered;
      return answers[before];
    };
    return {
      ids,
      clock,
      claims,
      want,
      nodeOf: (row: number) => nodeOf(ids.nextClaimed(row, clock.nowMs(), STANDARD)),
    };
  }

  function nodeOf(id: bigint | null | 'unclaimed'): number | string | null {
    return typeof id === 'bigint' ? Number((id >> 12n) & 1023n) : id;
  }

  const ANY = { node_id: null, unique_id_function: 'standard' } as const;

  it('each proxy has another, never 0, and gives it back at its end', async () => {
    const server = new FakeServer();
    const nodes = new Set<number>();
    for (let i = 0; i < 5; i++) {
      const { want, nodeOf: nodeNow } = proxy(server, ANY);
      const { row, error } = await want();
      assert.equal(error, '');
      nodes.add(Number(nodeNow(row)));
    }
    assert.equal(nodes.size, 5);
    assert.ok(!nodes.has(0));
    assert.deepEqual(new Set(server.locks.keys()), nodes);
    for (const claims of open) claims.close();
    assert.equal(server.locks.size, 0);
  });

  it('one that is given a number that another proxy has makes none, and says so; a dead one is ended', async () => {
    const server = new FakeServer();
    const first = proxy(server, { ...ANY, node_id: 5 });
    assert.equal((await first.want()).error, '');
    const second = proxy(server, { ...ANY, node_id: 5 });
    const asked = second.want();
    second.clock.advanceMs(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    second.clock.advanceMs(4_000);
    const { row, error } = await asked;
    assert.match(error, /another proxy makes ids of node_id 5 in "shop"/);
    assert.equal(second.nodeOf(row), 'unclaimed');
    assert.equal(server.opened, 2, 'it keeps its connection');
    server.dead.add(5);
    for (let tries = 0; tries < 20 && second.nodeOf(row) !== 5; tries++) await second.want();
    assert.equal(second.nodeOf(row), 5);
  });

  it('no number is left', async () => {
    const server = new FakeServer();
    for (let node = 1; node < 64; node++) server.locks.set(node, new FakeSession(server));
    const { want, clock } = proxy(server, { ...ANY, unique_id_function: 'compact' });
    const asked = want();
    await new Promise((resolve) => setTimeout(resolve, 50));
    clock.advanceMs(4_000);
    assert.match((await asked).error, /other proxies have all numbers/);
  });

  it('a connection that is lost is made again, with the same number', async () => {
    const server = new FakeServer();
    const { want, nodeOf: nodeNow } = proxy(server, ANY);
    const { row } = await want();
    const node = nodeNow(row);
    for (const session of [...server.locks.values()]) await session.close();
    assert.equal(typeof nodeNow(row), 'number', 'what was leased lasts');
    for (let tries = 0; tries < 20 && server.opened < 2; tries++) await want();
    assert.equal((await want()).error, '');
    assert.equal(nodeNow(row), node);
    assert.equal(server.opened, 2);
  });
});
