import {
  choice,
  chooseShard,
  type KeyGroup,
  type MergePlan,
  PgDogError,
  SHARD_ANY,
  SHARD_EVERY,
  SHARD_SEVERAL,
  type ShardReading,
  type SqlPlan,
  StatementValues,
  shardsOfApart,
} from '@pgdog-cluster/core';
import { readMovePlaces, shardsOfMove } from './move-places.js';
import type { ShardDesk } from './shard-desk.js';
import { directiveWish, wishOf } from './shard-wish.js';

const NOTHING = new Uint8Array(0);

/** Which shards a statement would be asked of, and why: for EXPLAIN (PGDOG). */
export function explainShards(desk: ShardDesk, plan: SqlPlan): string[] {
  const wish = directiveWish(plan) ?? wishOf(desk.session.parameters);
  if (wish.shard !== null) return [`shard ${wish.shard}, as the session or a comment says`];
  if (wish.key !== null) return [`the shard of key "${wish.key}", as the session or a comment says`];
  const { shards: reading } = plan;
  if (reading === undefined) return ['the tables of the shards are not known yet'];
  if (reading.unknown.length > 0) return [`"${reading.unknown[0]}" is not known on the shards`];
  const refusal = reading.refusal ?? reading.unlessMade ?? null;
  if (refusal !== null) return [`refused: ${refusal.reason} (${refusal.remedy})`];
  return [outcomeOf(desk, reading), ...reading.groups.map(describeGroup)];
}

function outcomeOf(desk: ShardDesk, reading: ShardReading): string {
  if (hasParameters(reading) && reading.move !== undefined)
    return `by its parameters: direct where both keys are on one shard, else ${movesText(reading)}`;
  if (hasParameters(reading)) return 'direct: the shard of its parameter, or several if they are on several';
  const values = new StatementValues();
  values.begin(NOTHING, 0, 0);
  const shard = chooseShard(reading, desk.database.functions, values);
  if (reading.move !== undefined) return moveText(desk, reading, shard, values);
  if (shard >= 0) return `direct: shard ${shard}`;
  if (reading.home === 'catalog') return 'shard 0, whose numbers of types and tables clients know';
  if (shard === SHARD_ANY) return 'any shard: it reads what all of them have';
  if (shard === SHARD_EVERY) return `all ${desk.count} shards do the same, in one transaction`;
  if (shard === SHARD_SEVERAL && reading.spread.kind === 'split') return splitText(desk);
  const { spread } = reading;
  if (spread.kind === 'merge' && spread.apart !== undefined) {
    choice.shards = shardsOfApart(reading, spread.apart, desk.database.functions, values);
    if (choice.problem !== '') return `refused: ${choice.group?.column}: ${choice.problem}`;
  }
  return shard === SHARD_SEVERAL ? `${those(desk)}: ${spreadText(reading)}` : 'unknown';
}

function splitText(desk: ShardDesk): string {
  const isSplit = desk.database.sharding.areInsertsSplit !== false;
  return `${those(desk)}: ${isSplit ? 'each row goes to its shard, in one transaction' : 'refused: rows of several shards in one INSERT'}`;
}

function those(desk: ShardDesk): string {
  const { shards } = choice;
  return shards === null
    ? `all ${desk.count} shards`
    : `shards ${[...shards].sort((a, b) => a - b).join(', ')}`;
}

const MOVES = 'rows leave their shards and are inserted where the key that is set leads, in one transaction';

function movesText({ spread }: ShardReading): string {
  return spread.kind === 'refused' ? `refused: ${spread.reason} (${spread.remedy})` : MOVES;
}

/** An UPDATE of the sharding key. */
function moveText(desk: ShardDesk, reading: ShardReading, shard: number, values: StatementValues): string {
  const places = readMovePlaces(reading, shard, desk.database.functions, values);
  if (places === null) return `direct: shard ${shard}, where its rows stay`;
  if (places instanceof PgDogError) return `refused: ${places.message}`;
  if (reading.spread.kind === 'refused') return movesText(reading);
  const shards = [...(shardsOfMove(places) ?? Array(desk.count).keys())].sort((a, b) => a - b);
  return `shards ${shards.join(', ')}: ${MOVES}${places.target === null ? '' : ` (shard ${places.target})`}`;
}

function spreadText({ spread }: ShardReading): string {
  switch (spread.kind) {
    case 'merge':
      return mergeText(spread.plan);
    case 'sum':
      return 'each changes its rows, in one transaction';
    case 'every':
      return 'all do the same';
    case 'copy':
    case 'split':
      return 'each row goes to its shard, in one transaction';
    case 'byText':
      return 'they are asked for other columns besides, or for parts of groups';
    case 'move':
      return MOVES;
    default:
      return `refused: ${spread.reason} (${spread.remedy})`;
  }
}

function mergeText({
  sort,
  group,
  aggregates,
  isDistinct,
  firstOf,
  limit,
  offset,
  counts,
  totals,
}: MergePlan): string {
  if (counts !== undefined) return `${mergeText(counts)}, and counted`;
  const parts: string[] = [];
  if (group !== null || aggregates.some((each) => each !== null)) parts.push('groups are added up');
  if (isDistinct) parts.push('equal rows are dropped');
  if (firstOf !== undefined) parts.push('the first row of each group of DISTINCT ON is given');
  if (sort.length > 0)
    parts.push(`sorted rows are merged by column ${sort.map(({ column }) => column + 1).join(', ')}`);
  const collations = [...new Set(sort.flatMap(({ collation }) => collation ?? []))];
  if (collations.length > 0)
    parts.push(
      `one shard is asked for the order of texts by ${collations.join(' and ')}, when all rows are there`,
    );
  if (totals !== undefined) parts.push('the number of all rows is added up');
  if (limit !== null || offset !== null) parts.push('LIMIT and OFFSET are applied to the merged rows');
  return parts.length === 0 ? 'rows are passed on as they come' : parts.join(', ');
}

function describeGroup({ column, pins, rule }: KeyGroup): string {
  if (rule < 0) return `${column}: on one shard by its schema`;
  if (pins.length === 0) return `${column}: compared with no value`;
  return `${column}: compared with ${pins.length === 1 ? 'a value or a list' : `${pins.length} values or lists`}`;
}

function hasParameters({ groups, move }: ShardReading): boolean {
  return [...groups, ...(move === undefined ? [] : [move])].some(({ pins }) =>
    pins.some(({ sources }) => sources.some(({ kind }) => kind === 'parameter' || kind === 'parameterArray')),
  );
}
