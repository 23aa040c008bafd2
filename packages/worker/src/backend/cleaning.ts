import { type ConnectionRecovery, FRONTEND, FrameWriter, READY } from '@pgdog-cluster/core';
import { cancelOnServer } from './cancel.js';
import type { OwnExchange } from './own-exchange.js';
import { KIND_BIND, KIND_EXECUTE, KIND_PARSE, SWALLOW } from './pending-replies.js';
import { takeResetSql } from './reset.js';
import type { ServerConnection } from './server-connection.js';

/** A statement left running by a vanished client is given this long before it is cancelled. */
const GRACE_MS = 500;

const copyFail = new FrameWriter().begin(FRONTEND.CopyFail).cstring('client is gone').end().take();

/** ROLLBACK as Parse, Bind and Execute: a Query would commit the batch that it stands behind. */
const takeBack = new FrameWriter()
  .begin(FRONTEND.Parse)
  .cstring('')
  .cstring('ROLLBACK')
  .int16(0)
  .end()
  .begin(FRONTEND.Bind)
  .cstring('')
  .cstring('')
  .int16(0)
  .int16(0)
  .int16(0)
  .end()
  .begin(FRONTEND.Execute)
  .cstring('')
  .int32(0)
  .end()
  .take();

/** Whether a server connection whose client vanished is worth cleaning (connection_recovery). */
export function isRecoverable(server: ServerConnection, mode: ConnectionRecovery): boolean {
  if (mode === 'recover') return true;
  if (mode === 'rollback_only') return server.isQuiet;
  return server.isQuiet && server.readyStatus === READY.Idle;
}

/**
 * Brings a server connection back to a state in which anybody may have it: what is still being answered is
 * read to its end, an open transaction rolled back, what a pinned session left is reset. Bounded by
 * rollback_timeout (checkCleaning); whatever does not end in time is cancelled and closed.
 */
export function startCleaning(server: ServerConnection): void {
  server.state = 'cleaning';
  server.cleaningSinceMs = server.context.nowMs;
  server.isCancelSent = false;
  // A client's own CopyDone may be on its way already: then the server ignores this one.
  if (server.isCopyIn) server.send(copyFail);
  if (server.isBatchOpen && !server.isSkippingToSync) takeBatchBack(server);
  if (server.isBatchOpen || server.isSkippingToSync || server.isCopyIn) server.sendOwnSync();
  server.pool.publishLoad();
  if (server.isQuiet) continueCleaning(server);
}

/**
 * A client that goes before its Sync has not asked for anything to be committed, and Postgres does not. The Sync that
 * ends the batch for us would; so all of it is rolled back ahead of it. Within a batch that has failed the server does not read this.
 */
function takeBatchBack(server: ServerConnection): void {
  server.pool.row.rollback();
  server.rollbacks++;
  for (const kind of [KIND_PARSE, KIND_BIND, KIND_EXECUTE]) server.pending.push(kind | SWALLOW, null);
  server.unnamedId = 0;
  server.send(takeBack);
}

/** What was begun on it, and is quiet now, is begun elsewhere: whatever becomes of clients that go, it is worth keeping. */
export function rollBack(server: ServerConnection): void {
  server.state = 'cleaning';
  server.cleaningSinceMs = server.context.nowMs;
  server.isCancelSent = false;
  server.pool.publishLoad();
  server.ask(step(server, 'ROLLBACK'));
}

/** Next step, whenever the connection is quiet. */
export function continueCleaning(server: ServerConnection): void {
  const { pool } = server;
  if (server.readyStatus !== READY.Idle) {
    if (server.pool.context.config.general.connectionRecovery === 'drop') {
      pool.row.forceClosed();
      pool.close(server);
      return;
    }
    pool.row.rollback();
    server.rollbacks++;
    server.ask(step(server, 'ROLLBACK'));
    return;
  }
  if (server.needsReset) {
    server.needsReset = false;
    const sql = takeResetSql(server);
    pool.row.cleaned();
    // In session mode a client may have made statements under names of its own.
    if (pool.snapshot.poolerMode === 'session' || server.isPreparedUnsure) {
      server.isPreparedUnsure = false;
      server.prepared.clear();
      server.ask(step(server, 'DISCARD ALL'));
    } else server.ask(step(server, sql));
    return;
  }
  pool.becameFree(server);
}

function step(server: ServerConnection, sql: string): OwnExchange {
  return {
    sql,
    onError() {
      // A connection that cannot be cleaned must not be seen again.
      server.isDoomed = true;
      server.needsReset = false;
    },
    onDone() {},
  };
}

/** From the janitor: a vanished client's statement is cancelled after a grace, the connection closed after the limit. */
export function checkCleaning(server: ServerConnection, nowMs: number): void {
  if (server.state !== 'cleaning') return;
  const forMs = nowMs - server.cleaningSinceMs;
  const { rollbackTimeoutMs } = server.context.config.general;
  if (rollbackTimeoutMs > 0 && forMs > rollbackTimeoutMs) {
    server.pool.row.forceClosed();
    if (!server.isCancelSent) cancelOnServer(server);
    server.pool.close(server);
    return;
  }
  if (forMs > GRACE_MS && !server.isCancelSent && server.pending.length > 0) {
    server.isCancelSent = true;
    cancelOnServer(server);
  }
}
