import { counted, PgDogError } from '@pgdog-cluster/core';
import {
  ConfigurationError,
  formatListenAddress,
  formatProblem,
  type LoadedConfig,
} from '@pgdog-cluster/core/config';
import type { AdminContext } from '../admin/admin-context.js';
import { type AttachedAdmin, attachAdmin } from '../admin/attach-admin.js';
import { type ConfigurationOptions, type KnownReads, newReads, prepareFiles } from '../config/config-file.js';
import { ConfigWatch } from '../config/config-watch.js';
import { loadAtReload, loadAtStart } from '../config/load-with-source.js';
import { type HealthServer, openHealth } from '../http/health-server.js';
import type { HttpServer } from '../http/http-server.js';
import { openHttp } from '../http/open-http.js';
import { type LogDestination, logFile } from '../log/log-destination.js';
import { createLogger, type Logger } from '../log/logger.js';
import { RecentLog } from '../log/recent-log.js';
import { besideConfig, PidFile } from '../pid-file.js';
import { Supervisor, type SupervisorOptions } from '../supervisor.js';
import { passedListeners } from '../systemd/passed-sockets.js';
import { ServiceNotifier } from '../systemd/service-notifier.js';
import { statusOf } from '../systemd/status-line.js';
import { beginTakeOver, finishTakeOver, offerTakeOver } from '../takeover/online-restart.js';
import { VERSION } from '../version.js';
import { type CommandIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.js';
import { reportingLater } from './load-or-report.js';
import { probeServers } from './probe-servers.js';

/** One line, with what to do about it where the error knows. */
function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError) return error.errors.map(describeFailure).join('\n');
  if (error instanceof ConfigurationError) return error.problems.map(formatProblem).join('\n');
  const hint = error instanceof PgDogError && error.hint !== '' ? ` (${error.hint})` : '';
  return error.message + hint;
}

function logStart(loaded: LoadedConfig, logger: Logger): void {
  for (const warning of loaded.warnings) logger.log('warn', 'configuration', formatProblem(warning));
  if (loaded.admin.password === null) {
    logger.log(
      'info',
      'admin_password_unset',
      'nobody may enter the admin database: set [admin] password or PGDOG_ADMIN_PASSWORD',
    );
  }
  const addresses = loaded.listen.map(({ host }) => host);
  const isLocal = addresses.every(
    (host) => host === 'localhost' || host === '::1' || host.startsWith('127.'),
  );
  if (loaded.general.auth_type === 'trust' && !isLocal) {
    logger.log('warn', 'trust_is_open', 'auth_type is "trust": whoever reaches the port may enter', {
      listen: loaded.listen.map(formatListenAddress).join(','),
    });
  }
}

/** SIGUSR1 and SIGUSR2 do as PAUSE and RESUME of all databases. (Node's own use of SIGUSR1, its debugger, ends with it.) */
function pauseSignals(supervisor: Supervisor, logger: Logger): [NodeJS.Signals, () => void][] {
  const signal = new AbortController().signal;
  const obey = (name: NodeJS.Signals, order: () => Promise<void>) => () => {
    // What becomes of it the log says; nobody waits for an answer.
    order().catch((error) => {
      logger.log('warn', 'signal_refused', `${name}: ${describeFailure(error)}`, { signal: name });
    });
  };
  return [
    ['SIGUSR1', obey('SIGUSR1', () => supervisor.desk.pause(null, signal))],
    ['SIGUSR2', obey('SIGUSR2', () => supervisor.desk.resume(null))],
  ];
}

