import { readFileSync } from 'node:fs';
import { type AskCatalog, firstMatch, loadSqlParser, reportLines, reportObject } from '@pgdog-cluster/core';
import {
  type DatabaseEntry,
  fillTemplate,
  formatProblem,
  type LoadedConfig,
} from '@pgdog-cluster/core/config';
import type { ConfigurationOptions } from '../config/config-file.js';
import { buildSnapshot } from '../config/publish-config.js';
import { askAccess } from '../route/ask-access.js';
import { DrySession } from '../route/dry-session.js';
import { type FileStatement, splitStatements } from '../route/split-statements.js';
import { type CommandIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.js';
import { loadOrReport, readTlsOrReport } from './load-or-report.js';

export interface RouteOptions extends ConfigurationOptions {
  statement?: string;
  /** Of statements; `-` = stdin. */
  file?: string;
  /** null: the first one configured. */
  database: string | null;
  connect: boolean;
  json: boolean;
}

const HEAD_CHARS_MAX = 70;
const UNREADABLE = "cannot be read: Postgres's grammar refuses it, or it is too long";

/** `pgdog-cluster route`: where each statement would go, and why, without running anything. */
export async function route(options: RouteOptions, io: CommandIo): Promise<ExitCode> {
  const usage = (text: string): ExitCode => {
    io.err(`error: ${text}`);
    return EXIT_USAGE;
  };
  if ((options.statement === undefined) === (options.file === undefined)) {
    return usage('give either a statement or -f with a file of them');
  }
  const loaded = await loadOrReport(options, io);
  if (loaded === null) return EXIT_USAGE;
  for (const warning of loaded.warnings) io.err(`warning: ${formatProblem(warning)}`);
  const name = options.database ?? loaded.databases[0]?.name;
  const hosts = hostsOf(loaded, name ?? '');
  if (typeof hosts === 'string') return usage(`there is no database "${name}": ${hosts}`);
  if (hosts.length === 0) return usage(`there is no database "${name ?? ''}"`);
  if (loaded.sharding.has(hosts[0].name)) {
    return usage(`"${name}" has several shards: ask the running program with EXPLAIN (PGDOG) instead`);
  }
  let text = options.statement ?? '';
  try {
    if (options.file !== undefined) text = readFileSync(options.file === '-' ? 0 : options.file, 'utf8');
  } catch (error) {
    return usage(`${options.file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const statements = splitStatements(text, await loadSqlParser());
  let ask: AskCatalog | null = null;
  if (options.connect) {
    ask = await catalogOf({ ...loaded, databases: hosts }, hosts[0].name, io);
    if (ask === null) return EXIT_FAILED;
  }
  report(statements, new DrySession(hosts, loaded.general, ask), options.json, io);
  return statements.every(({ kind }) => kind !== null) ? EXIT_OK : EXIT_FAILED;
}

/** Of a configured database, or as a pattern says; a text: why it says nothing. */
function hostsOf({ databases, templates }: LoadedConfig, name: string): DatabaseEntry[] | string {
  const hosts = databases.filter((database) => database.name === name);
  const template = hosts.length > 0 ? null : firstMatch(templates, name);
  return template === null ? hosts : fillTemplate(template, name);
}

async function catalogOf(loaded: LoadedConfig, database: string, io: CommandIo): Promise<AskCatalog | null> {
  const tls = readTlsOrReport(loaded, io);
  if (tls === null) return null;
  const snapshot = await buildSnapshot(loaded, 0, tls);
  try {
    const pools = snapshot.pools.filter((pool) => pool.database === database);
    const knowledge = await askAccess(snapshot, pools);
    return (facts) => (facts.access === 'write' ? facts.reason : knowledge.whyWrite(facts));
  } catch (error) {
    io.err(`error: the catalog cannot be asked: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

function report(
  statements: readonly FileStatement[],
  session: DrySession,
  isJson: boolean,
  io: CommandIo,
): void {
  const objects: object[] = [];
  statements.forEach(({ line, text, kind, plan }, index) => {
    const judged = kind === null ? null : session.judge(kind, plan);
    if (isJson) {
      objects.push({ line, text, ...(judged === null ? { error: UNREADABLE } : reportObject(judged)) });
      return;
    }
    if (index > 0) io.out('');
    io.out(`line ${line}: ${headOf(text)}`);
    for (const each of judged === null ? [`Error: ${UNREADABLE}`] : reportLines(judged)) io.out(`  ${each}`);
  });
  if (isJson) io.out(JSON.stringify(objects, null, 2));
}

function headOf(text: string): string {
  const line = text.split(/\s+/).join(' ');
  return line.length <= HEAD_CHARS_MAX ? line : `${line.slice(0, HEAD_CHARS_MAX - 1)}…`;
}
