import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BAN_FORKED,
  BAN_NOT_LEADER,
  BAN_OTHER_SYSTEM,
  BAN_SECOND_PRIMARY,
  BAN_SUPERSEDED,
  ROLE_PRIMARY,
  ROLE_REPLICA,
  ROLE_UNKNOWN,
} from '@pgdog-cluster/core';
import { type Claim, type ElectionMemory, electRoles, NO_MEMORY } from 'pgdog-cluster';

interface Said {
  recovery?: boolean;
  timeline?: number;
  lsn?: number;
  system?: string;
  at?: number;
}

function claim(
  host: number,
  { recovery = false, timeline = 1, lsn = 100, system = 's', at = 0 }: Said,
): Claim {
  return {
    host,
    measurement: {
      isInRecovery: recovery,
      timeline,
      lsn,
      systemId: system,
      replayedXactMs: 0,
      askedMs: at,
      answeredMs: at + 1,
    },
  };
}

const ALL = { isComplete: true, isWhole: true };
const SOME_LOST = { isComplete: true, isWhole: false };
const elect = (claims: Claim[], past: ElectionMemory = NO_MEMORY, reach = ALL) =>
  electRoles(claims, past, reach);

describe('electing a primary', () => {
  it('takes the one out of recovery', () => {
    const { primary, roles, fences } = elect([claim(0, { recovery: true }), claim(1, {})]);
    assert.equal(primary, 1);
    assert.deepEqual(
      [...roles],
      [
        [0, ROLE_REPLICA],
        [1, ROLE_PRIMARY],
      ],
    );
    assert.equal(fences.size, 0);
  });

  it('takes nobody before every host was tried', () => {
    const { primary, roles } = elect([claim(0, {})], NO_MEMORY, { isComplete: false, isWhole: false });
    assert.equal(primary, -1);
    assert.equal(roles.get(0), ROLE_UNKNOWN);
  });

  it('the higher timeline wins, and the other is fenced', () => {
    const { primary, roles, fences } = elect([claim(0, { lsn: 900 }), claim(1, { timeline: 2 })]);
    assert.equal(primary, 1);
    assert.equal(roles.get(0), ROLE_UNKNOWN);
    assert.equal(fences.get(0), BAN_SUPERSEDED);
  });

  it('a promotion is never forgotten: the old primary alone is still not written to', () => {
    const { memory } = elect([claim(1, { timeline: 2 })], NO_MEMORY, SOME_LOST);
    const { primary, fences } = elect([claim(0, { lsn: 900 })], memory, SOME_LOST);
    assert.equal(primary, -1);
    assert.equal(fences.get(0), BAN_SUPERSEDED);
  });

  it('a standby that follows a newer timeline, and is further, speaks against an old primary', () => {
    const standby = (lsn: number) => claim(1, { recovery: true, timeline: 2, lsn });
    assert.equal(elect([claim(0, { lsn: 100 }), standby(200)], NO_MEMORY, SOME_LOST).primary, -1);
    assert.equal(elect([claim(0, { lsn: 100 }), standby(50)], NO_MEMORY, SOME_LOST).primary, 0);
  });

  it('of two at one timeline the newer position, then whoever was it', () => {
    const first = elect([claim(0, { lsn: 100 }), claim(1, { lsn: 200 })]);
    assert.equal(first.primary, 1);
    assert.equal(first.fences.get(0), BAN_SECOND_PRIMARY);
    const second = elect([claim(0, { lsn: 900 }), claim(1, { lsn: 200 })], first.memory);
    assert.equal(second.primary, 1);
  });

  it('the primary that comes back before anybody was promoted is the primary again', () => {
    const { memory } = elect([claim(0, {}), claim(1, { recovery: true })]);
    const gone = elect([claim(1, { recovery: true })], memory, SOME_LOST);
    assert.equal(gone.primary, -1);
    assert.equal(gone.roles.get(1), ROLE_REPLICA);
    assert.equal(elect([claim(0, {}), claim(1, { recovery: true })], gone.memory).primary, 0);
  });

  it('a host of another database system is nobody', () => {
    const { primary, fences } = elect([
      claim(0, {}),
      claim(1, { recovery: true }),
      claim(2, { timeline: 9, system: 'x' }),
    ]);
    assert.equal(primary, 0);
    assert.equal(fences.get(2), BAN_OTHER_SYSTEM);
  });

  it('the system of the primary stays, unless all hosts are of another', () => {
    const { memory } = elect([claim(0, { timeline: 5 })]);
    const others = [claim(1, { system: 'x' }), claim(2, { system: 'x', recovery: true })];
    assert.equal(elect(others, memory, SOME_LOST).primary, -1);
    const replaced = elect(others, memory, ALL);
    assert.equal(replaced.primary, 1, 'timelines begin anew too');
  });

  it('servers that do not tell their system are believed', () => {
    assert.equal(elect([claim(0, { system: '' }), claim(1, { recovery: true })]).primary, 0);
  });

  it('a standby ahead of its primary has followed another, until it is set back', () => {
    const ahead = elect([claim(0, { lsn: 100, at: 10 }), claim(1, { recovery: true, lsn: 150, at: 0 })]);
    assert.equal(ahead.fences.get(1), BAN_FORKED);
    assert.equal(ahead.roles.get(1), ROLE_UNKNOWN);
    const passed = elect(
      [claim(0, { lsn: 500, at: 20 }), claim(1, { recovery: true, lsn: 150, at: 21 })],
      ahead.memory,
    );
    assert.equal(passed.fences.get(1), BAN_FORKED, 'the primary has merely passed it');
    const again = elect(
      [claim(0, { lsn: 500, at: 30 }), claim(1, { recovery: true, lsn: 90, at: 31 })],
      passed.memory,
    );
    assert.equal(again.roles.get(1), ROLE_REPLICA);
  });

  it('a standby asked after the primary may be ahead of what that said', () => {
    const { fences } = elect([claim(0, { lsn: 100, at: 0 }), claim(1, { recovery: true, lsn: 150, at: 10 })]);
    assert.equal(fences.size, 0);
  });

  it('a verdict takes the place of comparing, but makes no standby a primary', () => {
    const both = [claim(0, { timeline: 2 }), claim(1, { timeline: 1 }), claim(2, { recovery: true })];
    const said = electRoles(both, NO_MEMORY, ALL, { leader: 1 });
    assert.equal(said.primary, 1);
    assert.deepEqual([...said.fences], [[0, BAN_NOT_LEADER]]);
    const none = electRoles(both, NO_MEMORY, ALL, { leader: -1 });
    assert.deepEqual([none.primary, none.fences.size], [-1, 0]);
    const standby = electRoles(both, NO_MEMORY, ALL, { leader: 2 });
    assert.equal(standby.primary, -1);
    assert.equal(standby.roles.get(2), ROLE_REPLICA);
  });
});
