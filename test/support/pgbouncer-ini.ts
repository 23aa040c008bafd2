/** PgBouncer's configuration on literals: loaded as it is, and by way of the files it is written as. */
import {
  assembleConfig,
  type LoadedConfig,
  ProblemList,
  Secret,
  translatePgBouncer,
  writeToml,
} from '@pgdog-cluster/core/config';

/** By absolute path. */
export type IniFiles = Readonly<Record<string, string>>;

function readFrom(files: IniFiles): (path: string) => string {
  return (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' });
    return text;
  };
}

const REST = {
  commandLine: { listen: [], isSessionMode: false, databaseUrls: [] },
  environment: {},
  cpuCount: 3,
};

export function loadIni(text: string, files: IniFiles = {}): LoadedConfig {
  const pgbouncer = { name: 'pgbouncer.ini', text };
  return assembleConfig({
    config: null,
    users: null,
    pgbouncer,
    readSecretFile: readFrom(files),
    ...REST,
  });
}

export interface WrittenFiles {
  config: string;
  users: string;
}

/** As `pgdog-cluster import-pgbouncer` writes it. */
export function writeIni(text: string, files: IniFiles = {}): WrittenFiles {
  const problems = new ProblemList();
  const source = { name: 'pgbouncer.ini', text };
  const { config, users } = translatePgBouncer(source, readFrom(files), problems);
  return {
    config: writeToml(config, problems.problems, true),
    users: writeToml(users, problems.problems, false),
  };
}

export function loadWritten({ config, users }: WrittenFiles, files: IniFiles = {}): LoadedConfig {
  return assembleConfig({
    config: { name: 'pgdog.toml', text: config },
    users: { name: 'users.toml', text: users },
    readSecretFile: readFrom(files),
    ...REST,
  });
}

/** What a start depends on, secrets in clear: without where it came from and what was said about it. */
export function essence(loaded: LoadedConfig): unknown {
  const { configFile: _file, sources: _sources, warnings: _warnings, ...rest } = loaded;
  return reveal(rest);
}

function reveal(value: unknown): unknown {
  if (value instanceof Secret) return `secret ${value.reveal()}`;
  if (value instanceof Map) return [...value].map(reveal);
  if (Array.isArray(value)) return value.map(reveal);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, reveal(inner)]));
}
