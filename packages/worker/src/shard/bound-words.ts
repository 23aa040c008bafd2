/** Why what is asked cannot be done with the server connection that the session has. */
import { PgDogError, READY } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { pinNames } from '../session/pin-reasons.js';
import type { Session } from '../session/session.js';
import { crossShard } from './several-shards.js';
import type { ShardRequest } from './shard-request.js';

export function boundTo(
  { readyStatus, isBatchOpen, pool }: ServerConnection,
  { pins }: Session,
  { request, found }: ShardRequest,
): PgDogError {
  const isOpen = readyStatus !== READY.Idle || isBatchOpen;
  const where = isOpen ? 'the transaction' : "the session's server connection";
  const on = request === null ? `it is on shard ${found}` : request.what;
  const text = `${on}, and ${where} is on shard ${pool.snapshot.shard}`;
  if (pins !== 0) return keptThere(text, pins);
  if (readyStatus === READY.Failed) return behindFailed(text);
  return request === null ? crossShard(text) : new PgDogError('cross_shard', text);
}

/** Locks alone would not hinder it, were it sent by itself. */
function keptThere(text: string, pins: number): PgDogError {
  return new PgDogError('cross_shard', `${text}, which it keeps (${pinNames(pins)})`, {
    hint: 'Send BEGIN, settings, and what is for other shards each by itself; LISTEN and temporary tables by a connection of their own.',
  });
}

/** It stands behind what ends a transaction that has failed, or takes it back. */
function behindFailed(text: string): PgDogError {
  return new PgDogError('cross_shard', `${text}, and has failed`, {
    hint: 'Send ROLLBACK, or ROLLBACK TO SAVEPOINT, by itself.',
  });
}

/** Each shard knows of its own conflicts only. */
export function unserializable(): PgDogError {
  return new PgDogError('cross_shard', 'a serializable transaction cannot be over several shards', {
    hint: 'Use REPEATABLE READ or READ COMMITTED, or stay on one shard.',
  });
}
