// Tenants in the supervisor: how many may be new, who is forgotten when, and the mark that keeps clients out meanwhile.
import assert from 'node:assert/strict';
import { describe, it, mock, test } from 'node:test';
import { CLAIMED, createSharedMemory, POOL_CLOSED } from '@pgdog-cluster/core';
import { Probation, type Tenant, TenantSweep } from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';

test('a closed pool takes no client, and nothing is left of the attempt', () => {
  const { capacity } = createSharedMemory({ workers: 1, poolsMax: 2, hostsMax: 1, fdMax: 64 });
  capacity.setPoolGroups(0, 0, 0);
  capacity.setPoolGroups(1, 0, 1);
  capacity.setDatabaseClientLimit(0, 1);
  capacity.setPoolClosed(0, true);
  assert.equal(capacity.tryClaimPoolClient(0, 0), POOL_CLOSED);
  assert.equal(capacity.poolClients(0), 0);
  assert.equal(capacity.clientsOf(0, 0), 0);
  assert.equal(capacity.tryClaimPoolClient(0, 1), CLAIMED, 'the only place of the database is free');
  capacity.giveBackPoolClient(0, 1);
  capacity.setPoolClosed(0, false);
  assert.equal(capacity.tryClaimPoolClient(0, 0), CLAIMED);
});

describe('probation', () => {
  it('lets in so many new names, and others as those are proven or take too long', async () => {
    mock.timers.enable({ apis: ['setInterval'] });
    let nowMs = 1000;
    const proven = new Set<string>();
    const probation = new Probation({ isProven: (name) => proven.has(name), nowMs: () => nowMs });
    const entered: string[] = [];
    const enter = (name: string) => probation.enter(name).then((isIn) => isIn && entered.push(name));
    for (let number = 0; number < 64; number++) await enter(`n${number}`);
    void enter('proven');
    void enter('left');
    void enter('late');
    await Promise.resolve();
    assert.equal(entered.length, 64);
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    proven.add('n3');
    mock.timers.tick(10);
    await settle();
    assert.deepEqual(entered.slice(64), ['proven']);
    probation.leave('n4');
    await settle();
    assert.deepEqual(entered.slice(64), ['proven', 'left']);
    nowMs += 5001;
    mock.timers.tick(10);
    await settle();
    assert.deepEqual(entered.slice(64), ['proven', 'left', 'late']);
    probation.close();
    mock.timers.reset();
  });

  it('refuses when a thousand wait, and those that wait at the end', async () => {
    const probation = new Probation({ isProven: () => false });
    const answers = Array.from({ length: 64 + 1000 }, (_, number) => probation.enter(`n${number}`));
    assert.equal(await probation.enter('one too many'), false);
    probation.close();
    assert.equal((await Promise.all(answers)).filter((isIn) => isIn).length, 64);
  });
});

describe('the sweep', () => {
  function rig(idleTimeoutMs = 1000) {
    let nowMs = 1_000_000;
    mock.timers.enable({ apis: ['setTimeout'] });
    const tenants = new Map<string, Tenant>();
    const used = new Set<number>();
    const closed = new Set<number>();
    const held = new Set<string>();
    const dropped: string[] = [];
    let whenClosing = () => {};
    const trouble: { error: Error | null } = { error: null };
    const sweep = new TenantSweep({
      capacity: {
        claimed: () => 0,
        poolClients: (pool) => (used.has(pool) ? 1 : 0),
        setPoolClosed: (pool, isClosed) => {
          if (isClosed) closed.add(pool);
          else closed.delete(pool);
          if (isClosed) whenClosing();
        },
      },
      tenants: {
        get all() {
          return tenants.values();
        },
        get: (name) => tenants.get(name),
      },
      isProven: () => false,
      isHeld: (name) => held.has(name),
      poolsOf: (name) => [Number(name.slice(1))],
      idleTimeoutMs: () => idleTimeoutMs,
      drop: async (close) => {
        const closing = close();
        if (trouble.error !== null) throw trouble.error;
        for (const { name } of closing) {
          tenants.delete(name);
          dropped.push(name);
        }
      },
      logger: new FakeLogger(),
      nowMs: () => nowMs,
    });
    const add = (name: string) =>
      tenants.set(name, { name, isMissing: false, idleSinceMs: 0 } as unknown as Tenant);
    const pass = async (ms: number) => {
      for (let left = ms; left > 0; left -= 25) {
        nowMs += 25;
        mock.timers.tick(25);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const onClosing = (act: () => void) => {
      whenClosing = act;
    };
    return { sweep, tenants, used, closed, held, dropped, add, pass, onClosing, trouble };
  }

  it('forgets what nobody has used for long, and nothing else', async () => {
    const { sweep, used, held, dropped, add, pass, tenants } = rig();
    for (const name of ['t1', 't2', 't3']) add(name);
    used.add(2);
    held.add('t3');
    sweep.wake();
    await pass(900);
    assert.deepEqual(dropped, []);
    await pass(400);
    assert.deepEqual(dropped, ['t1']);
    used.clear();
    held.clear();
    await pass(300);
    assert.deepEqual(dropped, ['t1', 't3'], 'its time ran while the order stood');
    await pass(1200);
    assert.deepEqual(dropped, ['t1', 't3', 't2']);
    assert.equal(tenants.size, 0);
    sweep.close();
    mock.timers.reset();
  });

  it('opens again what somebody has come to in between', async () => {
    const { sweep, used, closed, dropped, add, pass, onClosing } = rig();
    add('t1');
    onClosing(() => used.add(1));
    sweep.wake();
    await pass(1500);
    assert.deepEqual(dropped, []);
    assert.equal(closed.size, 0);
    onClosing(() => {});
    used.clear();
    await pass(1500);
    assert.deepEqual(dropped, ['t1']);
    sweep.close();
    mock.timers.reset();
  });

  it('opens again what could not be taken out, and tries again', async () => {
    const { sweep, closed, dropped, add, pass, trouble } = rig();
    add('t1');
    trouble.error = new RangeError('the area holds less');
    sweep.wake();
    await pass(1500);
    assert.deepEqual(dropped, []);
    assert.equal(closed.size, 0);
    trouble.error = null;
    await pass(500);
    assert.deepEqual(dropped, ['t1']);
    sweep.close();
    mock.timers.reset();
  });

  it('leaves alone what was asked for since it was looked at', async () => {
    const { sweep, tenants, dropped, add, pass } = rig();
    add('t1');
    sweep.wake();
    for (let round = 0; round < 30; round++) {
      await pass(100);
      const tenant = tenants.get('t1');
      assert.ok(tenant !== undefined);
      tenant.idleSinceMs = 0;
    }
    assert.deepEqual(dropped, []);
    sweep.close();
    mock.timers.reset();
  });

  it('forgets missing ones soon, also where idle ones stay for ever', async () => {
    const { sweep, tenants, dropped, add, pass } = rig(0);
    add('t1');
    add('t2');
    sweep.wake();
    await pass(10_000);
    tenants.get('t2')!.isMissing = true;
    sweep.hurry();
    await pass(300);
    assert.deepEqual(dropped, ['t2']);
    sweep.close();
    mock.timers.reset();
  });
});
