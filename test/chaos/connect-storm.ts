/** The thread of connect-burst.ts that connects, and is refused. */
import { parentPort, workerData } from 'node:worker_threads';
import { RawClient } from '../support/raw-client.js';
import type { ClientOptions } from '../support/wire.js';

export interface StormOrder {
  port: number;
  /** max_client_conn */
  limit: number;
  burst: number;
  concurrency: number;
  to: ClientOptions;
}

/** One connect that should be refused; what came of it. */
async function attempt({ port, limit, to }: StormOrder): Promise<string> {
  try {
    const client = await RawClient.open({ ...to, port, password: 'postgres', timeoutMs: 30_000 });
    const { error } = await client.login();
    client.destroy();
    if (error === null) return 'logged in';
    return error.M?.includes(`(max_client_conn = ${limit})`) === true ? (error.C ?? '') : (error.M ?? '');
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const order = workerData as StormOrder;
const outcomes: Record<string, number> = {};
let next = 0;
async function lane(): Promise<void> {
  while (next++ < order.burst) {
    const outcome = await attempt(order);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
}
await Promise.all(Array.from({ length: order.concurrency }, lane));
parentPort?.postMessage(outcomes);
