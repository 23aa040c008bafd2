import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BAN_CONNECT_FAILED,
  BAN_CONNECTION_LOST,
  BAN_NONE,
  BAN_PROBE_FAILED,
  BAN_REPLICA_LAG,
  BAN_SUPERSEDED,
  BAN_UNCHECKED,
  HEALTH_FAILING,
  HEALTH_GOOD,
  HEALTH_UNKNOWN,
} from '@pgdog-cluster/core';
import { type BanEvent, banReasonOf, banUntilMsOf, initialBanState, nextBanState } from 'pgdog-cluster';

const BAN_MS = 1_000;
const pass: BanEvent = { type: 'passed' };
const fail: BanEvent = { type: 'failed', reason: BAN_PROBE_FAILED, isSure: false };
const sure: BanEvent = { type: 'failed', reason: BAN_CONNECTION_LOST, isSure: true };
const evidence: BanEvent = { type: 'evidence', reason: BAN_CONNECT_FAILED };
const beyond: BanEvent = { type: 'lag', is: 'beyond' };
const between: BanEvent = { type: 'lag', is: 'between' };
const back: BanEvent = { type: 'lag', is: 'back' };
const fence: BanEvent = { type: 'fenced', reason: BAN_SUPERSEDED };
const free: BanEvent = { type: 'fenced', reason: BAN_NONE };
const forgiven: BanEvent = { type: 'forgiven' };

/** Each event 10 ms after the last; a number: so many ms more. */
function play(events: (BanEvent | number)[], isCheckRequired = false) {
  let state = initialBanState(isCheckRequired);
  let nowMs = 0;
  for (const event of events) {
    if (typeof event === 'number') nowMs += event;
    else {
      nowMs += 10;
      state = nextBanState(state, event, nowMs, BAN_MS);
    }
  }
  return { reason: banReasonOf(state), health: state.health, untilMs: banUntilMsOf(state) };
}

const TABLE: [string, (BanEvent | number)[], number, number][] = [
  ['nothing yet', [], BAN_NONE, HEALTH_UNKNOWN],
  ['a pass', [pass], BAN_NONE, HEALTH_GOOD],
  ['one failure', [fail], BAN_NONE, HEALTH_UNKNOWN],
  ['one failure of a healthy one', [pass, fail], BAN_NONE, HEALTH_GOOD],
  ['a failure between passes', [fail, pass, fail], BAN_NONE, HEALTH_GOOD],
  ['two failures', [fail, fail], BAN_PROBE_FAILED, HEALTH_FAILING],
  ['a sure failure', [pass, sure], BAN_CONNECTION_LOST, HEALTH_FAILING],
  ['time alone lifts nothing', [fail, fail, 10 * BAN_MS], BAN_PROBE_FAILED, HEALTH_FAILING],
  ['one pass is not enough', [fail, fail, pass], BAN_PROBE_FAILED, HEALTH_FAILING],
  ['two passes are', [fail, fail, pass, pass], BAN_NONE, HEALTH_GOOD],
  ['two passes in a row', [fail, fail, pass, fail, pass], BAN_PROBE_FAILED, HEALTH_FAILING],
  ['the reason is the latest', [fail, fail, sure], BAN_CONNECTION_LOST, HEALTH_FAILING],
  ['evidence against a healthy host', [pass, evidence], BAN_CONNECT_FAILED, HEALTH_GOOD],
  ['passes prove nothing before the time', [evidence, pass, pass, pass], BAN_CONNECT_FAILED, HEALTH_GOOD],
  ['time proves nothing without a pass', [evidence, 2 * BAN_MS], BAN_CONNECT_FAILED, HEALTH_UNKNOWN],
  ['time and a pass', [evidence, 2 * BAN_MS, pass], BAN_NONE, HEALTH_GOOD],
  ['evidence, then a check that fails', [evidence, fail], BAN_PROBE_FAILED, HEALTH_FAILING],
  ['evidence adds nothing to a failing host', [fail, fail, evidence], BAN_PROBE_FAILED, HEALTH_FAILING],
  ['lag', [pass, beyond], BAN_REPLICA_LAG, HEALTH_GOOD],
  ['less lag', [pass, beyond, between], BAN_REPLICA_LAG, HEALTH_GOOD],
  ['little lag', [pass, beyond, between, back], BAN_NONE, HEALTH_GOOD],
  ['a little lag bans nobody', [pass, between], BAN_NONE, HEALTH_GOOD],
  ['failing counts before lag', [beyond, fail, fail], BAN_PROBE_FAILED, HEALTH_FAILING],
  ['lag is still there afterwards', [beyond, fail, fail, pass, pass], BAN_REPLICA_LAG, HEALTH_GOOD],
  ['a fence counts before all', [beyond, fail, fail, fence], BAN_SUPERSEDED, HEALTH_FAILING],
  ['passing opens no fence', [fence, pass, pass], BAN_SUPERSEDED, HEALTH_GOOD],
  ['a fence that is gone', [fence, pass, free], BAN_NONE, HEALTH_GOOD],
  ['UNBAN', [fail, fail, forgiven], BAN_NONE, HEALTH_UNKNOWN],
  ['UNBAN after evidence', [pass, evidence, forgiven], BAN_NONE, HEALTH_GOOD],
  ['UNBAN opens no fence', [fence, forgiven], BAN_SUPERSEDED, HEALTH_UNKNOWN],
];

