/** Clients that send twenty extended queries before they read the first answer, each with its own Sync. */
import {
  addCase,
  type BenchRun,
  cpuValues,
  measure,
  startAll,
  stopAll,
  withCpu,
} from '../macro/bench-run.js';
import type { Endpoint, Login } from '../macro/endpoint.js';
import { extended, RawClient, SYNC } from '../macro/raw-client.js';
import type { Values } from '../report/results.js';

const CONNECTIONS = 32;
const DEPTH = 20;

export async function pipeline(run: BenchRun): Promise<void> {
  const title = `pipelines of ${DEPTH} extended queries, ${CONNECTIONS} clients, pool of 20`;
  const key = addCase(run, { key: 'pipeline', group: 'pipeline', title });
  const running = await startAll(run, run.mainContenders, 'trust');
  for (const { endpoint } of running) await send(endpoint.login, 1).catch(() => {});
  for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
    for (const { contender, endpoint } of running) {
      await measure(run, key, contender, repeat, () => sendMeasured(endpoint, run.options.seconds));
    }
  }
  await stopAll(running);
}

async function sendMeasured(endpoint: Endpoint, seconds: number): Promise<Values> {
  const cpu = await withCpu(endpoint, () => send(endpoint.login, seconds));
  return { tps: cpu.result / seconds, ...cpuValues(endpoint, cpu, cpu.result) };
}

/** Returns the number of queries answered. */
async function send(login: Login, seconds: number): Promise<number> {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => RawClient.open(login)));
  const one = Buffer.concat([extended('SELECT abalance FROM pgbench_accounts WHERE aid = 4711'), SYNC]);
  const batch = Buffer.concat(Array.from({ length: DEPTH }, () => one));
  const deadline = Date.now() + seconds * 1000;
  let answered = 0;
  try {
    await Promise.all(
      clients.map(async (client) => {
        while (Date.now() < deadline) {
          await client.exchange(batch, DEPTH);
          answered += DEPTH;
        }
      }),
    );
  } finally {
    for (const client of clients) client.close();
  }
  return answered;
}
