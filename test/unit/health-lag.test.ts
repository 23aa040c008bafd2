import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LagHistory } from 'pgdog-cluster';

describe('lag of a replica', () => {
  it('is unknown before anything is known of the primary', () => {
    assert.deepEqual(new LagHistory().lagOf(100, 5), { ms: -1, bytes: -1 });
  });

  it('is nothing on an idle primary, however long', () => {
    const history = new LagHistory();
    for (let ms = 0; ms <= 3_600_000; ms += 1_000) history.note(100, ms);
    assert.deepEqual(history.lagOf(100, 3_600_500), { ms: 0, bytes: 0 });
    history.note(130, 3_601_000);
    assert.deepEqual(history.lagOf(100, 3_601_100), { ms: 1_100, bytes: 30 }, 'since it was last up to date');
  });

  it('is the age of the newest position reached', () => {
    const history = new LagHistory();
    for (let second = 0; second < 10; second++) history.note(100 * (second + 1), second * 1_000);
    assert.deepEqual(history.lagOf(350, 9_500), { ms: 7_500, bytes: 650 });
    assert.deepEqual(history.lagOf(1_000, 9_500), { ms: 0, bytes: 0 });
    assert.deepEqual(history.lagOf(50, 9_500), { ms: -1, bytes: 950 }, 'older than the history');
  });

  it('does not count what the primary wrote after the replica was asked', () => {
    const history = new LagHistory();
    history.note(100, 0);
    history.note(200, 1_000);
    assert.deepEqual(history.lagOf(100, 999), { ms: 0, bytes: 0 });
  });

  it('forgets what another primary wrote', () => {
    const history = new LagHistory();
    history.note(500, 0);
    history.note(400, 1_000);
    assert.deepEqual(history.lagOf(400, 1_500), { ms: 0, bytes: 0 });
  });

  it('what a replica shows is what was committed when the primary was last asked at that position', () => {
    const history = new LagHistory();
    assert.equal(history.shownMs(100), 0, 'nothing is known');
    history.note(100, 12, 10);
    history.note(100, 1_012, 1_010);
    history.note(200, 2_012, 2_010);
    assert.equal(history.shownMs(99), 0, 'older than the history');
    assert.equal(history.shownMs(100), 1_010);
    assert.equal(history.shownMs(199), 1_010);
    assert.equal(history.shownMs(200), 2_010);
    assert.equal(history.shownMs(999), 2_010, 'ahead of what is known of the primary');
  });

  it('stays bounded, and errs towards longer', () => {
    const history = new LagHistory();
    for (let step = 1; step <= 100_000; step++) history.note(step * 10, step * 100);
    const { ms, bytes } = history.lagOf(10 * 50_000, 100 * 100_000 + 50);
    assert.equal(bytes, 10 * 50_000);
    assert.ok(ms >= 100 * 50_000 && ms < 100 * 53_000, `${ms} ms`);
  });
});
