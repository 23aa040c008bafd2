/** Thousands of clients that have logged in and do nothing: what each costs in resident memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { addCase, type BenchRun, measure, skip, startAll, stopAll } from '../macro/bench-run.js';
import { sleep } from '../macro/child.js';
import { watchChild } from '../macro/clean-up.js';
import type { Endpoint, Login } from '../macro/endpoint.js';
import { openFilesMax, rssKb } from '../macro/proc.js';
import { query, RawClient } from '../macro/raw-client.js';
import type { Values } from '../report/results.js';

const HOLDER = join(import.meta.dirname, '../macro/idle-holder.js');
/** Garbage of ten thousand logins gets this long to be collected: the figure is about idling, not about arriving. */
const SETTLE_MS = 3000;
/** Server connections, listeners, pipes and the runtime's own descriptors. */
const SPARE_FILES = 500;
const WARM_UP_CLIENTS = 64;

export async function idle(run: BenchRun): Promise<void> {
  const wanted = run.options.isQuick ? 2000 : 10_000;
  const count = Math.min(wanted, openFilesMax() - SPARE_FILES);
  if (count < wanted)
    skip(run, `idle: ${wanted - count} of ${wanted} clients`, 'the limit of open files (ulimit -Hn)');
  run.results.settings.idleClients = count;
  const key = addCase(run, { key: 'idle', group: 'idle', title: `${count} idle clients` });
  const repeatCount = run.options.isQuick ? 1 : Math.min(run.options.repeatCount, 2);
  for (let repeat = 0; repeat < repeatCount; repeat++) {
    for (const contender of run.mainContenders) {
      if (contender.kind === 'direct') continue;
      // A fresh process each time: memory that an earlier workload left free would be counted as cheap clients.
      for (const { endpoint } of await startAll(run, [contender], 'trust')) {
        await measure(run, key, contender, repeat, () => holdIdle(endpoint, count));
        await stopAll([{ contender, endpoint }]);
      }
    }
  }
}

export async function holdIdle(endpoint: Endpoint, count: number): Promise<Values> {
  await warmUp(endpoint.login);
  await sleep(SETTLE_MS / 3);
  const baseKb = rssKb(endpoint.pids);
  const holder = spawn(process.execPath, [HOLDER, JSON.stringify(endpoint.login), String(count)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  watchChild(holder);
  try {
    const stages = stagesOf(holder);
    await stages('logged-in');
    await sleep(SETTLE_MS);
    const loginKb = rssKb(endpoint.pids);
    holder.stdin?.write('go on\n');
    await stages('queried');
    await sleep(SETTLE_MS);
    const queryKb = rssKb(endpoint.pids);
    return {
      idleLoginKb: (loginKb - baseKb) / count,
      idleQueryKb: (queryKb - baseKb) / count,
      rssMb: queryKb / 1024,
    };
  } finally {
    holder.kill('SIGKILL');
    if (holder.exitCode === null && holder.signalCode === null) await once(holder, 'exit');
  }
}

/** Waits for the holder to print the line; rejects when it ends or takes over a minute. */
function stagesOf(holder: ChildProcess): (stage: string) => Promise<void> {
  const seen = new Set<string>();
  let errors = '';
  if (holder.stdout !== null) createInterface({ input: holder.stdout }).on('line', (line) => seen.add(line));
  holder.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-2000);
  });
  return async (stage) => {
    const deadline = Date.now() + 60_000;
    while (!seen.has(stage)) {
      if (holder.exitCode !== null || holder.signalCode !== null)
        throw new Error(`idle clients ended: ${errors.trim()}`);
      if (Date.now() > deadline) throw new Error(`idle clients: no "${stage}" within a minute`);
      await sleep(20);
    }
  };
}

/** Opens the server connections and runs each path once, so that neither is counted as memory of clients. */
async function warmUp(login: Login): Promise<void> {
  const clients: RawClient[] = [];
  for (let index = 0; index < WARM_UP_CLIENTS; index++) clients.push(await RawClient.open(login));
  const select = query('SELECT 1');
  for (let round = 0; round < 20; round++)
    await Promise.all(clients.map((client) => client.exchange(select, 1)));
  for (const client of clients) client.close();
}
