/**
 * A process of its own that holds idle clients, so that their descriptors and memory are not the bench's.
 * Arguments: the login as JSON, and how many. Prints a line per stage; reads a line to go on:
 * "logged-in" -> (any line) -> "queried" -> end of input closes all.
 */
import { createInterface } from 'node:readline/promises';
import type { Login } from './endpoint.js';
import { query, RawClient } from './raw-client.js';

/** Logins under way at a time: a backlog's worth, so that nothing measured is a connection storm. */
const CONCURRENT_LOGINS = 64;
const READ_BUFFER_BYTES = 2048;

async function inParallel(count: number, one: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await one(index);
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENT_LOGINS, count) }, lane));
}

const login = JSON.parse(process.argv[2]) as Login;
const count = Number(process.argv[3]);
const clients: RawClient[] = [];
await inParallel(count, async () => {
  clients.push(await RawClient.open(login, READ_BUFFER_BYTES));
});
console.log('logged-in');
let stage = 0;
for await (const _line of createInterface({ input: process.stdin })) {
  if (stage++ > 0) continue;
  const select = query('SELECT 1');
  await inParallel(count, (index) => clients[index].exchange(select, 1));
  console.log('queried');
}
process.exit(0);