/** Drain at the first SIGTERM or SIGINT, cut at the second. Resolves when the supervisor has stopped. */
function untilStopped(supervisor: Supervisor, notifier: ServiceNotifier, logger: Logger): Promise<void> {
  return new Promise((resolve, reject) => {
    let signals = 0;
    const onStop = (signal: NodeJS.Signals) => {
      signals++;
      // The supervisor logs the drain itself.
      if (signals > 1) logger.log('info', 'shutdown', `${signal} again: stopping at once`);
      const ending = signals === 1 ? supervisor.drain(signal) : supervisor.cut();
      notifier.look();
      ending.then(done, reject);
    };
    const onHangUp = () => {
      // What goes wrong is logged there.
      notifier.reloading(() => supervisor.reloads.reload('SIGHUP')).catch(() => {});
    };
    const pausing = pauseSignals(supervisor, logger);
    const done = () => {
      for (const [signal, obey] of pausing) process.off(signal, obey);
      process.off('SIGTERM', onStop);
      process.off('SIGINT', onStop);
      process.off('SIGHUP', onHangUp);
      resolve();
    };
    process.on('SIGTERM', onStop);
    process.on('SIGINT', onStop);
    process.on('SIGHUP', onHangUp);
    for (const [signal, obey] of pausing) process.on(signal, obey);
  });
}

/** log_file; undefined = standard output, null after a line that says why it cannot be used. */
function logOrReport(loaded: LoadedConfig, io: CommandIo): LogDestination | undefined | null {
  const { log_file: path } = loaded.general;
  if (path === null) return undefined;
  try {
    return logFile(besideConfig(path, loaded));
  } catch (error) {
    io.err(`error: cannot write log_file: ${describeFailure(error)}`);
    return null;
  }
}

export interface RunOptions extends ConfigurationOptions {
  /** From the running process, if there is one. */
  isTakeOver: boolean;
}

/** Sockets that exist already: that systemd opened, or another process has; null after a line that says why they cannot be used. */
async function socketsOrReport(loaded: LoadedConfig, isTakeOver: boolean, logger: Logger, io: CommandIo) {
  try {
    const listeners = passedListeners(loaded.general.port, logger);
    const takeOver = isTakeOver && listeners === undefined ? await beginTakeOver(loaded, logger) : null;
    return { listeners, takeOver, adopted: takeOver ?? undefined };
  } catch (error) {
    io.err(`error: ${describeFailure(error)}`);
    return null;
  }
}

