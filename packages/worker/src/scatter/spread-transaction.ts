import { type CommitMode, PgDogError } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { DistributedTransaction, type DoneBefore } from './distributed-transaction.js';
import type { Scatter } from './scatter.js';
import { type TransactionMark, tooManySettings } from './transaction-mark.js';

/**
 * The client's transaction on one shard, over several from now on: the server connection of the session becomes the leg's of
 * its shard. Null: it has none; an error: why it cannot.
 */
export function spreadTransaction(
  session: Session,
  scatter: Scatter,
  mode: CommitMode,
  beginText: string,
  done: DoneBefore,
): DistributedTransaction | PgDogError | null {
  const { server, transaction } = session;
  if (server === null) return null;
  if (!server.isQuiet || transaction.hasSettingChanges) return staysOnShard();
  const { marks } = transaction;
  if (marks === null) return tooManySettings();
  const leg = scatter.legOf(server.pool.snapshot.shard);
  // What keeps it there is the session's too, and two server connections of one shard would be taken for one.
  if (leg.session.server !== null) return keptElsewhere(leg.shard);
  const spread = beginTransaction(session, scatter, mode, beginText, marks);
  // What is shown may have been behind a statement whose answer is still being handed over: it is the client's, not the leg's.
  server.relay.flushRun();
  leg.session.takeOver(session, server);
  spread.adopt(leg, done);
  return spread;
}

/** A transaction over several shards, of which none has begun it yet. @param marks what has been marked and set in it */
export function beginTransaction(
  { router }: Session,
  scatter: Scatter,
  mode: CommitMode,
  beginText: string,
  marks: readonly TransactionMark[] = [],
): DistributedTransaction {
  // A replica writes nothing either.
  const isReadOnly = router?.isReadOnly === true || router?.choice.asksReplica === true;
  return new DistributedTransaction(scatter, { mode, beginText, isReadOnly, marks });
}

/** No other shard knows what its own has been told. */
export function staysOnShard(): PgDogError {
  return new PgDogError('cross_shard', 'a transaction that has changed settings stays on its shard', {
    hint: 'SET before BEGIN.',
  });
}

function keptElsewhere(shard: number): PgDogError {
  const text = `the session keeps another server connection on shard ${shard}, with what it has set or locked there`;
  return new PgDogError('cross_shard', text, {
    hint: 'Undo that (DISCARD ALL), or begin the transaction elsewhere.',
  });
}
