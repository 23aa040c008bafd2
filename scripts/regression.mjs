/**
 * Postgres's own regression tests through the proxy in transaction mode, eight at a time over a pool of four, beside a direct
 * connection: of how many files psql prints the very same. Needs a build, psql, and Postgres's source of the same major version
 * as the server (embedded Postgres, or DATABASE_URL of a superuser on a server that can read the source's files).
 *
 *     PG_SOURCE=/src/postgresql-18.1 node scripts/regression.mjs
 *
 * OUT (a folder of its own): where the outputs go. POOL (4). ONLY=date,time: behind test_setup these alone.
 * Exit code 1 when a file differs that is not among KNOWN.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../test/dist/support/embedded-postgres.js';
import { startProxy } from '../test/dist/support/proxy.js';

const PARALLEL = 8;
const TEST_TIMEOUT_MS = 120_000;
const DATABASE = 'regression';

/** What differs because clients share server connections, and why. */
const KNOWN = {
  constraints: 'currval() of another statement than the one that advanced the sequence (an error)',
  guc: 'a library that another client had loaded; names of prepared statements',
  partition_prune:
    'a function that executes a statement prepared by SQL under the name the client gave (an error)',
  plancache: 'pg_prepared_statements; the error for a statement whose table is gone',
  prepare: 'pg_prepared_statements has our names',
  prepared_xacts: 'a transaction that is left prepared at the same time by another test',
  sequence: 'currval() of another statement than the one that advanced the sequence (an error)',
  stats: 'statistics that a server process has not written yet are those of another one',
  sysviews: 'pg_prepared_statements, pg_cursors: what other clients have left',
  temp: 'the temporary schema is there already',
  triggers: 'a C library that keeps a variable in the process (regress.so)',
};

const { env } = process;
const { PG_SOURCE } = env;
if (PG_SOURCE === undefined) {
  console.error('PG_SOURCE: where the source of Postgres is; see the head of this file');
  process.exit(2);
}
const source = resolve(PG_SOURCE, 'src/test/regress');
const out = env.OUT ?? mkdtempSync(join(tmpdir(), 'pgdog-regression-'));

function readSchedule() {
  const groups = readFileSync(join(source, 'parallel_schedule'), 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('test:'))
    .map((line) => line.slice('test:'.length).trim().split(/\s+/));
  const only = env.ONLY?.split(',');
  if (only === undefined) return groups;
  return groups.map((names) => names.filter((name) => name === 'test_setup' || only.includes(name)));
}

/** What pg_regress sets. */
const SETTINGS = {
  PGTZ: 'PST8PDT',
  PGDATESTYLE: 'Postgres, MDY',
  PGOPTIONS: '-c intervalstyle=postgres_verbose',
  PGCLIENTENCODING: 'UTF8',
  LC_MESSAGES: 'C',
};

function run(url, name, folder) {
  const variables = {
    ...SETTINGS,
    PG_ABS_SRCDIR: source,
    PG_ABS_BUILDDIR: folder,
    PG_LIBDIR: source,
    PG_DLSUFFIX: '.so',
  };
  const args = ['-X', '-a', '-q', '-d', url, '-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on'];
  const options = {
    env: { ...env, ...variables },
    cwd: folder,
    timeout: TEST_TIMEOUT_MS,
    maxBuffer: 2 ** 28,
  };
  return new Promise((done) => {
    const psql = execFile('psql', args, options, (error, stdout, stderr) => {
      const end = error === null ? '' : `${error.message.split('\n')[0]}\n`;
      // Of its own folder each run speaks otherwise.
      const text = `${stdout}${stderr}${end}`.replaceAll(folder, 'BUILDDIR');
      writeFileSync(join(folder, `${name}.out`), text);
      done(text);
    });
    psql.stdin.end(`\\o\n\\i ${join(source, 'sql', `${name}.sql`)}\n`);
  });
}

async function runAll(label, url, direct) {
  const folder = join(out, label);
  mkdirSync(join(folder, 'results'), { recursive: true });
  // The server writes there too, as another user.
  for (const path of [out, folder, join(folder, 'results')]) chmodSync(path, 0o777);
  const admin = new pg.Client({ connectionString: direct('postgres') });
  await admin.connect();
  await admin.query(`DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`);
  for (const { name } of (
    await admin.query("SELECT quote_ident(rolname) AS name FROM pg_roles WHERE rolname LIKE 'regress%'")
  ).rows)
    await admin.query(`DROP ROLE ${name}`).catch(() => undefined);
  await admin.query(
    `CREATE DATABASE ${DATABASE} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`,
  );
  for (const setting of ['lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time'])
    await admin.query(`ALTER DATABASE ${DATABASE} SET ${setting} = 'C'`);
  const outputs = new Map();
  for (const names of readSchedule()) {
    const left = [...names];
    const work = async () => {
      for (let name = left.shift(); name !== undefined; name = left.shift())
        outputs.set(name, await run(url, name, folder));
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
  }
  const inner = new pg.Client({ connectionString: direct(DATABASE) });
  await inner.connect();
  for (const { gid } of (
    await inner.query('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()')
  ).rows)
    await inner.query(`ROLLBACK PREPARED ${pg.escapeLiteral(gid)}`);
  await inner.end();
  await admin.end();
  return outputs;
}

const server =
  env.DATABASE_URL === undefined
    ? await startPostgres({ settings: { max_prepared_transactions: 10 } })
    : null;
const direct = (database) => {
  const url = new URL(server === null ? env.DATABASE_URL : server.url('postgres'));
  url.pathname = `/${database}`;
  return url.href;
};
const { hostname, port, username, password } = new URL(direct(DATABASE));
const proxy = await startProxy({
  workers: 1,
  databases: [
    { name: DATABASE, host: hostname, port: Number(port || 5432), pool_size: Number(env.POOL ?? 4) },
  ],
  users: [{ name: decodeURIComponent(username), password: decodeURIComponent(password), database: DATABASE }],
});
const through = new URL(direct(DATABASE));
through.hostname = '127.0.0.1';
through.port = String(proxy.port);
const wanted = await runAll('direct', direct(DATABASE), direct);
const got = await runAll('proxy', through.href, direct);
await proxy.stop();
await server?.stop();

const differing = [...wanted.keys()].filter((name) => wanted.get(name) !== got.get(name)).sort();
const news = differing.filter((name) => KNOWN[name] === undefined);
console.log(
  `${wanted.size - differing.length} of ${wanted.size} files: psql prints the same. Outputs are in ${out}`,
);
for (const name of differing) console.log(`  ${name}: ${KNOWN[name] ?? 'NOT KNOWN'}`);
process.exit(news.length === 0 ? 0 : 1);