/** What only one process can have: two ports and a file. */
class OwnThings {
  readonly #supervisor: Supervisor;
  #http: HttpServer | null = null;
  #health: HealthServer | null = null;
  #pidFile: PidFile | null = null;

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor;
  }

  /**
   * What does not work leaves the others as they are; whoever balances over us asks the health port, so it comes first.
   * @throws AggregateError of what did not
   */
  async open(context: AdminContext, loaded: LoadedConfig): Promise<void> {
    const { general } = loaded;
    const steps = [
      async () => {
        this.#health = await openHealth(context, general.healthcheck_port);
      },
      async () => {
        this.#http = await openHttp(context, general, () => this.#supervisor.loaded.httpToken);
      },
      async () => {
        this.#pidFile = PidFile.write(loaded);
      },
    ];
    const errors: unknown[] = [];
    for (const step of steps) await step().catch((error: unknown) => errors.push(error));
    if (errors.length > 0) throw new AggregateError(errors);
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#pidFile?.remove();
    this.#pidFile = null;
    const servers = [this.#http, this.#health];
    [this.#http, this.#health] = [null, null];
    for (const server of servers) await server?.close();
  }
}

function logReady(supervisor: Supervisor, logger: Logger): void {
  const { snapshot, ioDriver, loaded, addresses } = supervisor;
  const where = addresses.map(formatListenAddress).join(', ');
  const what = `${counted(loaded.workerCount, 'worker')}, ${ioDriver}, ${counted(snapshot.pools.length, 'pool')}`;
  logger.log('info', 'ready', `pgdog-cluster ${VERSION} ready on ${where}, ${what}`);
  void probeServers(snapshot, logger);
}

/** Every reload is an occasion: logrotate has moved the file away and sent SIGHUP. */
function reopenLog(logger: Logger): void {
  try {
    logger.reopen?.();
  } catch (error) {
    const text = `log_file cannot be opened anew: ${describeFailure(error)}; the one that is open is written on`;
    logger.log('error', 'log_file_reopen', text);
  }
}

/** With the watch over its files, `files` among them, which is not started. */
function makeSupervisor(
  start: Pick<SupervisorOptions, 'loaded' | 'logger' | 'listeners' | 'adopted'>,
  options: ConfigurationOptions,
  { files, known }: { files: ReadonlySet<string>; known: KnownReads },
): { supervisor: Supervisor; watch: ConfigWatch } {
  const watch = new ConfigWatch({
    logger: start.logger,
    files: known.files,
    isOn: () => supervisor.loaded.general.config_watch,
    // What goes wrong is logged there.
    onChange: () => void supervisor.reloads.reload('file watch').catch(() => {}),
  });
  for (const path of files) watch.note(path);
  const load: SupervisorOptions['load'] = (unpersisted) => {
    reopenLog(start.logger);
    const prepared = prepareFiles(options, (path) => watch.note(path), unpersisted, known);
    return loadAtReload(prepared, supervisor.loaded);
  };
  const supervisor: Supervisor = new Supervisor({ ...start, load, watch });
  return { supervisor, watch };
}

function notifierOf(program: Supervisor, logger: Logger): ServiceNotifier {
  const { env, pid } = process;
  return new ServiceNotifier({ env, pid, logger, program, status: () => statusOf(program) });
}

/** `pgdog-cluster run`: serves until told to stop. 2 for a bad configuration, 1 when it cannot start. */
export async function run(options: RunOptions, io: CommandIo): Promise<ExitCode> {
  const files = new Set<string>();
  const known = newReads();
  const prepare = () => prepareFiles(options, (path) => files.add(path), [], known);
  const start = await reportingLater(() => loadAtStart(prepare()), io);
  if (start === null) return EXIT_USAGE;
  const { loaded, trouble } = start;
  const recentLog = new RecentLog();
  const destination = logOrReport(loaded, io);
  if (destination === null) return EXIT_FAILED;
  const logger = recentLog.over(createLogger(loaded.general, destination));
  logStart(loaded, logger);
  if (trouble !== '') logger.log('warn', 'config_source_failed', `config_source ${trouble}`);
  const sockets = await socketsOrReport(loaded, options.isTakeOver, logger, io);
  if (sockets === null) return EXIT_FAILED;
  const { takeOver, ...given } = sockets;
  const { supervisor, watch } = makeSupervisor({ loaded, logger, ...given }, options, { files, known });
  const notifier = notifierOf(supervisor, logger);
  // Before the start: a signal in the middle of it must not kill the threads in mid-work.
  const stopped = untilStopped(supervisor, notifier, logger);
  let admin: AttachedAdmin | null = null;
  const own = new OwnThings(supervisor);
  try {
    await supervisor.start();
    admin = attachAdmin(supervisor, recentLog);
    if (takeOver !== null) await finishTakeOver(takeOver, logger);
    await own.open(admin.context, loaded).catch((error: unknown) => {
      // Nobody else serves any more: to end for the sake of figures would be the greater harm.
      if (takeOver === null) throw error;
      for (const one of error instanceof AggregateError ? error.errors : [error]) {
        logger.log('error', 'start_incomplete', describeFailure(one));
      }
    });
  } catch (error) {
    admin?.close();
    takeOver?.abandon();
    await own.close();
    await supervisor.cut();
    await logger.close();
    io.err(`error: ${describeFailure(error)}`);
    return EXIT_FAILED;
  }
  if (supervisor.shutdownPhase === 'none') {
    watch.start();
    logReady(supervisor, logger);
  }
  notifier.ready();
  const { offer, ended } = offerTakeOver(supervisor, logger, () => own.close());
  await Promise.race([stopped, admin.ended, ended]);
  watch.close();
  offer.close();
  admin.close();
  await own.close();
  notifier.close();
  await logger.close();
  return EXIT_OK;
}
