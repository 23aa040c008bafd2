import { counted } from '@pgdog-cluster/core';
import type { Supervisor } from '../supervisor.js';

/** One line for `systemctl status`. */
export function statusOf({ memory, fleet, shutdownPhase, ioDriver }: Supervisor): string {
  let clients = 0;
  for (let worker = 0; worker < fleet.count; worker++) clients += memory.workers.clients(worker);
  const what = shutdownPhase === 'none' ? 'serving' : shutdownPhase;
  return `${what}: ${counted(clients, 'client')}, ${counted(fleet.servingWorkers().length, 'worker')}, ${ioDriver}`;
}
