import { refusedSpread } from './merge-plan-reader.js';
import { placed } from './read-shards.js';
import type { ShardReading } from './shard-reading.js';

const SEVERAL = {
  reason: 'several statements in one text are not on one shard',
  remedy: 'send them one by one',
} as const;

/** Of a text of several statements: they run where all of them can. */
export function joinShards(readings: readonly ShardReading[]): ShardReading {
  if (readings.length === 1) return readings[0];
  const joined = join(readings);
  const changes = readings.some((reading) => reading.changesTransaction === true);
  const hasCursors = readings.some((reading) => reading.cursor !== undefined);
  const time = readings.find((reading) => reading.time !== undefined)?.time;
  const unlessMade = readings.find((reading) => reading.unlessMade !== undefined)?.unlessMade;
  return {
    ...joined,
    ...(time === undefined ? {} : { time }),
    ...(unlessMade === undefined ? {} : { unlessMade }),
    ...(changes ? { changesTransaction: true } : {}),
    ...(hasCursors ? { hasCursors: true } : {}),
  };
}

/** Two keys must lead to one shard, which is not looked at beside other statements. */
function refusalOf({ refusal, move }: ShardReading): ShardReading['refusal'] {
  if (refusal !== null || move === undefined) return refusal;
  return { reason: `${move.column} is set in a text of several statements`, remedy: SEVERAL.remedy };
}

function join(readings: readonly ShardReading[]): ShardReading {
  const groups = readings.flatMap((reading) => reading.groups);
  const unknown = [...new Set(readings.flatMap((reading) => reading.unknown))];
  const refusal = readings.map(refusalOf).find((each) => each !== null) ?? null;
  const plain = readings.filter((reading) => reading.groups.length === 0);
  const isBound = plain.some(({ home }) => home === 'every' || (home === 'first' && groups.length > 0));
  if (refusal !== null || isBound) {
    const { reason, remedy } = refusal ?? SEVERAL;
    return {
      groups,
      refusal: { reason, remedy },
      spread: refusedSpread({ reason, remedy }),
      home: 'first',
      unknown,
    };
  }
  if (groups.length > 0)
    return { groups, refusal: null, spread: refusedSpread(SEVERAL), home: 'any', unknown };
  const homes = new Set(plain.map(({ home }) => home));
  return { ...placed(homes.has('first') ? 'first' : homes.has('catalog') ? 'catalog' : 'any'), unknown };
}
