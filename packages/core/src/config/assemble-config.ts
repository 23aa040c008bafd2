import { isPattern } from '../base/name-pattern.js';
import { authPasswords, toAuthQuery } from './auth-entries.js';
import { readAuthFiles } from './auth-files.js';
import { type ConfigSourceSettings, readConfigSource } from './config-source.js';
import { applyChanges, type ConfigurationChange, type PlacedInputs } from './configuration-change.js';
import { ConfigurationError } from './configuration-problem.js';
import { type CheckedParts, crossCheck } from './cross-checks.js';
import { templatesOf } from './database-template.js';
import { ADMIN_DEFAULTS, fillGeneral, fillRewrite, fillTcp, type GeneralSettings } from './defaults.js';
import { type AdminInput, SecretResolver, toAdminEntry, toDatabaseEntry, toUserEntry } from './entries.js';
import { type Environment, readEnvironment } from './environment.js';
import { splitList } from './fields.js';
import { checkHttp } from './http-checks.js';
import { KnownConfig } from './known-config.js';
import { parseListenAddress } from './listen-address.js';
import { checkListening } from './listen-checks.js';
import type { ListenAddress, LoadedConfig } from './loaded-config.js';
import { toMirror } from './mirroring.js';
import { Origin, ProblemList } from './problem-list.js';
import { type DocumentSources, type Documents, readDocuments } from './read-documents.js';
import type { GeneralInput } from './schema.js';
import type { Secret } from './secret.js';
import { checkRewrite, readSharding } from './sharding.js';
import { addSourceRows, type SourceRows } from './source-rows.js';

/** What the command line says over the files. */
export interface CommandLineSettings {
  workers?: number;
  /** `addr:port` each; replaces general.host and port. */
  listen: string[];
  poolSize?: number;
  minPoolSize?: number;
  isSessionMode: boolean;
  /** `postgres://…` each. */
  databaseUrls: string[];
}

export interface ConfigurationSources extends DocumentSources {
  commandLine: CommandLineSettings;
  /** CPUs the process may use. */
  cpuCount: number;
  changes?: ChangeSources;
}

/** Where changes by orders come from. */
export interface ChangeSources {
  /** Of persist_file, which is a path as written. @throws ConfigurationError */
  readPersisted: (persistFile: string | null) => readonly ConfigurationChange[];
  unpersisted: readonly ConfigurationChange[];
}

/** Most worker threads; the table of workers in shared memory and common sense end here. */
const WORKERS_MAX = 256;

interface GeneralParts {
  input: Record<string, unknown>;
  originOf: (key: string) => Origin;
}

/** Command line over file over environment, key by key, remembering which it was. */
function mergeGeneral(
  sources: ConfigurationSources,
  documents: Documents,
  problems: ProblemList,
): GeneralParts {
  const { commandLine } = sources;
  const given = documents.config?.data.general ?? {};
  const environment = readEnvironment(sources.environment, given, problems);
  const options: Record<string, [string, unknown]> = {
    workers: ['--workers', commandLine.workers],
    default_pool_size: ['--pool-size', commandLine.poolSize],
    min_pool_size: ['--min-pool-size', commandLine.minPoolSize],
    pooler_mode: ['--session-mode', commandLine.isSessionMode ? 'session' : undefined],
  };
  const input: Record<string, unknown> = { ...environment.values, ...given };
  for (const [key, [, value]] of Object.entries(options)) {
    if (value !== undefined) input[key] = value;
  }
  const file = documents.config?.origin.part('general');
  const originOf = (key: string): Origin => {
    if (options[key]?.[1] !== undefined) return new Origin(options[key][0]);
    const variable = environment.names.get(key);
    if (variable !== undefined) return new Origin(variable);
    return file ?? new Origin('configuration').part('general');
  };
  return { input, originOf };
}

/** general.host is a list; `--listen` replaces it and the port. Names and `*` are resolved when they are listened on. */
function listenAddresses(
  commandLine: CommandLineSettings,
  general: { host: string; port: number },
  problems: ProblemList,
): ListenAddress[] {
  const hosts = splitList(general.host);
  if (commandLine.listen.length === 0) return hosts.map((host) => ({ host, port: general.port }));
  const addresses: ListenAddress[] = [];
  for (const text of commandLine.listen) {
    const address = parseListenAddress(text, '');
    const place = { source: '--listen', line: 0, key: '' };
    if (address === null) {
      problems.error(place, `expected addr:port or [ipv6]:port, got "${text}"`);
      // Stands for what was meant: that there is no address at all would be a second word about one mistake.
      addresses.push({ host: '*', port: general.port });
    } else if (address.host !== '') addresses.push(address);
    else for (const host of hosts.length > 0 ? hosts : ['*']) addresses.push({ host, port: address.port });
  }
  return addresses;
}

