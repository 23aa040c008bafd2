import { PgDogError, systemClock } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import type { WAIT } from './claimed-ids.js';

/** Of a database with several shards by a number that is claimed there, else by the one of the configuration. */
export function nextId(session: Session): bigint | PgDogError | typeof WAIT {
  const shards = session.router?.shards ?? null;
  if (shards !== null) return shards.database.ids.next(session);
  const { memory, config } = session.context;
  return (
    memory.ids.next(systemClock.nowMs(), config.general.uniqueIds) ?? new PgDogError('unique_ids_exhausted')
  );
}
