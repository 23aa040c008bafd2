import { CLAIMED, DATABASE_FULL, PgDogError, POOL_CLOSED, type PoolSnapshot } from '@pgdog-cluster/core';
import type { Pool } from '../pool/pool.js';
import type { Session } from './session.js';

/** What a session has claimed of the limits on clients. Bits of Session.places. */
const PLACE_TOTAL = 1;
const PLACE_POOL = 2;
const PLACE_ADMIN = 4;

/**
 * The start-up packet says which database: claims a place among all clients before anything is spent on finding out
 * who it is. The admin database is not counted there, so that an operator gets in when everybody else is refused.
 */
export function claimOnArrival(session: Session): PgDogError | null {
  if (session.isAdmin) return null;
  const { context } = session;
  const { capacity } = context.memory;
  if (!capacity.tryClaimClient(context.worker)) {
    const { maxClientConn } = context.config.general;
    const limit =
      maxClientConn > 0
        ? `max_client_conn = ${maxClientConn}`
        : `${capacity.clientLimit()}, what the limit of open files allows`;
    return new PgDogError('too_many_clients', `sorry, too many clients already (${limit})`);
  }
  session.places |= PLACE_TOTAL;
  return null;
}

export function claimAdmin(session: Session): PgDogError | null {
  const { context } = session;
  const { capacity } = context.memory;
  if (!capacity.tryClaimAdmin(context.worker)) {
    const text = `too many clients of the admin database (at most ${capacity.adminLimit()})`;
    return new PgDogError('too_many_admin_clients', text);
  }
  session.places |= PLACE_ADMIN;
  return null;
}

/**
 * It has proved who it is. Not earlier: strangers could fill a user's or a database's places, and a refusal would tell
 * them which users there are. `closed`: the pool is being forgotten, with its database.
 */
export function claimAtLogin(session: Session, snapshot: PoolSnapshot): PgDogError | 'closed' | null {
  const { context } = session;
  const result = context.memory.capacity.tryClaimPoolClient(context.worker, snapshot.index);
  if (result === CLAIMED) {
    session.places |= PLACE_POOL;
    return null;
  }
  if (result === POOL_CLOSED) return 'closed';
  const { database, user, databaseClientsMax, userClientsMax } = snapshot;
  if (result === DATABASE_FULL) {
    const text = `too many clients for database "${database}" (max_db_client_connections = ${databaseClientsMax})`;
    return new PgDogError('too_many_database_clients', text);
  }
  const text = `too many clients for user "${user}" (max_user_client_connections = ${userClientsMax})`;
  return new PgDogError('too_many_user_clients', text);
}

/** The pool in which it is counted is gone: it counts in another one of the same database and user. */
export function moveHomePool(session: Session, pool: Pool): void {
  const { places, context, homePool } = session;
  session.homePool = pool;
  if ((places & PLACE_POOL) === 0 || homePool === null) return;
  context.memory.capacity.movePoolClient(context.worker, homePool.index, pool.index);
}

/** The session ends. */
export function giveBackPlaces(session: Session): void {
  const { places, context, homePool } = session;
  const { capacity } = context.memory;
  session.places = 0;
  if ((places & PLACE_POOL) !== 0 && homePool !== null) {
    capacity.giveBackPoolClient(context.worker, homePool.index);
  }
  if ((places & PLACE_TOTAL) !== 0) capacity.giveBackClient(context.worker);
  if ((places & PLACE_ADMIN) !== 0) capacity.giveBackAdmin(context.worker);
}
