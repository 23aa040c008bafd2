import { HEALTH_FAILING, WORKER_SERVING } from '@pgdog-cluster/core';
import type { AdminContext } from '../admin/admin-context.js';

export type ReadinessContext = Pick<AdminContext, 'isDraining' | 'memory' | 'config'>;

/** Every server fails its checks. One that was not checked yet may work; no server at all is nobody's failure. */
export function areHostsFailing({ memory, config }: ReadinessContext): boolean {
  const known = config().hosts.filter(({ index }) => index < memory.hosts.hostsMax);
  return known.length > 0 && known.every(({ index }) => memory.hosts.health(index) === HEALTH_FAILING);
}

/** Why no client should be sent here now; null when all is well. */
export function unreadiness(context: ReadinessContext): string | null {
  if (context.isDraining()) return 'draining';
  const { memory } = context;
  const { workers } = memory.handles.dimensions;
  let serving = 0;
  for (let worker = 0; worker < workers; worker++) {
    if (memory.workers.state(worker) === WORKER_SERVING) serving++;
  }
  if (serving === 0) return 'no worker serves';
  return areHostsFailing(context) ? 'no server passes its checks' : null;
}
