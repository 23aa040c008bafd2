import type { Logger } from '../log/logger.js';
import type { ShutdownPhase } from '../shutdown.js';
import { NotifySocket } from './notify-socket.js';

const US_PER_MS = 1000;
/** How often the state is looked at where no watchdog asks for more. */
const LOOK_PERIOD_MS = 1000;
/** A busy proxy's figures change with each look: nobody reads them as often. */
const STATUS_PERIOD_MS = 10_000;

/** What is told and watched. */
export interface WatchedProgram {
  readonly shutdownPhase: ShutdownPhase;
  readonly fleet: {
    servingWorkers(): readonly number[];
    isStalled(worker: number): boolean;
  };
}

export interface NotifierOptions {
  env: NodeJS.ProcessEnv;
  pid: number;
  logger: Logger;
  program: WatchedProgram;
  /** One line for `systemctl status`. */
  status: () => string;
}

/** Every worker that should turn does. One that is being restarted has no clients, and does not count. */
export function isWell({ shutdownPhase, fleet }: WatchedProgram): boolean {
  // On the way out workers end; that it does not take for ever is TimeoutStopSec's affair.
  if (shutdownPhase !== 'none') return true;
  const serving = fleet.servingWorkers();
  return serving.length > 0 && serving.every((worker) => !fleet.isStalled(worker));
}

/**
 * Tells systemd what the service does (sd_notify), and feeds its watchdog while this thread turns and every worker's
 * heartbeat is well. Without NOTIFY_SOCKET it does nothing. States as systemd has them:
 *
 *   (start) ── ready() ─► READY ── reloading() ─► RELOADING ── done ─► READY ── phase ≠ none ─► STOPPING
 */
export class ServiceNotifier {
  readonly #options: NotifierOptions;
  readonly #socket: NotifySocket | null;
  #timer: NodeJS.Timeout | null = null;
  #watchdogMs = 0;
  #fedMs = 0;
  #status = '';
  #statusMs = 0;
  #isReady = false;
  #isStoppingTold = false;

  constructor(options: NotifierOptions) {
    const { env, logger } = options;
    this.#options = options;
    this.#socket = this.#open(env.NOTIFY_SOCKET, logger);
    if (this.#socket !== null) this.#watchdogMs = watchdogMs(env, options.pid);
    // What we start ourselves must not speak for us.
    for (const variable of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[variable];
  }

  #open(address: string | undefined, logger: Logger): NotifySocket | null {
    if (address === undefined || address === '') return null;
    const opened = NotifySocket.open(address);
    if (typeof opened !== 'string') return opened;
    logger.log('warn', 'notify_failed', `systemd cannot be told anything: NOTIFY_SOCKET: ${opened}`);
    return null;
  }

  /** It serves; from here on the watchdog is fed. */
  ready(): void {
    if (this.#socket === null || this.#isReady) return;
    this.#isReady = true;
    this.#status = this.#options.status();
    this.#tell({ READY: '1', STATUS: this.#status });
    // Half the time that systemd waits, as it asks for; a third leaves room for a busy machine.
    const periodMs = this.#watchdogMs === 0 ? LOOK_PERIOD_MS : Math.min(LOOK_PERIOD_MS, this.#watchdogMs / 3);
    this.#timer = setInterval(() => this.look(), periodMs);
    this.#timer.unref();
    this.look();
  }

  /** RELOADING until `work` has ended, however it ends. */
  async reloading(work: () => Promise<void>): Promise<void> {
    const nowUs = process.hrtime.bigint() / 1000n;
    if (this.#isReady) this.#tell({ RELOADING: '1', MONOTONIC_USEC: String(nowUs), STATUS: 'reloading' });
    try {
      await work();
    } finally {
      this.#status = this.#options.status();
      if (this.#isReady && !this.#isStoppingTold) this.#tell({ READY: '1', STATUS: this.#status });
    }
  }

  /** The program ends. */
  close(): void {
    this.look();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#socket?.close();
    this.#isReady = false;
  }

  /** Looks what has changed, and tells it. Also called by a timer. */
  look(): void {
    if (!this.#isReady) return;
    const { program, status } = this.#options;
    const nowMs = performance.now();
    if (program.shutdownPhase !== 'none' && !this.#isStoppingTold) {
      this.#isStoppingTold = true;
      this.#status = status();
      this.#tell({ STOPPING: '1', STATUS: this.#status });
    } else if (nowMs - this.#statusMs >= STATUS_PERIOD_MS) {
      this.#statusMs = nowMs;
      const now = status();
      if (now !== this.#status) this.#tell({ STATUS: now });
      this.#status = now;
    }
    if (this.#watchdogMs === 0) return;
    if (nowMs - this.#fedMs < this.#watchdogMs / 4 || !isWell(program)) return;
    this.#fedMs = nowMs;
    this.#tell({ WATCHDOG: '1' });
  }

  #tell(fields: Readonly<Record<string, string>>): void {
    if (this.#socket === null || this.#socket.send(fields)) return;
    const what = Object.keys(fields).join(', ');
    this.#options.logger.log('warn', 'notify_failed', `systemd was not told ${what}`);
  }
}

/** How long systemd waits for a sign of life; 0 = it does not, or not of this process. */
function watchdogMs({ WATCHDOG_USEC: text, WATCHDOG_PID: forPid }: NodeJS.ProcessEnv, pid: number): number {
  if (text === undefined || !/^\d{1,15}$/.test(text)) return 0;
  if (forPid !== undefined && forPid !== '' && Number(forPid) !== pid) return 0;
  return Number(text) / US_PER_MS;
}
