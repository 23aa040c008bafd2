/**
 * Lint, then every compiled test (or those whose path contains one of the patterns). The last line is
 * `N passed, M failed`, with `, K skipped` when there are any.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { runCommand } from './run-command.mjs';
import { TestReport } from './test-report.mjs';

/** A file that hangs must not hang the suite; the longest takes three minutes, and ten times that beside other work. */
const FILE_TIMEOUT_MS = 1_800_000;

function* testFiles(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* testFiles(path);
    else if (entry.name.endsWith('.test.js')) yield path;
  }
}

export function chooseFiles(files, patterns) {
  return files
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .sort();
}

async function lint(root) {
  const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  return runCommand(process.execPath, [biome, 'check', '--max-diagnostics=20', '--log-level=error', '.'], {
    cwd: root,
  });
}

/** Exit code: 0 when all passed. */
export async function runTests(root, args) {
  const patterns = args.filter((argument) => !argument.startsWith('-'));
  const base = join(root, 'test', 'dist');
  const files = chooseFiles(
    [...testFiles(base)].map((file) => relative(base, file)),
    patterns,
  );
  if (files.length === 0) {
    console.error(`no test file's path contains ${patterns.join(' or ')}`);
    console.log('0 passed, 1 failed');
    return 1;
  }
  const report = new TestReport(process.stdout);
  if (patterns.length === 0) report.count('biome check (lint and format)', (await lint(root)) === 0);
  process.chdir(root);
  // Every Node would read the machine's authorities at its start, a tenth of a second for each of a thousand processes; tests
  // talk to servers of their own.
  delete process.env.NODE_EXTRA_CA_CERTS;
  const stream = run({
    files: files.map((file) => join(base, file)),
    // One more than there are cores, for each waits for something a part of its time, and three at most: several tests measure
    // time, and each starts servers and threads of its own.
    concurrency: Math.min(3, availableParallelism() + 1),
    timeout: FILE_TIMEOUT_MS,
  });
  // Ctrl-C ends the test processes too (same foreground group); here it only must not skip the summary.
  process.once('SIGINT', () => report.count('interrupted', false));
  await report.read(stream, base);
  return report.finish();
}
