/**
 * `pgdog-cluster demo`: three Postgres servers, the proxy in this process, and on request a load; all of it gone
 * two seconds after Ctrl-C.
 */
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import { attachAdmin } from '../admin/attach-admin.js';
import { setUp } from '../commands/setup.js';
import { buildSnapshot } from '../config/publish-config.js';
import { openHttp } from '../http/open-http.js';
import { createLogger } from '../log/logger.js';
import { RecentLog } from '../log/recent-log.js';
import { Supervisor } from '../supervisor.js';
import { DEMO_DATABASE, demoConfiguration } from './demo-configuration.js';
import { demoDirectory, lockDemo } from './demo-state.js';
import { EmbeddedCluster } from './embedded-cluster.js';
import { freePort, portProblem } from './free-port.js';
import { Load } from './load.js';
import { styleFor, welcomeText } from './welcome.js';

export interface DemoOptions {
  /** Run the load too. */
  load?: boolean;
  /** Where the proxy listens on 127.0.0.1; default 6432. */
  port?: number;
  /** Default 2. */
  workers?: number;
}

const PORT = 6432;
const WORKERS = 2;
const METRICS_PORT = 9090;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Only what hangs gets here: the parts have deadlines of their own, which sum up to less. */
const STOP_TIMEOUT_MS = 4000;

/** From now on signals end the demo in order instead of killing it. A second one is for the impatient. */
class StopRequest {
  isRequested = false;
  readonly requested: Promise<void>;
  #resolve: () => void = () => undefined;
  #handle = (): void => {
    if (this.isRequested) this.onAgain();
    this.isRequested = true;
    this.#resolve();
  };
  onAgain: () => void = () => undefined;

  constructor() {
    this.requested = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const signal of SIGNALS) process.on(signal, this.#handle);
  }

  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#handle);
  }
}

/** What has been started and how to undo it, undone in reverse order, each step whatever the others did. */
class CleanUp {
  #steps: (() => Promise<void> | void)[] = [];

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        process.stderr.write(
          `error while stopping: ${error instanceof Error ? error.message : String(error)}\n`,
        );
      }
    }
  }
}

async function refuseTakenPort(port: number): Promise<void> {
  const problem = await portProblem('127.0.0.1', port);
  if (problem === null) return;
  const reason =
    problem === 'EADDRINUSE'
      ? 'is in use by another program (a demo or a PgBouncer that still runs?)'
      : `cannot be used (${problem})`;
  throw new Error(`port ${port} ${reason}; free it and start the demo again`);
}

/** What commits over several shards need, as `pgdog-cluster setup` makes it. */
async function makeHelperSchema(loaded: LoadedConfig): Promise<void> {
  const snapshot = await buildSnapshot(loaded, 0);
  await setUp(DEMO_DATABASE, loaded, snapshot, { out: () => {}, err: () => {} });
}

/** The same parts as `run`, in its order. `ended` is the promise of an admin's SHUTDOWN. */
async function startProxy(
  loaded: LoadedConfig,
  cleanUp: CleanUp,
  stop: StopRequest,
): Promise<{ supervisor: Supervisor; ended: Promise<void> }> {
  const recentLog = new RecentLog();
  const logger = recentLog.over(createLogger(loaded.general));
  const supervisor = new Supervisor({ loaded, logger });
  stop.onAgain = () => void supervisor.cut();
  cleanUp.add(async () => {
    await (stop.isRequested ? supervisor.drain() : supervisor.cut());
    await logger.close();
  });
  await supervisor.start();
  const admin = attachAdmin(supervisor, recentLog);
  cleanUp.add(() => admin.close());
  const http = await openHttp(admin.context, loaded.general, () => null);
  cleanUp.add(() => http?.close());
  return { supervisor, ended: admin.ended };
}

async function serve(options: DemoOptions, cleanUp: CleanUp, stop: StopRequest): Promise<void> {
  const startMs = performance.now();
  const { port = PORT, workers = WORKERS } = options;
  await refuseTakenPort(port);
  const directory = demoDirectory(port);
  cleanUp.add(lockDemo(directory));
  const cluster = await EmbeddedCluster.start(directory);
  cleanUp.add(() => cluster.stop());
  if (stop.isRequested) return;
  const metricsPort =
    (await portProblem('127.0.0.1', METRICS_PORT)) === null ? METRICS_PORT : await freePort();
  const serverPorts = cluster.servers.map((server) => server.port);
  const loaded = demoConfiguration({ serverPorts, port, metricsPort, workers });
  if (!cluster.isReused) await makeHelperSchema(loaded);
  const { supervisor, ended } = await startProxy(loaded, cleanUp, stop);
  if (stop.isRequested) return;
  const facts = {
    port,
    metricsPort,
    workers,
    ioDriver: supervisor.ioDriver,
    serverPorts,
    hasLoad: options.load === true,
    startMs: performance.now() - startMs,
    isReused: cluster.isReused,
  };
  process.stdout.write(welcomeText(facts, styleFor(process.stdout.isTTY, process.env)));
  if (options.load === true) {
    const load = Load.start(port, process.stdout);
    cleanUp.add(() => load.stop());
  }
  await Promise.race([stop.requested, ended]);
}

/**
 * Runs until SIGINT, SIGTERM, SIGHUP or an admin's SHUTDOWN; gives exit code 0 then. Throws, with everything stopped, when the demo
 * cannot start: port in use, another demo, no embedded Postgres for this machine.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const stop = new StopRequest();
  const cleanUp = new CleanUp();
  try {
    await serve(options, cleanUp, stop);
  } catch (error) {
    // initdb is in our process group and dies of Ctrl-C too: that is no failure.
    if (!stop.isRequested) throw error;
  } finally {
    if (stop.isRequested) process.stdout.write('\nstopping\n');
    const deadline = setTimeout(() => process.exit(1), STOP_TIMEOUT_MS);
    await cleanUp.run();
    clearTimeout(deadline);
    stop.close();
  }
  return 0;
}