function readAdmin(documents: Documents, environment: Environment, secrets: SecretResolver) {
  const inputs: { input: AdminInput; origin: Origin }[] = [];
  const variable = environment.PGDOG_ADMIN_PASSWORD;
  if (variable) inputs.push({ input: { password: variable }, origin: new Origin('PGDOG_ADMIN_PASSWORD') });
  for (const document of [documents.config, documents.users]) {
    if (document?.data.admin === undefined) continue;
    inputs.push({ input: document.data.admin, origin: document.origin.part('admin') });
  }
  const defaults = { name: ADMIN_DEFAULTS.name.default, user: ADMIN_DEFAULTS.user.default };
  return toAdminEntry(inputs, defaults, secrets);
}

/** Databases and users of all sources, in their order. */
function readInputs({ config, users, urls }: Documents): PlacedInputs {
  const databases: PlacedInputs['databases'] = [];
  const people: PlacedInputs['users'] = [];
  for (const [index, input] of (config?.data.databases ?? []).entries()) {
    databases.push({ input, origin: config!.origin.part('databases', index) });
  }
  for (const [index, input] of (users?.data.users ?? []).entries()) {
    people.push({ input, origin: users!.origin.part('users', index) });
  }
  for (const { database, user, origin } of urls) {
    databases.push({ input: database, origin });
    people.push({ input: user, origin });
  }
  return { databases, users: people };
}

function toEntries(
  inputs: PlacedInputs,
  documents: Documents,
  secrets: SecretResolver,
  known: KnownConfig,
): Pick<CheckedParts, 'databases' | 'users' | 'mirrors'> {
  const mirrors = (documents.config?.data.mirroring ?? []).map((input, index) => ({
    input,
    origin: documents.config!.origin.part('mirroring', index),
  }));
  return {
    databases: inputs.databases.map(({ input, origin }) => {
      return { input, origin, entry: known.database(input, () => toDatabaseEntry(input, origin, secrets)) };
    }),
    users: inputs.users.map(({ input, origin }) => {
      return { input, origin, entry: known.user(input, () => toUserEntry(input, origin, secrets)) };
    }),
    mirrors,
  };
}

/** What databases have from [general]: whom to ask about unknown users, with the password for it, and about roles. */
function addGeneralWays(
  { databases, users }: Pick<CheckedParts, 'databases' | 'users'>,
  general: GeneralSettings,
  { password, secrets, known }: { password: Secret | null; secrets: SecretResolver; known: KnownConfig },
): void {
  const generalUrls = splitList(general.patroni_url ?? []);
  const passwordOf = authPasswords(users.map(({ entry }) => entry));
  for (const placed of databases) {
    const { input, entry, origin } = placed;
    const own =
      input.auth_password === undefined
        ? null
        : secrets.resolve(input.auth_password, origin.place('auth_password'));
    const patroniUrls = entry.patroniUrls.length === 0 ? generalUrls : entry.patroniUrls;
    const authQuery = toAuthQuery(input, entry, general, { own, general: password });
    if (authQuery !== null) authQuery.password ??= passwordOf(authQuery.user);
    if (authQuery === null && patroniUrls.length === entry.patroniUrls.length) continue;
    placed.entry = known.whole(entry, { ...entry, patroniUrls, authQuery });
  }
}

function sourceNames(sources: ConfigurationSources, documents: Documents): string[] {
  const { config, users, pgbouncer } = sources;
  const names = [config?.name, users?.name, pgbouncer?.name].filter((name) => name !== undefined);
  return [...names, ...documents.included, ...documents.urls.map((url) => url.origin.source)];
}

/** All files are read, and it is known whom else to ask. */
export interface PreparedConfig {
  configSource: ConfigSourceSettings | null;
  /** @param rows null: as if it had none */
  finish(rows: SourceRows | null): LoadedConfig;
}

interface Preparation {
  documents: Documents;
  generalParts: GeneralParts;
  configSource: ConfigSourceSettings | null;
  warnings: ProblemList['problems'];
}

