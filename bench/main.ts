/** `npm run bench`: measures pgdog-cluster beside PgBouncer and direct connections, and writes a report. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { type BenchRun, direct, POOL_SIZE, say, skip } from './macro/bench-run.js';
import { cleanUp, installSignalHandlers, onCleanUp } from './macro/clean-up.js';
import type { Contender, Login } from './macro/endpoint.js';
import { initialise } from './macro/pgbench.js';
import { pgbouncer } from './macro/pgbouncer.js';
import { isBuilt, pgdogCluster } from './macro/pgdog-cluster.js';
import { type PostgresServer, startPostgres } from './macro/postgres-server.js';
import { cpuModel } from './macro/proc.js';
import { findProgram, identify, PACKAGES, type Program } from './macro/programs.js';
import { type Group, type Options, parseOptions, USAGE, UsageError } from './options.js';
import { markdown } from './report/markdown.js';
import { plots } from './report/plots.js';
import type { Environment, Results } from './report/results.js';
import { type Roles, verdict } from './report/verdict.js';
import { COPY_KEYS, copy } from './workloads/copy.js';
import { idle } from './workloads/idle.js';
import { pipeline } from './workloads/pipeline.js';
import { reconnect } from './workloads/reconnect.js';
import { ROUTING_KEYS, routing } from './workloads/routing.js';
import { SHARDING_KEYS, sharding } from './workloads/sharding.js';
import { SMALL_POOL_SIZE, SMALL_POOL_WORKERS, smallPool } from './workloads/small-pool.js';
import { storm } from './workloads/storm.js';
import { texts } from './workloads/texts.js';
import { throughput } from './workloads/throughput.js';
import { tls } from './workloads/tls.js';
import { transfer } from './workloads/transfer.js';

/** dist/ is two levels below the repository. */
const REPOSITORY = join(import.meta.dirname, '../..');
const SCALE = 10;

const WORKLOADS: Record<Group, (run: BenchRun) => Promise<void>> = {
  throughput,
  reconnect,
  idle,
  transfer,
  texts,
  'small-pool': smallPool,
  pipeline,
  tls,
  storm,
  routing,
  sharding,
  copy,
};

