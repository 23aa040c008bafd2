/** [config_source]: databases and users out of tables of a Postgres database, as if they stood in files. */
import { CONFIG_SOURCE_DEFAULTS, type ConfigSourceInput } from './config-source-schema.js';
import { parseDatabaseUrl } from './database-url.js';
import type { GeneralSettings } from './defaults.js';
import { type SecretResolver, toDatabaseEntry } from './entries.js';
import type { DatabaseEntry } from './loaded-config.js';
import type { ParsedDocument } from './parse-document.js';
import type { ProblemList } from './problem-list.js';
import type { TlsTerms } from './snapshot.js';
import { type ServerTlsSettings, serverTlsSettings, serverTlsTerms } from './tls-settings.js';

export interface ConfigSourceSettings {
  /** Where it is asked: host, port, name, user, password and TLS. */
  entry: DatabaseEntry;
  tls: ServerTlsSettings & { terms: TlsTerms };
  connectTimeoutMs: number;
  /** Empty: not asked. */
  databasesQuery: string;
  usersQuery: string;
  channel: string;
  refreshIntervalMs: number;
  cacheFile: string | null;
  /** Differs where other rows are to be expected; without secrets. */
  identity: string;
}

/** Null when there is none, or `problems` says why not. */
export function readConfigSource(
  document: ParsedDocument<{ config_source?: ConfigSourceInput }> | null,
  general: GeneralSettings,
  secrets: SecretResolver,
  problems: ProblemList,
): ConfigSourceSettings | null {
  const input = document?.data.config_source;
  if (document === null || input === undefined) return null;
  const origin = document.origin.part('config_source');
  const place = origin.place('postgres');
  const text = secrets.resolve(input.postgres, place);
  const password = secrets.resolve(input.password, origin.place('password'));
  const url = text === null ? null : parseDatabaseUrl(text.reveal(), origin.part('postgres'), problems);
  if (url === null) return null;
  const login = { user: url.user.name, password: password?.reveal() ?? url.user.password };
  const entry = toDatabaseEntry({ ...url.database, ...login }, origin, secrets);
  const filled = { ...defaults(), ...input };
  const { databases_query: databasesQuery, users_query: usersQuery } = filled;
  const { host, port, serverDatabase, serverUser } = entry;
  return {
    entry,
    tls: { ...serverTlsSettings(general, entry.tls), terms: serverTlsTerms(general) },
    connectTimeoutMs: general.connect_timeout,
    databasesQuery,
    usersQuery,
    channel: filled.channel,
    refreshIntervalMs: filled.refresh_interval,
    cacheFile: filled.cache_file,
    identity: JSON.stringify([host, port, serverDatabase, serverUser, databasesQuery, usersQuery]),
  };
}

function defaults() {
  const { databases_query, users_query, channel, refresh_interval, cache_file } = CONFIG_SOURCE_DEFAULTS;
  return {
    databases_query: databases_query.default as string,
    users_query: users_query.default as string,
    channel: channel.default as string,
    refresh_interval: refresh_interval.default as number,
    cache_file: cache_file.default,
  };
}

/** `postgres://host:5432/config`, for messages. */
export function sourcePlace({ entry }: ConfigSourceSettings): string {
  const host = entry.host.includes(':') ? `[${entry.host}]` : entry.host;
  return `${host}:${entry.port}/${entry.serverDatabase}`;
}