/**
 * Reads what there is to read. Pure: files are given as text, others through functions. Throws ConfigurationError with every error
 * found, as `finish` does.
 */
export function prepareConfig(sources: ConfigurationSources): PreparedConfig {
  const problems = new ProblemList();
  const documents = readDocuments(sources, problems);
  const generalParts = mergeGeneral(sources, documents, problems);
  // What is ill-formed has no entries to compare: telling both would drown the cause in its consequences.
  if (problems.hasErrors) throw new ConfigurationError(problems.problems);
  const secrets = new SecretResolver(sources, problems);
  const general = fillGeneral(generalParts.input as GeneralInput);
  const configSource = readConfigSource(documents.config, general, secrets, problems);
  if (problems.hasErrors) throw new ConfigurationError(problems.problems);
  const prepared = { documents, generalParts, configSource, warnings: problems.problems };
  return { configSource, finish: (rows) => finishConfig(sources, prepared, rows) };
}

/** One checked configuration out of both files, URLs, options and environment, without [config_source]. */
export function assembleConfig(sources: ConfigurationSources): LoadedConfig {
  return prepareConfig(sources).finish(null);
}

function finishConfig(
  sources: ConfigurationSources,
  { documents, generalParts, configSource, warnings }: Preparation,
  rows: SourceRows | null,
): LoadedConfig {
  const problems = new ProblemList();
  problems.problems.push(...warnings);
  const { known = new KnownConfig() } = sources;
  const secrets = new SecretResolver(sources, problems);
  const general = fillGeneral(generalParts.input as GeneralInput);
  known.beginEntries(general);
  const admin = readAdmin(documents, sources.environment, secrets);
  const persisted = sources.changes?.readPersisted(general.persist_file) ?? [];
  const unpersisted = sources.changes?.unpersisted ?? [];
  const written = readInputs(documents);
  addSourceRows(written, rows, problems);
  const inputs = applyChanges([...persisted, ...unpersisted], written, problems);
  if (problems.hasErrors) throw new ConfigurationError(problems.problems);
  const entries = toEntries(inputs, documents, secrets, known);
  const { input: generalInput, originOf: generalOrigin } = generalParts;
  const generalPlace = (key: string) => generalOrigin(key).place(key);
  const authPassword = secrets.resolve(general.auth_password ?? undefined, generalPlace('auth_password'));
  // Kept as a Secret only: settings are printed.
  general.auth_password = null;
  const httpToken = secrets.resolve(
    general.openmetrics_token ?? undefined,
    generalPlace('openmetrics_token'),
  );
  general.openmetrics_token = null;
  checkHttp(general, httpToken, generalPlace, problems);
  addGeneralWays(entries, general, { password: authPassword, secrets, known });
  const authFiles = readAuthFiles(general, generalPlace, sources.readSecretFile, problems);
  const listen = listenAddresses(sources.commandLine, general, problems);
  const sections = documents.config && { input: documents.config.data, origin: documents.config.origin };
  checkListening({ general, generalInput, generalOrigin }, listen, problems);
  const parts = { general, generalInput, generalOrigin, sections, ...entries, ...authFiles };
  crossCheck({ ...parts, isSourced: rows !== null, known }, admin, problems);
  const all = entries.databases.map((placed) => placed.entry);
  const databases = all.filter(({ name }) => !isPattern(name));
  const rewrite = fillRewrite(sections?.input.rewrite ?? {});
  if (sections !== null) checkRewrite(rewrite, sections.origin.part('rewrite'), problems);
  const sharding = readSharding({ sections, databases, general, rewrite }, problems);
  if (problems.hasErrors) throw new ConfigurationError(problems.problems);
  known.endEntries();

  return {
    general,
    tcp: fillTcp(documents.config?.data.tcp ?? {}),
    admin,
    httpToken,
    databases,
    templates: templatesOf(all),
    users: entries.users.map((placed) => placed.entry),
    ...authFiles,
    mirrors: entries.mirrors.map(({ input }) => toMirror(input, general)),
    sharding,
    rewrite,
    tenantColumn: documents.config?.data.multi_tenant?.column ?? null,
    configFile: sources.config?.name ?? sources.pgbouncer?.name ?? null,
    listen,
    workerCount: Math.min(WORKERS_MAX, general.workers || sources.cpuCount),
    configSource,
    layers: { persisted, unpersisted, unmatched: inputs.unmatched, rows },
    sources: sourceNames(sources, documents),
    warnings: problems.problems,
  };
}
