/** The real worker, but one that cannot start: what a tree that is being rebuilt looks like to one of the threads. */
import type { ServeTask } from '@pgdog-cluster/core';

export default async function serve(task: ServeTask): Promise<void> {
  if (task.worker === 1) throw new Error('half built');
  const worker = await import('@pgdog-cluster/worker/serve');
  return worker.default(task);
}
