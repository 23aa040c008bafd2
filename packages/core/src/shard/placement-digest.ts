import { createHash } from 'node:crypto';
import type { ShardingSnapshot } from './sharding-snapshot.js';

const known = new WeakMap<ShardingSnapshot, string>();

/**
 * Names the rules by which relations are placed, 24 characters: equal for equal rules. What else is said there (how to commit,
 * what several shards may do) does not count.
 */
export function placementDigest(sharding: ShardingSnapshot): string {
  const before = known.get(sharding);
  if (before !== undefined) return before;
  const { shardCount, tables, schemas, omnisharded } = sharding;
  const text = JSON.stringify([shardCount, tables, schemas, omnisharded]);
  const digest = createHash('sha256').update(text).digest('base64').slice(0, 24);
  known.set(sharding, digest);
  return digest;
}
