import {
  type ConfigSourceSettings,
  ConfigurationError,
  type LoadedConfig,
  type SourceRows,
  sourcePlace,
} from '@pgdog-cluster/core/config';
import { besideConfig } from '../pid-file.js';
import type { PreparedFiles } from './config-file.js';
import { readSourceCache } from './source-cache.js';
import { SourceConnection } from './source-connection.js';
import { readSourceTls } from './tls-files.js';

/** How the rows of [config_source] were come by. */
export interface SourceStart {
  /** Why they are not what the source says now; empty when they are. */
  trouble: string;
  rows: SourceRows | null;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Age in words: `40 s`, `3 h`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** Asks once, by a connection of its own. Rejects with the reason. */
export async function askSource(
  settings: ConfigSourceSettings,
  { configFile, onRead }: Pick<PreparedFiles, 'configFile' | 'onRead'>,
): Promise<SourceRows> {
  const connection = await SourceConnection.open(settings, readSourceTls(settings, configFile, onRead));
  try {
    return await connection.read(Date.now());
  } finally {
    connection.close();
  }
}

/** From the source, else from its copy, else nothing with the reasons. */
async function startRows(settings: ConfigSourceSettings, files: PreparedFiles): Promise<SourceStart> {
  try {
    return { rows: await askSource(settings, files), trouble: '' };
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    const trouble = `${sourcePlace(settings)} cannot be read: ${reasonOf(error)}`;
    return fromCache(settings, files, trouble);
  }
}

function fromCache(settings: ConfigSourceSettings, files: PreparedFiles, trouble: string): SourceStart {
  if (settings.cacheFile === null) return { rows: null, trouble: `${trouble}; no cache_file is set` };
  try {
    const rows = readSourceCache(besideConfig(settings.cacheFile, files), settings.identity);
    const date = new Date(rows.atMs).toISOString();
    const age = ageText(Date.now() - rows.atMs);
    return { rows, trouble: `${trouble}; its copy of ${date} is in use, ${age} old` };
  } catch (error) {
    return { rows: null, trouble: `${trouble}; ${reasonOf(error)}` };
  }
}

function failed(trouble: string, others: ConfigurationError['problems'] = []): ConfigurationError {
  const problem = { severity: 'error' as const, source: 'config_source', line: 0, key: '', message: trouble };
  return new ConfigurationError([problem, ...others]);
}

/**
 * The whole configuration, at a start: without the source as its copy has it, without that as the files have it, if they have
 * enough. Rejects with ConfigurationError.
 */
export async function loadAtStart(files: PreparedFiles): Promise<{ loaded: LoadedConfig; trouble: string }> {
  const { configSource } = files;
  if (configSource === null) return { loaded: files.finish(null), trouble: '' };
  const { rows, trouble } = await startRows(configSource, files);
  try {
    return { loaded: files.finish(rows), trouble };
  } catch (error) {
    if (trouble === '' || !(error instanceof ConfigurationError)) throw error;
    throw failed(trouble, error.problems);
  }
}

/**
 * At a reload: what is in force of the same source stays, and the source itself is asked elsewhere. Another source must be there,
 * or its copy.
 */
export async function loadAtReload(files: PreparedFiles, inForce: LoadedConfig): Promise<LoadedConfig> {
  const { configSource } = files;
  if (configSource === null) return files.finish(null);
  if (inForce.configSource?.identity === configSource.identity) return files.finish(inForce.layers.rows);
  const { rows, trouble } = await startRows(configSource, files);
  if (rows === null) throw failed(trouble);
  return files.finish(rows);
}
