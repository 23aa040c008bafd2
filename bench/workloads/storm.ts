/** Thousands of connects at once: what clients that are running feel of it, and how fast the logins go. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import {
  addCase,
  type BenchRun,
  cpuValues,
  measure,
  startAll,
  stopAll,
  withCpu,
} from '../macro/bench-run.js';
import { sleep } from '../macro/child.js';
import { watchChild } from '../macro/clean-up.js';
import type { Endpoint, Login } from '../macro/endpoint.js';
import { loginStorm } from '../macro/login-storm.js';
import { type KeyPairPem, selfSigned } from '../macro/self-signed.js';
import type { Values } from '../report/results.js';

const LOAD = join(import.meta.dirname, '../macro/storm-load.js');
const RUNNING_CLIENTS = 100;
const CONNECTS = 5000;
/** A quick run's of those with TLS, which cost ten times as much. */
const QUICK_TLS_CONNECTS = 1000;
/** Before a storm is watched: whoever has logged in in the last second is taken for part of one. */
const SETTLING_MS = 1500;
const CALM_MS = 3000;

export async function storm(run: BenchRun): Promise<void> {
  await storms(run, 'storm-scram', 'scram', CONNECTS);
  await storms(
    run,
    'storm-tls',
    'TLS and scram',
    run.options.isQuick ? QUICK_TLS_CONNECTS : CONNECTS,
    selfSigned(),
  );
}

async function storms(
  run: BenchRun,
  key: string,
  how: string,
  count: number,
  own?: KeyPairPem,
): Promise<void> {
  const title = `storm of ${count} connects (${how}) beside ${RUNNING_CLIENTS} running clients (CPU: per connect, running clients included)`;
  addCase(run, { key, group: 'storm', title });
  for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
    for (const contender of run.mainContenders) {
      // Postgres alone would have to fork a process for each: its limit of connections is what one would see.
      if (contender.kind === 'direct') continue;
      for (const { endpoint } of await startAll(run, [contender], 'scram', undefined, { tls: own })) {
        await measure(run, key, contender, repeat, () => blow(endpoint, count));
        await stopAll([{ contender, endpoint }]);
      }
    }
  }
}

interface Window {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

async function blow(endpoint: Endpoint, count: number): Promise<Values> {
  const runners = new Runners(endpoint.login);
  try {
    await runners.ready();
    // The first connects open server connections and warm the code up.
    await loginStorm(endpoint.login, count / 5);
    await sleep(SETTLING_MS);
    await runners.window();
    await sleep(CALM_MS);
    const calm = await runners.window();
    const cpu = await withCpu(endpoint, () => loginStorm(endpoint.login, count));
    const stormy = await runners.window();
    const { seconds, failed, firstError, p99Ms } = cpu.result;
    if (failed > 0) throw new Error(`${failed} of ${count} connects failed: ${firstError}`);
    return {
      calmP99Ms: calm.p99Ms,
      stormP99Ms: stormy.p99Ms,
      stormRatio: stormy.p99Ms / calm.p99Ms,
      maxMs: stormy.maxMs,
      loginP99Ms: p99Ms,
      tps: count / seconds,
      ...cpuValues(endpoint, cpu, count),
    };
  } finally {
    await runners.stop();
  }
}

/** Clients that query at a steady pace, in a process of their own. */
class Runners {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(login: Login) {
    const args = [LOAD, 'runners', JSON.stringify(login), String(RUNNING_CLIENTS)];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    watchChild(this.#child);
    this.#lines = createInterface({ input: this.#child.stdout! });
  }

  async ready(): Promise<void> {
    await this.#line();
  }

  /** Latencies since the last call. */
  async window(): Promise<Window> {
    this.#child.stdin?.write('\n');
    return JSON.parse(await this.#line()) as Window;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  async #line(): Promise<string> {
    const ended = once(this.#child, 'exit').then(() => {
      throw new Error('the running clients ended');
    });
    const [line] = (await Promise.race([once(this.#lines, 'line'), ended])) as [string];
    return line;
  }
}
