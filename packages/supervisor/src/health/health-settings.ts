import type { LoadedConfig } from '@pgdog-cluster/core/config';

/** Durations of checks and limits of bans, from the configuration. */
export interface HealthSettings {
  /** Between two checks of a host among several. */
  intervalMs: number;
  /** After the start; 0 = at once. */
  delayMs: number;
  /** Silence of this length counts as a failed check, and again after as much. */
  patienceMs: number;
  /** Then the connection is given up. */
  timeoutMs: number;
  /** Of hosts that are alone: between knocks (0 = never), and before the first. */
  idleIntervalMs: number;
  idleDelayMs: number;
  banMs: number;
  /** Beyond, a replica is banned. */
  lagMsMax: number;
  lagBytesMax: number;
  isCheckRequired: boolean;
}

/** Where no interval is set: often enough for reads to return to a replica soon after it has replayed a write. */
const INTERVAL_MS = 200;
const INTERVAL_RELAXED_MS = 1_000;
/** A timer takes no longer. */
const DURATION_MS_MAX = 0x7fff_ffff;
/** A connection that is silent for so many times the patience is given up. */
const PATIENCE_TIMES = 4;

const orOff = (value: number) => (value > DURATION_MS_MAX ? 0 : value);

export function healthSettings({ general }: Pick<LoadedConfig, 'general'>): HealthSettings {
  const isRelaxed = general.read_your_writes === 'off';
  const intervalMs = Math.max(
    10,
    general.lsn_check_interval ?? (isRelaxed ? INTERVAL_RELAXED_MS : INTERVAL_MS),
  );
  const patienceMs = Math.max(10, general.lsn_check_timeout);
  const timeoutMs = Math.min(general.healthcheck_timeout || DURATION_MS_MAX, PATIENCE_TIMES * patienceMs);
  return {
    intervalMs: Math.min(intervalMs, DURATION_MS_MAX),
    delayMs: orOff(general.lsn_check_delay),
    patienceMs: Math.min(patienceMs, DURATION_MS_MAX),
    timeoutMs: Math.max(timeoutMs, 10),
    idleIntervalMs: orOff(general.idle_healthcheck_interval),
    idleDelayMs: orOff(general.idle_healthcheck_delay),
    banMs: general.ban_timeout,
    lagMsMax: Math.min(general.ban_replica_lag, sessionLagMsMax(general, intervalMs)),
    lagBytesMax: general.ban_replica_lag_bytes,
    isCheckRequired: general.require_healthcheck_on_discovery,
  };
}

/**
 * With read_your_writes = "session" reads return to replicas after a fixed time: one that lags as much must be out of
 * use by then, and its lag is known as late as two checks after it has grown.
 */
function sessionLagMsMax(
  { read_your_writes, read_your_writes_ms }: LoadedConfig['general'],
  intervalMs: number,
): number {
  if (read_your_writes !== 'session') return Number.POSITIVE_INFINITY;
  return Math.max(read_your_writes_ms / 2, read_your_writes_ms - 2 * intervalMs);
}
