import {
  choice,
  chooseShard,
  type KeyGroup,
  type MergePlan,
  SHARD_ANY,
  SHARD_EVERY,
  SHARD_SEVERAL,
  type ShardReading,
  type SqlPlan,
  StatementValues,
} from '@pgdog-cluster/core';
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
  if (hasParameters(reading)) return 'direct: the shard of its parameter, or several if they are on several';
  const values = new StatementValues();
  values.begin(NOTHING, 0, 0);
  const shard = chooseShard(reading, desk.database.functions, values);
  if (shard >= 0) return `direct: shard ${shard}`;
  if (shard === SHARD_ANY) return 'any shard: it reads what all of them have';
  if (shard === SHARD_EVERY) return `all ${desk.count} shards do the same, in one transaction`;
  return shard === SHARD_SEVERAL ? `${those(desk)}: ${spreadText(reading)}` : 'unknown';
}

function those(desk: ShardDesk): string {
  const { shards } = choice;
  return shards === null
    ? `all ${desk.count} shards`
    : `shards ${[...shards].sort((a, b) => a - b).join(', ')}`;
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
      return 'each row goes to its shard, in one transaction';
    case 'byText':
      return 'they are asked for other columns besides, or for parts of groups';
    case 'split':
      return 'refused: rows of several shards in one INSERT';
    default:
      return `refused: ${spread.reason} (${spread.remedy})`;
  }
}

function mergeText({ sort, group, aggregates, isDistinct, limit, offset }: MergePlan): string {
  const parts: string[] = [];
  if (group !== null || aggregates.some((each) => each !== null)) parts.push('groups are added up');
  if (isDistinct) parts.push('equal rows are dropped');
  if (sort.length > 0)
    parts.push(`sorted rows are merged by column ${sort.map(({ column }) => column + 1).join(', ')}`);
  if (limit !== null || offset !== null) parts.push('LIMIT and OFFSET are applied to the merged rows');
  return parts.length === 0 ? 'rows are passed on as they come' : parts.join(', ');
}

function describeGroup({ column, pins, rule }: KeyGroup): string {
  if (rule < 0) return `${column}: on one shard by its schema`;
  if (pins.length === 0) return `${column}: compared with no value`;
  return `${column}: compared with ${pins.length === 1 ? 'a value or a list' : `${pins.length} values or lists`}`;
}

function hasParameters({ groups }: ShardReading): boolean {
  return groups.some(({ pins }) =>
    pins.some(({ sources }) => sources.some(({ kind }) => kind === 'parameter' || kind === 'parameterArray')),
  );
}
