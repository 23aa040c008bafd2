import type { ServerConnection } from '../backend/server-connection.js';

/** Unused for so long that it may be dead without our having been told. */
export function isUnproven({ context, provenMs }: ServerConnection): boolean {
  const { healthcheckIntervalMs } = context.config.general;
  return healthcheckIntervalMs > 0 && context.nowMs - provenMs > healthcheckIntervalMs;
}

/**
 * Asks an idle server connection whether it still works, by an empty query: what no end of stream tells (a host
 * without power, a firewall that forgot the connection). It leaves the idle ones until it has answered.
 */
export function startCheck(server: ServerConnection): void {
  const { pool } = server;
  server.state = 'testing';
  server.checkSinceMs = server.context.nowMs;
  pool.testing++;
  server.ask({
    sql: '',
    onError() {
      server.isDoomed = true;
    },
    onDone() {},
  });
  pool.publishLoad();
}

/** It has answered. */
export function checkDone(server: ServerConnection): void {
  const { pool } = server;
  pool.testing--;
  server.checkCount++;
  server.state = 'cleaning';
  const { idleSinceMs } = server;
  pool.becameFree(server, idleSinceMs);
}

/** From the janitor: no answer in time means no server. */
export function checkOverdue(server: ServerConnection, nowMs: number): void {
  const { healthcheckTimeoutMs } = server.context.config.general;
  if (healthcheckTimeoutMs === 0 || nowMs - server.checkSinceMs <= healthcheckTimeoutMs) return;
  const { pool, context } = server;
  const { host, port, database } = pool.snapshot;
  const text = `server connection closed: no answer to a check in ${healthcheckTimeoutMs} ms`;
  context.log('warn', 'healthcheck_failed', text, { host, port, database });
  pool.row.forceClosed();
  pool.close(server);
}

/** Onto the stack of idle ones, by when it was last used: one that was only checked goes back to its place. */
export function putIdle(idle: ServerConnection[], server: ServerConnection): void {
  let at = idle.length;
  while (at > 0 && idle[at - 1].idleSinceMs > server.idleSinceMs) at--;
  if (at === idle.length) idle.push(server);
  else idle.splice(at, 0, server);
}
