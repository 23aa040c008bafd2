import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  type ChangeLayers,
  type CommandLineSettings,
  type ConfigSourceSettings,
  ConfigurationError,
  type ConfigurationProblem,
  type ConfigurationSources,
  KnownConfig,
  type LoadedConfig,
  prepareConfig,
  type SourceRows,
  type SourceText,
} from '@pgdog-cluster/core/config';
import { besideConfig } from '../pid-file.js';
import { cpuCount } from './cpu-count.js';
import { IncludedFiles } from './included-files.js';
import { KnownFiles } from './known-files.js';
import { readPersistFile } from './persist-file.js';
import { RememberedFiles } from './remembered-files.js';

const CONFIG_DEFAULT = 'pgdog.toml';
const USERS_DEFAULT = 'users.toml';

/** Everything a command line may say about the configuration. */
export interface ConfigurationOptions extends CommandLineSettings {
  /** Path of pgdog.toml; undefined = ./pgdog.toml if there is one. */
  config?: string;
  /** Path of users.toml; undefined = ./users.toml if there is one. */
  users?: string;
  /** Path of pgbouncer.ini, instead of both. */
  pgbouncerIni?: string;
}

export const NO_CONFIGURATION = [
  'nothing to serve: there is no pgdog.toml here and no -d was given. One of',
  '  pgdog-cluster -d postgres://user:password@host:5432/database',
  '  pgdog-cluster -c /etc/pgdog/pgdog.toml -u /etc/pgdog/users.toml',
  '  pgdog-cluster demo',
].join('\n');

/** Reasons as people say them; others keep the system's code. */
const REASONS: Record<string, string> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
};

function problem(source: string, message: string): ConfigurationProblem {
  return { severity: 'error', source, line: 0, key: '', message };
}

/** A file asked for by name must be there; the default one may be absent. */
function readSource(
  path: string | undefined,
  fallback: string,
  problems: ConfigurationProblem[],
  onRead: (path: string) => void,
): SourceText | null {
  onRead(resolve(path ?? fallback));
  if (path === undefined && !existsSync(fallback)) return null;
  const name = path ?? fallback;
  try {
    return { name, text: readFileSync(name, 'utf8') };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'cannot be read';
    problems.push(problem(name, REASONS[code] ?? code));
    return null;
  }
}

function hasUrlVariable(): boolean {
  return Object.keys(process.env).some((name) => name.startsWith('PGDOG_DATABASE_URL_'));
}

/** The texts that everything begins with. @throws ConfigurationError */
function readTexts(options: ConfigurationOptions, onRead: (path: string) => void) {
  const problems: ConfigurationProblem[] = [];
  const { pgbouncerIni } = options;
  const isOurs = pgbouncerIni === undefined;
  if (!isOurs && (options.config !== undefined || options.users !== undefined)) {
    problems.push(problem('--pgbouncer-ini', 'stands instead of -c and -u: give either'));
  }
  const pgbouncer = isOurs ? null : readSource(pgbouncerIni, pgbouncerIni, problems, onRead);
  const config = isOurs ? readSource(options.config, CONFIG_DEFAULT, problems, onRead) : null;
  const users = isOurs ? readSource(options.users, USERS_DEFAULT, problems, onRead) : null;
  if (problems.length > 0) throw new ConfigurationError(problems);
  if (isOurs && config === null && options.databaseUrls.length === 0 && !hasUrlVariable()) {
    throw new ConfigurationError([problem('pgdog-cluster', NO_CONFIGURATION)]);
  }
  return { config, users, pgbouncer };
}

/** The files are read, and it is known whom else to ask. */
export interface PreparedFiles {
  configSource: ConfigSourceSettings | null;
  configFile: string | null;
  onRead: (path: string) => void;
  /** @param rows of the source; null: none. Throws ConfigurationError */
  finish(rows: SourceRows | null): LoadedConfig;
}

/** What was read before. */
export interface KnownReads {
  files: KnownFiles;
  config: KnownConfig;
}

export function newReads(): KnownReads {
  return { files: new KnownFiles(), config: new KnownConfig() };
}

/** What else than the files a configuration is made of. */
interface Layers {
  unpersisted: ChangeLayers['unpersisted'];
  /** undefined: as persist_file has them now */
  persisted?: ChangeLayers['persisted'];
}

function prepare(
  sources: Omit<ConfigurationSources, 'changes'>,
  { unpersisted, persisted }: Layers,
  onRead: (path: string) => void,
): PreparedFiles {
  const configFile = (sources.config ?? sources.pgbouncer)?.name ?? null;
  const readPersisted = (file: string | null): ChangeLayers['persisted'] => {
    if (persisted !== undefined) return persisted;
    if (file === null) return [];
    const path = besideConfig(file, { configFile });
    onRead(path);
    return readPersistFile(path, file);
  };
  const prepared = prepareConfig({ ...sources, changes: { readPersisted, unpersisted } });
  const finish = (rows: SourceRows | null): LoadedConfig => {
    const loaded = prepared.finish(rows);
    loaded.layers.again = (kept, others, otherRows = rows) =>
      prepare(sources, { persisted: kept, unpersisted: others }, onRead).finish(otherRows);
    return loaded;
  };
  return { configSource: prepared.configSource, configFile, onRead, finish };
}

/**
 * Reads everything but the rows of [config_source]. Throws ConfigurationError with everything that is wrong. Costs a few
 * milliseconds; only at start and reload.
 * @param onRead told of every file that is asked for, and of every directory that is looked through, there or not; absolute
 * @param unpersisted changes by orders that nothing but this process knows of
 * @param known whose `files` are told when to look again; what is as it was is the same object again
 */
export function prepareFiles(
  options: ConfigurationOptions,
  onRead: (path: string) => void = () => {},
  unpersisted: ChangeLayers['unpersisted'] = [],
  known: KnownReads = newReads(),
): PreparedFiles {
  const texts = readTexts(options, onRead);
  const files = new RememberedFiles(new IncludedFiles(onRead, known.files), (path, source) => {
    const file = resolve(dirname(source), path);
    onRead(file);
    return readFileSync(file, 'utf8');
  });
  const { readSecretFile } = files;
  const sources = {
    ...texts,
    includes: files,
    commandLine: options,
    environment: process.env,
    cpuCount: cpuCount(),
    readSecretFile,
    known: known.config,
  };
  return prepare(sources, { unpersisted }, onRead);
}

/** Reads and checks a configuration without [config_source]; its warnings come with the result. Throws ConfigurationError. */
export function loadConfig(...given: Parameters<typeof prepareFiles>): LoadedConfig {
  return prepareFiles(...given).finish(null);
}
