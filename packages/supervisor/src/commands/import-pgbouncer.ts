import { mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatProblem, ProblemList, translatePgBouncer, writeToml } from '@pgdog-cluster/core/config';
import { loadConfig } from '../config/config-file.js';
import { type CommandIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.js';
import { reporting } from './load-or-report.js';

export interface ImportOptions {
  /** Path of pgbouncer.ini. */
  ini: string;
  /** Where pgdog.toml and users.toml are written. */
  out: string;
}

/** Passwords are in both. */
const FILE_MODE = 0o600;

/** `pgdog-cluster import-pgbouncer`: what --pgbouncer-ini reads, as files of our own. Writes over nothing. */
export function importPgBouncer({ ini, out }: ImportOptions, io: CommandIo): ExitCode {
  // Whole, as at a start: what could not be run from the ini is not written either.
  const loaded = reporting(
    () => loadConfig({ pgbouncerIni: ini, listen: [], databaseUrls: [], isSessionMode: false }),
    io,
  );
  if (loaded === null) return EXIT_USAGE;
  const problems = new ProblemList();
  const { config, users } = translatePgBouncer(
    { name: ini, text: readFileSync(ini, 'utf8') },
    (path) => readFileSync(path, 'utf8'),
    problems,
  );
  for (const warning of loaded.warnings) io.err(`warning: ${formatProblem(warning)}`);
  const files = [
    { path: join(out, 'pgdog.toml'), text: writeToml(config, problems.problems, true) },
    { path: join(out, 'users.toml'), text: writeToml(users, problems.problems, false) },
  ];
  const written: string[] = [];
  try {
    mkdirSync(out, { recursive: true });
    for (const { path, text } of files) {
      writeFileSync(path, text, { flag: 'wx', mode: FILE_MODE });
      written.push(path);
    }
  } catch (error) {
    // Both or none.
    for (const path of written) unlinkSync(path);
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    const path = files[written.length].path;
    io.err(
      isThere
        ? `error: ${path} exists: choose another directory with -o`
        : `error: ${error instanceof Error ? error.message : error}`,
    );
    return EXIT_FAILED;
  }
  for (const path of written) io.out(`wrote ${path}`);
  io.out(`try it: pgdog-cluster check -c ${files[0].path} -u ${files[1].path} --connect`);
  return EXIT_OK;
}
