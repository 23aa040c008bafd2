import type { SqlPlan, VacateMessage } from '@pgdog-cluster/core';
import type { WorkerContext } from '../worker-context.js';
import type { Pool } from './pool.js';
import { leaveServer } from './retire.js';

/** How long Postgres waits for others to go (CountOtherDBBackends of procarray.c), and how often it looks. */
const WAIT_MS = 5000;
const LOOK_AGAIN_MS = 100;

/**
 * Statements that Postgres refuses while somebody else is connected to a database (DROP DATABASE, CREATE DATABASE …
 * TEMPLATE, ALTER DATABASE … RENAME and SET TABLESPACE): what clients that have gone have left idle here is closed, on all
 * workers, so that the answer is the one without a proxy. The statement is on its way meanwhile, and Postgres waits for
 * the others to go; who connects while it runs waits for it. Where clients stay connected nothing is closed: it would
 * be refused without a proxy, too. In session mode such texts are not read.
 */
export function vacateForPlan({ context, snapshot: { host, port } }: Pool, { statements }: SqlPlan): void {
  const effect = statements.length === 1 ? statements[0].effect : null;
  // Among others it is in a transaction, where Postgres refuses all of them but RENAME.
  if (effect?.type !== 'vacate') return;
  const message: VacateMessage = { type: 'vacate', host, port, serverDatabase: effect.database };
  const untilMs = context.vacating.get(keyOf(message)) ?? 0;
  // One that has just been asked waits as long.
  if (untilMs > context.nowMs + WAIT_MS - LOOK_AGAIN_MS) return;
  const { workers } = context.memory.handles.dimensions;
  // All of them: a pool that was made for a login is known only where it is used.
  for (let worker = 0; worker < workers; worker++) {
    if (worker !== context.worker) context.post(worker, message);
  }
  vacate(context, message);
}

/** However often it is asked, one look after the other is taken at each database. */
export function vacate(context: WorkerContext, message: VacateMessage): void {
  const key = keyOf(message);
  const isBegun = context.vacating.has(key);
  context.vacating.set(key, context.nowMs + WAIT_MS);
  if (!isBegun) look(context, message, key, true);
}

/** Again until none is left here: a client that has said goodbye may be in a worker that has not read it yet. */
function look(context: WorkerContext, message: VacateMessage, key: string, isFirst: boolean): void {
  const pools = [...context.pools.values()].filter(({ snapshot }) => isMeant(snapshot, message));
  if (!pools.some((pool) => isInUse(pool))) {
    for (const pool of pools) for (const server of [...pool.all]) leaveServer(pool, server);
  }
  const isLeft = pools.every(({ all }) => all.size === 0);
  if ((isLeft && !isFirst) || context.nowMs >= (context.vacating.get(key) ?? 0)) context.vacating.delete(key);
  else context.deadlines.add(context.nowMs + LOOK_AGAIN_MS, () => look(context, message, key, false));
}

function keyOf({ host, port, serverDatabase }: VacateMessage): string {
  return `${host}\0${port}\0${serverDatabase}`;
}

function isMeant({ host, port, serverDatabase }: Pool['snapshot'], meant: VacateMessage): boolean {
  return serverDatabase === meant.serverDatabase && host === meant.host && port === meant.port;
}

/** Clients are connected to its database, anywhere. Those of a cluster are counted in one of its pools. */
function isInUse({ context, snapshot: { database } }: Pool): boolean {
  const { capacity, handles } = context.memory;
  for (const { index, snapshot } of context.pools.values()) {
    if (snapshot.database !== database) continue;
    for (let worker = 0; worker < handles.dimensions.workers; worker++) {
      if (capacity.clientsOf(worker, index) > 0) return true;
    }
  }
  return false;
}
