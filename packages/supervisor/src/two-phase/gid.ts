/** Names of what the workers prepare: `pgdog:<id>:<deciding shard>:<shard>`. See docs/internals/sharding.md. */

/** What the servers are asked for; the rest is looked at here. */
export const GID_PREFIX = 'pgdog:';

export interface TransactionName {
  gid: string;
  /** A positive bigint in decimal: the row in pgdog.transactions and the advisory lock. */
  id: string;
  /** Shard that has the row. */
  decider: number;
  /** Where it is prepared. */
  shard: number;
}

const ID_MAX = 0x7fff_ffff_ffff_ffffn;
const SHARD_MAX = 0xffffn;

/** null: somebody else's, whatever it begins with. Only what a worker writes is taken, to the letter. */
export function parseGid(gid: string): TransactionName | null {
  if (!gid.startsWith(GID_PREFIX)) return null;
  const parts = gid.slice(GID_PREFIX.length).split(':');
  if (parts.length !== 3) return null;
  const [id, decider, shard] = parts;
  if (!isNumber(id, ID_MAX) || !isNumber(decider, SHARD_MAX) || !isNumber(shard, SHARD_MAX)) return null;
  return { gid, id, decider: Number(decider), shard: Number(shard) };
}

function isNumber(text: string, max: bigint): boolean {
  return /^(0|[1-9][0-9]{0,18})$/.test(text) && BigInt(text) <= max;
}
