/**
 * A process of its own for each half of a storm, so that neither waits for the other's event loop.
 *
 *   runners LOGIN COUNT    so many clients query at a steady pace. A line on standard input ends a window and prints
 *                          its latencies: {"p50Ms":…,"p99Ms":…,"maxMs":…,"count":…}; its end ends the process.
 *   storm LOGIN COUNT      so many connects with login, as fast as they go, then
 *                          {"seconds":…,"failed":…,"p99Ms":…,"firstError":…}
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../report/statistics.js';
import type { Login } from './endpoint.js';
import { query, RawClient } from './raw-client.js';

const READ_BUFFER_BYTES = 4096;
/** Pause of a running client between two queries: busy, but not so busy that the machine is what is measured. */
const THINK_MS = 25;
/** Connects under way at a time: most of a backlog. */
const CONCURRENT_CONNECTS = 1000;

const [, , role, loginText, countText] = process.argv;
const login = JSON.parse(loginText) as Login;
const count = Number(countText);

function latencies(ms: number[]): Record<string, number> {
  const sorted = Float64Array.from(ms).sort();
  return {
    p50Ms: percentile(sorted, 50),
    p99Ms: percentile(sorted, 99),
    maxMs: sorted[sorted.length - 1],
    count: sorted.length,
  };
}

async function runners(): Promise<void> {
  const select = query('SELECT 1');
  const clients: RawClient[] = [];
  while (clients.length < count) clients.push(await RawClient.open(login, READ_BUFFER_BYTES));
  let window: number[] = [];
  createInterface({ input: process.stdin })
    .on('line', () => {
      console.log(window.length === 0 ? '{}' : JSON.stringify(latencies(window)));
      window = [];
    })
    .on('close', () => process.exit(0));
  const run = async (client: RawClient): Promise<void> => {
    await sleep(Math.random() * THINK_MS);
    for (;;) {
      const since = performance.now();
      await client.exchange(select, 1);
      window.push(performance.now() - since);
      await sleep(THINK_MS);
    }
  };
  console.log('running');
  await Promise.all(clients.map(run));
}

async function storm(): Promise<void> {
  const took: number[] = [];
  let failed = 0;
  let firstError = '';
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next++ < count) {
      const since = performance.now();
      try {
        const client = await RawClient.open(login, READ_BUFFER_BYTES);
        took.push(performance.now() - since);
        client.close();
      } catch (error) {
        failed++;
        firstError ||= error instanceof Error ? error.message : String(error);
      }
    }
  };
  const since = performance.now();
  await Promise.all(Array.from({ length: CONCURRENT_CONNECTS }, lane));
  const seconds = (performance.now() - since) / 1000;
  console.log(JSON.stringify({ ...latencies(took.length > 0 ? took : [0]), seconds, failed, firstError }));
}

await (role === 'runners' ? runners() : storm());
process.exit();
