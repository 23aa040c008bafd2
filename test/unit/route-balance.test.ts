// Which of several hosts: each strategy, on counts in shared memory that the test writes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BalancingStrategy, createSharedMemory } from '@pgdog-cluster/core';
import { Balance } from '@pgdog-cluster/worker';

const WORKERS = 3;
const PICKS = 3000;

function setUp(weights: number[]) {
  const { hosts } = createSharedMemory({ workers: WORKERS, poolsMax: 1, hostsMax: 8, fdMax: 64 });
  const candidates = weights.map((lbWeight, hostIndex) => ({ hostIndex, lbWeight, credit: 0 }));
  const balance = new Balance(hosts, 1);
  const pick = (strategy: BalancingStrategy) => balance.pick(strategy, candidates, candidates.length);
  const shares = (strategy: BalancingStrategy) => {
    const counts = weights.map(() => 0);
    for (let i = 0; i < PICKS; i++) counts[pick(strategy)]++;
    return counts;
  };
  return { hosts, pick, shares };
}

describe('balance', () => {
  it('random: about the same for all', () => {
    for (const share of setUp([1, 1, 1]).shares('random')) assert.ok(share > 800 && share < 1200, `${share}`);
  });

  it('round_robin: exactly the same for all', () => {
    assert.deepEqual(setUp([1, 1, 1]).shares('round_robin'), [1000, 1000, 1000]);
  });

  it('weighted_round_robin: by weight, and never many in a row', () => {
    const { shares, pick } = setUp([200, 50, 50]);
    assert.deepEqual(shares('weighted_round_robin'), [2000, 500, 500]);
    const row = Array.from({ length: 6 }, () => pick('weighted_round_robin'));
    assert.equal(row.filter((host) => host === 0).length, 4);
    assert.notDeepEqual(row.slice(0, 4), [0, 0, 0, 0]);
  });

  it('weighted_round_robin: weight 0 is left out, unless all have it', () => {
    assert.deepEqual(setUp([255, 0]).shares('weighted_round_robin'), [PICKS, 0]);
    assert.deepEqual(setUp([0, 0]).shares('weighted_round_robin'), [PICKS / 2, PICKS / 2]);
  });

  it('least_active_connections: statements of all workers count', () => {
    const { hosts, pick, shares } = setUp([1, 1, 1]);
    assert.deepEqual(shares('least_active_connections'), [1000, 1000, 1000]);
    hosts.addInFlight(0, 0, 1);
    hosts.addInFlight(2, 1, 1);
    for (let i = 0; i < 10; i++) assert.equal(pick('least_active_connections'), 2);
    hosts.addInFlight(1, 2, 1);
    hosts.addInFlight(1, 2, 1);
    hosts.addInFlight(0, 0, -1);
    for (let i = 0; i < 10; i++) assert.equal(pick('least_active_connections'), 0);
  });

  it('fastest: latency times statements under way, and nobody is starved for ever', () => {
    const { hosts, shares } = setUp([1, 1, 1]);
    for (let i = 0; i < 50; i++) {
      hosts.noteStatement(1, 0, 100);
      hosts.noteStatement(1, 1, 100);
      hosts.noteStatement(1, 2, 5000);
    }
    const [first, second, slow] = shares('fastest');
    assert.equal(slow, 0);
    assert.ok(first > 1200 && second > 1200, `${first} ${second}`);
    for (let i = 0; i < 60; i++) hosts.addInFlight(0, 0, 1);
    for (let i = 0; i < 60; i++) hosts.addInFlight(0, 1, 1);
    assert.ok(shares('fastest')[2] > 1500, 'a slow host is better than two crowded ones');
  });

  it('a peak of latency is believed at once, its end by and by', () => {
    const { hosts } = setUp([1]);
    hosts.noteStatement(1, 0, 100);
    hosts.noteStatement(1, 0, 10_000);
    assert.equal(hosts.statementLatencyUs(1, 0), 10_000);
    hosts.noteStatement(1, 0, 100);
    const after = hosts.statementLatencyUs(1, 0);
    assert.ok(after < 10_000 && after > 5000, `${after}`);
    for (let i = 0; i < 100; i++) hosts.noteStatement(1, 0, 100);
    assert.ok(hosts.statementLatencyUs(1, 0) < 200);
  });
});
