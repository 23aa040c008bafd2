import { ConfigurationError, formatProblem, type LoadedConfig } from '@pgdog-cluster/core/config';
import { type ConfigurationOptions, loadConfig } from '../config/config-file.js';
import { type LoadedTls, readTls } from '../config/tls-files.js';
import type { CommandIo } from './exit-code.js';

/** The configuration, or null after one line on stderr per thing that is wrong with it. */
export function loadOrReport(options: ConfigurationOptions, io: CommandIo): LoadedConfig | null {
  return reporting(() => loadConfig(options), io);
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
    if (!(error instanceof ConfigurationError)) throw error;
    for (const problem of error.problems) io.err(`${problem.severity}: ${formatProblem(problem)}`);
    return null;
  }
}