function ourVersion(): string {
  const path = join(REPOSITORY, 'packages/supervisor/package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

function environment(
  server: PostgresServer,
  pgbench: Program | null,
  bouncers: readonly Contender[],
): Environment {
  const versions: Record<string, string> = { 'pgdog-cluster': ourVersion(), Postgres: server.version };
  if (pgbench !== null) versions.pgbench = pgbench.version;
  for (const one of bouncers) versions[one.label] = one.version;
  return {
    date: new Date().toISOString(),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    kernel: release(),
    cpu: cpuModel(),
    coreCount: cpus().length,
    memoryMb: Math.round(totalmem() / 1e6),
    node: process.version,
    versions,
  };
}

/** One per program found, each as a single process; PgBouncer from PATH first, then the one the environment names. */
async function pgbouncers(server: Login): Promise<{ contenders: Contender[]; programs: Program[] }> {
  const paths = new Set<string>();
  const onPath = findProgram('pgbouncer');
  if (onPath !== null) paths.add(onPath);
  if (process.env.PGBOUNCER !== undefined && process.env.PGBOUNCER !== '') paths.add(process.env.PGBOUNCER);
  const programs: Program[] = [];
  for (const path of paths) programs.push(await identify(path));
  const contenders = programs.map((program, index) =>
    pgbouncer(program, server, 1, index === 0 ? 'pgbouncer' : `pgbouncer-${program.version}`),
  );
  return { contenders, programs };
}

function ours(server: Login, workerCounts: readonly number[]): Contender[] {
  if (!isBuilt()) return [];
  const version = ourVersion();
  return workerCounts.flatMap((workers) =>
    (['io_uring', 'epoll'] as const).map((driver) => pgdogCluster(server, version, driver, workers)),
  );
}

async function prepare(options: Options): Promise<BenchRun> {
  const folder = mkdtempSync(join(tmpdir(), 'pgdog-bench-logs-'));
  chmodSync(folder, 0o755);
  onCleanUp(() => rmSync(folder, { recursive: true, force: true }));
  const pgbenchPath = findProgram('pgbench');
  const pgbench = pgbenchPath === null ? null : await identify(pgbenchPath);
  const server = await startPostgres();
  say(`Postgres ${server.version} on port ${server.owner.port}`);
  if (pgbench !== null) await initialise(pgbench.path, server.pooled, SCALE);
  const bouncers = await pgbouncers(server.pooled);
  const [main, ...further] = options.workerCounts;
  const mainContenders = [direct(server), ...ours(server.pooled, [main]), ...bouncers.contenders];
  const several =
    options.isQuick || bouncers.programs.length === 0 || cpus().length < 2
      ? []
      : [pgbouncer(bouncers.programs[bouncers.programs.length - 1], server.pooled, 2, 'pgbouncer-x2')];
  const contenders = [...mainContenders, ...ours(server.pooled, further), ...several];
  const results: Results = {
    environment: environment(server, pgbench, bouncers.contenders),
    settings: {
      poolSize: POOL_SIZE,
      scale: SCALE,
      repeats: options.repeatCount,
      secondsPerRun: options.seconds,
    },
    contenders: contenders.map(({ key, label, version, kind }) => ({ key, label, version, kind })),
    cases: [],
    measurements: [],
    skipped: [],
  };
  const run: BenchRun = { options, server, pgbench, folder, contenders, mainContenders, results };
  if (bouncers.programs.length === 0) skip(run, 'PgBouncer', `not found: ${PACKAGES.pgbouncer}`);
  if (!isBuilt()) skip(run, 'pgdog-cluster', 'not built: npx tsc -b');
  return run;
}

function rolesOf(run: BenchRun): Roles {
  const [main] = run.options.workerCounts;
  const one = run.options.workerCounts.includes(1) ? 1 : main;
  const bouncers = run.mainContenders.filter((contender) => contender.kind === 'pgbouncer');
  const key = (driver: string, workers: number): string => `ours-${driver}-${workers}`;
  const both = (workers: number) => ({ io_uring: key('io_uring', workers), epoll: key('epoll', workers) });
  return {
    uring: key('io_uring', main),
    epoll: key('epoll', main),
    uringOneWorker: key('io_uring', one),
    epollOneWorker: key('epoll', one),
    pgbouncers: bouncers.map((contender) => ({ key: contender.key, label: contender.label })),
    smallPoolOne: both(1),
    smallPoolMany: both(SMALL_POOL_WORKERS),
    smallPoolSize: SMALL_POOL_SIZE,
    routing: ROUTING_KEYS,
    sharding: SHARDING_KEYS,
    copies: COPY_KEYS,
  };
}

function writeReport(run: BenchRun): void {
  const { outFolder, name } = run.options;
  mkdirSync(outFolder, { recursive: true });
  const figures = verdict(run.results, rolesOf(run));
  const base = run.mainContenders.find((contender) => contender.kind === 'pgbouncer')?.key ?? null;
  writeFileSync(join(outFolder, `${name}.json`), `${JSON.stringify({ ...run.results, figures }, null, 1)}\n`);
  writeFileSync(
    join(outFolder, `${name}.svg`),
    plots(
      run.results,
      run.mainContenders.map((contender) => contender.key),
    ),
  );
  writeFileSync(join(outFolder, `${name}.md`), markdown(run.results, figures, base, `${name}.svg`));
  for (const one of figures)
    say(`${one.reached.padEnd(13)}${one.what}: ${one.measured} (target ${one.target})`);
  say(`report: ${relative(process.cwd(), join(outFolder, `${name}.md`))}`);
}

async function main(): Promise<void> {
  if (process.argv.includes('--help')) return say(USAGE);
  const options = parseOptions(process.argv.slice(2), join(REPOSITORY, 'bench/results'));
  installSignalHandlers();
  const run = await prepare(options);
  for (const group of options.groups) {
    say(`${group} (${Math.round(process.uptime())} s)`);
    try {
      await WORKLOADS[group](run);
    } catch (error) {
      skip(run, `rest of ${group}`, error instanceof Error ? error.message : String(error));
    }
  }
  writeReport(run);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n${USAGE}` : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
} finally {
  await cleanUp();
}
// Sockets of a contender that misbehaved must not keep the command waiting.
process.exit();