describe('bans', () => {
  for (const [name, events, reason, health] of TABLE) {
    it(name, () => {
      const end = play(events);
      assert.deepEqual({ reason: end.reason, health: end.health }, { reason, health });
    });
  }

  it('a host that comes and goes must pass twice as often each time, until it has been well for a minute', () => {
    const passesToLift = (before: (BanEvent | number)[]): number => {
      for (let count = 1; count < 1000; count++)
        if (play([...before, ...Array<BanEvent>(count).fill(pass)]).reason === BAN_NONE) return count;
      return 0;
    };
    const events: (BanEvent | number)[] = [];
    for (const wanted of [2, 4, 8, 16, 32, 64, 64]) {
      events.push(fail, fail);
      assert.equal(passesToLift(events), wanted);
      events.push(...Array<BanEvent>(wanted).fill(pass), 30_000);
    }
    assert.equal(passesToLift([...events, fail, fail, forgiven, fail, fail]), 2, 'UNBAN forgets it');
    assert.equal(passesToLift([...events, 31_000, fail, fail]), 2);
  });

  it('a host that must be checked first is banned until it has passed', () => {
    assert.equal(play([], true).reason, BAN_UNCHECKED);
    assert.equal(play([fail], true).reason, BAN_UNCHECKED);
    assert.equal(play([pass], true).reason, BAN_NONE);
    assert.equal(play([forgiven], true).reason, BAN_NONE);
  });

  it('only a ban by evidence has a time', () => {
    assert.equal(play([evidence]).untilMs, 10 + BAN_MS);
    assert.equal(play([fail, fail]).untilMs, 0);
    assert.equal(play([evidence, fence]).untilMs, 0);
  });

  it('every state takes every event', () => {
    const events = [pass, fail, sure, evidence, beyond, between, back, fence, free, forgiven];
    const seen = new Map<string, ReturnType<typeof initialBanState>>();
    const queue = [initialBanState(false), initialBanState(true)];
    for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
      // Counts beyond those that decide are all the same.
      const { failures, passes, ...rest } = state;
      const key = JSON.stringify([rest, Math.min(failures, 3), Math.min(passes, 3)]);
      if (seen.has(key)) continue;
      seen.set(key, state);
      for (const event of events)
        for (const nowMs of [0, 5 * BAN_MS]) queue.push(nextBanState(state, event, nowMs, BAN_MS));
      // What a state says must fit together.
      if (state.health === HEALTH_FAILING) assert.notEqual(state.failure, null);
      if (state.failure === null && state.fence === BAN_NONE)
        assert.ok([0, BAN_REPLICA_LAG, BAN_UNCHECKED].includes(banReasonOf(state)));
    }
    assert.ok(seen.size > 50, `${seen.size} states`);
  });
});
