import { formatListenAddress, type GeneralSettings, type LoadedConfig } from '@pgdog-cluster/core/config';

/** What a running program cannot change: sockets that are open, threads that run, memory that is mapped. */
const RESTART_ONLY = [
  'unix_socket_dir',
  'unix_socket_mode',
  'unix_socket_group',
  'listen_backlog',
  'io_driver',
  'openmetrics_host',
  'openmetrics_port',
  'openmetrics_namespace',
  'healthcheck_port',
  'log_file',
  'pid_file',
  'log_format',
  'log_level',
  'log_dedup_window',
  'log_dedup_threshold',
  'unique_id_function',
  'unique_id_min',
  'node_id',
] as const satisfies readonly (keyof GeneralSettings)[];

/** Beside them what is no key of [general] in a loaded configuration. */
const ALSO_RESTART_ONLY = ['workers', 'host', 'port'];

/** Whether a setting, by its name in SHOW CONFIG, is read at start only. */
export function isRestartOnly(name: string): boolean {
  return ALSO_RESTART_ONLY.includes(name) || RESTART_ONLY.some((key) => key === name);
}

/** A setting whose value in the files is not the one in force. */
export interface PendingSetting {
  name: string;
  inForce: string;
  inFile: string;
}

/**
 * The configuration as it can be taken up now: what only a restart changes stays as `running` has it.
 * @param running as the program was started
 */
export function keepRestartOnly(
  loaded: LoadedConfig,
  running: LoadedConfig,
): { loaded: LoadedConfig; pending: PendingSetting[] } {
  const pending: PendingSetting[] = [];
  const general: Record<string, unknown> = { ...loaded.general };
  const keep = (name: string, inFile: unknown, inForce: unknown): void => {
    if (text(inFile) !== text(inForce)) pending.push({ name, inForce: text(inForce), inFile: text(inFile) });
  };
  for (const key of RESTART_ONLY) {
    keep(key, loaded.general[key], running.general[key]);
    general[key] = running.general[key];
  }
  keep('workers', loaded.workerCount, running.workerCount);
  const where = ({ listen }: LoadedConfig) => listen.map(formatListenAddress).join(', ');
  keep('listen addresses (host, port)', where(loaded), where(running));
  keep('[[mirroring]]', JSON.stringify(loaded.mirrors), JSON.stringify(running.mirrors));
  const { workerCount, listen, mirrors } = running;
  Object.assign(general, {
    workers: running.general.workers,
    host: running.general.host,
    port: running.general.port,
  });
  return {
    loaded: { ...loaded, general: general as GeneralSettings, workerCount, listen, mirrors },
    pending,
  };
}

/** Longest value that is told. */
const VALUE_CHARS_MAX = 100;

/** `log_level changed in the file, stays info until a restart (debug in the file)`. */
export function describePending({ name, inForce, inFile }: PendingSetting): string {
  const cut = (value: string) => value.slice(0, VALUE_CHARS_MAX);
  return `${name} changed in the file, stays ${cut(inForce)} until a restart (${cut(inFile)} in the file)`;
}

function text(value: unknown): string {
  return value === null || value === undefined || value === '' ? 'unset' : String(value);
}
