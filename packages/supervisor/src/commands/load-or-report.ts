import { ConfigurationError, formatProblem, type LoadedConfig, SourceRows } from '@pgdog-cluster/core/config';
import { type ConfigurationOptions, prepareFiles } from '../config/config-file.js';
import { type LoadedTls, readTls } from '../config/tls-files.js';
import type { CommandIo } from './exit-code.js';

const NOTHING = { columns: [], rows: [] };
const NO_ROWS = new SourceRows({ databases: NOTHING, users: NOTHING }, { identity: '', atMs: 0, digest: '' });

/** The configuration, or null after one line on stderr per thing that is wrong with it. */
export async function loadOrReport(
  options: ConfigurationOptions,
  io: CommandIo,
): Promise<LoadedConfig | null> {
  const start = await reportingLater(async () => {
    const files = prepareFiles(options);
    if (files.configSource === null) return { loaded: files.finish(null), trouble: '' };
    // With all that it takes to connect, which few commands need.
    const { loadAtStart } = await import('../config/load-with-source.js');
    return loadAtStart(files);
  }, io);
  if (start !== null && start.trouble !== '') io.err(`warning: config_source: ${start.trouble}`);
  return start?.loaded ?? null;
}

/** The same for who needs settings only: [config_source] is not asked. */
export function settingsOrReport(options: ConfigurationOptions, io: CommandIo): LoadedConfig | null {
  return reporting(() => {
    const files = prepareFiles(options);
    return files.finish(files.configSource === null ? null : NO_ROWS);
  }, io);
}

/** What the files of TLS say, or null likewise. */
export function readTlsOrReport(loaded: LoadedConfig, io: CommandIo): LoadedTls | null {
  return reporting(() => readTls(loaded), io);
}

/** Null after one line per problem. */
export function reporting<T>(read: () => T, io: CommandIo): T | null {
  try {
    return read();
  } catch (error) {
    return report(error, io);
  }
}

export async function reportingLater<T>(read: () => Promise<T>, io: CommandIo): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    return report(error, io);
  }
}

function report(error: unknown, io: CommandIo): null {
  if (!(error instanceof ConfigurationError)) throw error;
  for (const problem of error.problems) io.err(`${problem.severity}: ${formatProblem(problem)}`);
  return null;
}
