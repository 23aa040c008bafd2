import type { LogMessage } from '@pgdog-cluster/core';
import type { LogFields, Logger } from '../log/logger.js';
import type { WorkerHandle } from './worker-handle.js';

/** A worker has said that it is ready. */
export function logReady(logger: Logger, { worker, ready }: WorkerHandle): void {
  if (ready === null) return;
  const { ioDriver, ioDriverReason } = ready;
  const why = ioDriverReason === '' ? '' : ` (${ioDriverReason})`;
  const fields: LogFields = { worker, ioDriver, ioDriverReason };
  logger.log('info', 'worker_ready', `worker ${worker} serves by ${ioDriver}${why}`, fields);
}

/** Lines of a worker's own. */
export function logLines(logger: Logger, worker: number, { lines }: LogMessage): void {
  for (const { level, code, message, fields } of lines)
    logger.log(level, code, message, { worker, ...fields });
}
