import type { ConfigSnapshot, SharedMemory } from '@pgdog-cluster/core';
import type { Fleet } from '../fleet/fleet.js';
import type { Logger } from '../log/logger.js';
import type { PubSub } from '../pubsub/pub-sub.js';
import { OperatorDesk } from './operator-desk.js';

/** What the desk needs of the program. */
export interface DeskProgram {
  memory: SharedMemory;
  logger: Logger;
  fleet: Fleet;
  pubSub: PubSub;
  snapshot: () => ConfigSnapshot;
  /** The snapshot in force with some of it changed; resolves with its epoch. */
  republish: (change: (epoch: number) => Partial<ConfigSnapshot>) => Promise<number>;
  poolIndexes: (database: string | null) => number[];
  isDraining: () => boolean;
}

export function openDesk(program: DeskProgram): OperatorDesk {
  const { memory, logger, fleet, pubSub, snapshot, republish, poolIndexes, isDraining } = program;
  return new OperatorDesk({
    memory,
    logger,
    snapshot,
    publish: (change) => republish((epoch) => ({ orders: change(snapshot(), epoch) })),
    liveWorkers: () => fleet.liveWorkers(),
    poolIndexes,
    isDraining,
    reportClients: () => fleet.requestReport('clients', ''),
    reportServers: () => fleet.requestWholeReport('servers'),
    killClient: ({ worker, slot, session }) => fleet.order(worker, { type: 'killClient', slot, session }),
    endListening: (database) => pubSub.end(database),
  });
}
