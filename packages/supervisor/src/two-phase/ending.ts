import type { TransactionName } from './gid.js';

/** What `setup` has written on a shard: a proxy that counts the shards otherwise must not decide about its transactions. */
export interface ShardIdentity {
  cluster: string;
  number: number;
  count: number;
}

/** `busy`: somebody is at work on it. */
export type Ending = 'commit' | 'rollback' | 'busy';

/** Lock and row are asked for together with what is prepared: where they are not there yet, they may be on their way. */
const YOUNG_MS = 1000;

/**
 * Whoever commits takes the lock and then writes the row, both in the one transaction whose commit is the decision. Without the
 * lock we know nothing (busy); to whom has it, a row stands for ever; one that is not there can be kept from coming (ShardSession.claim).
 * @param ageMs for how long the oldest part of it has been prepared
 */
export function endingOf(isRowThere: boolean, ageMs: number): Ending {
  if (isRowThere) return 'commit';
  return isYoung(ageMs) ? 'busy' : 'rollback';
}

export function isYoung(ageMs: number): boolean {
  return ageMs < YOUNG_MS;
}

/** What is known of one shard in this round. A text, `shard 1: …`: why it cannot be asked. */
export type KnownShard = { identity: ShardIdentity | null } | string;

/** Why nothing may be done about a transaction that was found on `shard`; null: the deciding shard may be asked. */
export function obstacleTo(
  { decider, shard: named }: TransactionName,
  shard: number,
  shards: readonly KnownShard[],
): string | null {
  if (named !== shard) return `its name says shard ${named}`;
  if (decider >= shards.length) {
    return `its name says that shard ${decider} has decided, and there are ${shards.length} shards`;
  }
  if (decider === shard) return 'its name says that this shard has decided';
  return wrongShard(shards, shard) ?? wrongShard(shards, decider, shard);
}

/** Why what a shard has cannot be taken for that of shard `number` (of the cluster that `other` belongs to); null: it can. */
export function wrongShard(shards: readonly KnownShard[], number: number, other = number): string | null {
  const [known, beside] = [shards[number], shards[other]];
  if (typeof known === 'string') return `cannot ask ${known}`;
  const { identity } = known;
  if (identity === null) return `shard ${number} does not know which one it is: run pgdog-cluster setup`;
  if (identity.number !== number || identity.count !== shards.length) {
    const says = `shard ${identity.number} of ${identity.count}`;
    return `shard ${number} of ${shards.length} takes itself for ${says}: run pgdog-cluster setup`;
  }
  const isStranger = typeof beside !== 'string' && beside.identity?.cluster !== identity.cluster;
  return isStranger ? `shards ${other} and ${number} are not of one cluster` : null;
}
