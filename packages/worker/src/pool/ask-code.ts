import { ROLE_PRIMARY } from '@pgdog-cluster/core';
import { startCleaning } from '../backend/cleaning.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { settleDefinitions } from '../plan/definitions.js';
import { NO_PARAMETERS } from '../session/parameter-set.js';
import type { Pool } from './pool.js';

/** Most catalogs answer in a few milliseconds: no longer than this does a client wait for one without another connection. */
const QUICK_MS = 250;

/**
 * A server connection has become free: asks it about users' code when that is due, before anybody else has it. False:
 * nothing was to be asked. In session mode connections are reset whatever was run on them.
 */
export function askCode(server: ServerConnection): boolean {
  const { pool, context } = server;
  const { code } = pool;
  if (code.askedOn === server) code.askedOn = null;
  // Its client may have left in the middle.
  settleDefinitions(server);
  if (server.definesCode) {
    server.definesCode = false;
    code.forget(context.nowMs);
  }
  if (
    server.isDoomed ||
    (pool.snapshot.poolerMode === 'session' && code.tenantColumn === null) ||
    !code.isDue(context.nowMs, isPrimary(pool))
  )
    return false;
  // The question needs default settings, the search_path above all.
  if (server.parameters !== NO_PARAMETERS || server.isSuspect) {
    server.needsReset = true;
    startCleaning(server);
    return true;
  }
  server.state = 'cleaning';
  server.cleaningSinceMs = context.nowMs;
  // Thousands of functions take a second to look through, when something has changed: not a statement to be cancelled after
  // a grace.
  server.isCancelSent = true;
  server.ask(code.question(context.nowMs, pool.snapshot.shard));
  code.askedOn = server;
  pool.publishLoad();
  return true;
}

/** Whether a server connection of this pool is free as soon as that is answered, and soon. */
export function isAskingCode(pool: Pool): boolean {
  const { context, code } = pool;
  const { askedOn } = code;
  if (askedOn?.pool !== pool) return false;
  return askedOn.state === 'cleaning' && context.nowMs - askedOn.cleaningSinceMs < QUICK_MS;
}

/** Of a host whose role is found out by itself, the supervisor's measurement tells. */
function isPrimary({ snapshot, context }: Pool): boolean {
  if (snapshot.role !== 'auto') return snapshot.role === 'primary';
  return context.memory.hosts.role(snapshot.hostIndex) === ROLE_PRIMARY;
}
