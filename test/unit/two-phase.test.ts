import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endingOf, type KnownShard, obstacleTo, parseGid, wrongShard } from 'pgdog-cluster';

test('names that workers write are read', () => {
  assert.deepEqual(parseGid('pgdog:17:0:2'), { gid: 'pgdog:17:0:2', id: '17', decider: 0, shard: 2 });
  const longest = 'pgdog:9223372036854775807:65535:1';
  assert.deepEqual(parseGid(longest), { gid: longest, id: '9223372036854775807', decider: 65_535, shard: 1 });
});

for (const gid of [
  '',
  'pgdog',
  'pgdog:',
  'pgdog:17',
  'pgdog:17:0',
  'pgdog:17:0:2:1',
  'pgdog:17:0:',
  'pgdog::0:2',
  'pgdog:017:0:2',
  'pgdog:+17:0:2',
  'pgdog:-17:0:2',
  'pgdog: 17:0:2',
  'pgdog:17:0:2 ',
  'pgdog:17:0:2\n',
  'pgdog:17:00:2',
  'pgdog:1e3:0:2',
  'pgdog:0x11:0:2',
  'pgdog:١٧:0:2',
  'pgdog:9223372036854775808:0:2',
  'pgdog:99999999999999999999:0:2',
  'pgdog:17:65536:2',
  "pgdog:17:0:2'",
  'PGDOG:17:0:2',
  '__pgdog_2pc_17_0',
]) {
  test(`somebody else's: ${JSON.stringify(gid)}`, () => assert.equal(parseGid(gid), null));
}

test('the row decides; where none is, it may be on its way for a second', () => {
  assert.equal(endingOf(true, 0), 'commit');
  assert.equal(endingOf(true, 60_000), 'commit');
  assert.equal(endingOf(false, 999), 'busy');
  assert.equal(endingOf(false, 1000), 'rollback');
});

const of = (number: number, count = 3, cluster = 'a'): KnownShard => ({
  identity: { cluster, number, count },
});
const NAME = { gid: 'pgdog:17:0:2', id: '17', decider: 0, shard: 2 };

/** Found on shard 2 unless said otherwise. */
const OBSTACLES: [string, KnownShard[], RegExp | null, { shard?: number; decider?: number }?][] = [
  ['all as it should be', [of(0), of(1), of(2)], null],
  ['a shard that has no part in it is away', [of(0), 'shard 1: ECONNREFUSED', of(2)], null],
  [
    'the deciding shard is away',
    ['shard 0: ECONNREFUSED', of(1), of(2)],
    /^cannot ask shard 0: ECONNREFUSED$/,
  ],
  ['it is named for another shard', [of(0), of(1), of(2)], /its name says shard 1/, { shard: 1 }],
  [
    'a deciding shard that does not exist',
    [of(0), of(1), of(2)],
    /shard 7 .* there are 3 shards/,
    { decider: 7 },
  ],
  ['it decides itself', [of(0), of(1), of(2)], /this shard has decided/, { decider: 2 }],
  ['no setup where it is prepared', [of(0), of(1), { identity: null }], /shard 2 does not know .* setup$/],
  ['no setup where it is decided', [{ identity: null }, of(1), of(2)], /shard 0 does not know .* setup$/],
  ['the deciding shard is another', [of(1), of(0), of(2)], /^shard 0 of 3 takes itself for shard 1 of 3/],
  ['it is one of more', [of(0, 4), of(1, 4), of(2, 4)], /^shard 2 of 3 takes itself for shard 2 of 4/],
  [
    'the deciding shard is of another cluster',
    [of(0, 3, 'b'), of(1), of(2)],
    /2 and 0 are not of one cluster/,
  ],
];

for (const [what, shards, expected, name] of OBSTACLES) {
  test(`may it be ended: ${what}`, () => {
    const obstacle = obstacleTo({ ...NAME, ...name }, 2, shards);
    if (expected === null) assert.equal(obstacle, null);
    else assert.match(obstacle ?? 'nothing', expected);
  });
}

test('rows are deleted only by who sees all shards of one cluster', () => {
  assert.equal(wrongShard([of(0), of(1), of(2)], 2, 0), null);
  assert.match(wrongShard([of(0), of(1), of(2, 3, 'b')], 2, 0) ?? '', /not of one cluster/);
});
