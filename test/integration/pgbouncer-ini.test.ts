// One pgbouncer.ini, accepted by PgBouncer itself and by us: a client finds the same behind both.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { freePort } from 'pgdog-cluster/demo/free-port';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { findProgram } from '../support/programs.js';
import { startProxy, type TestProxy } from '../support/proxy.js';

const pgbouncer = findProgram('pgbouncer');
const HBA = `local all all md5\nhost all app 127.0.0.1/32 scram-sha-256\nhost all ops 127.0.0.1/32 md5\n`;

let server: TestPostgres;
let directory = '';
let ini = '';
let port = 0;
let bouncer: ChildProcess | null = null;
let proxy: TestProxy;

/** In the words of PgBouncer 1.18, which Debian 12 has, and later ones. */
function iniText(): string {
  return `; both of us read this
[databases]
shop = host=${server.host} port=${server.port} dbname=postgres user=app password='app''s own' pool_size=3
mine = host=${server.host} port=${server.port} dbname=postgres
with-dash = host=${server.host} port=${server.port} dbname=postgres user=postgres password=${server.password}
[users]
ops = pool_mode=transaction max_user_connections=2
[pgbouncer]
%include ${directory}/included.ini
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = hba
auth_file = ${directory}/userlist.txt
auth_hba_file = ${directory}/hba.conf
admin_users = ops
server_lifetime = 1800.5
query_wait_timeout = 60
ignore_startup_parameters = extra_float_digits
server_reset_query = DISCARD ALL
`;
}

async function startBouncer(program: string): Promise<ChildProcess> {
  const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn(program, [...asUser, join(directory, 'pgbouncer.ini')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(child, 'exit');
  for (let attempt = 0; attempt < 200; attempt++) {
    if (output.includes('process up')) return child;
    if (child.exitCode !== null) throw new Error(`PgBouncer does not accept the file:\n${output}`);
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))]);
  }
  throw new Error(`PgBouncer does not come up:\n${output}`);
}

before(async () => {
  server = await startPostgres({
    users: [
      { name: 'app', password: "app's own" },
      { name: 'ops', password: 'ops' },
      { name: 'odd', password: 'x' },
    ],
  });
  directory = mkdtempSync(join(tmpdir(), 'pgdog-ini-'));
  chmodSync(directory, 0o755);
  port = await freePort();
  ini = iniText();
  const files = {
    'pgbouncer.ini': ini,
    'included.ini': 'pool_mode = session\nmax_client_conn = 50\n',
    'hba.conf': HBA,
    'userlist.txt': `"app" "app's own"\n"ops" "ops"\n"odd" "x" "rest"\n`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  if (pgbouncer.path !== null) bouncer = await startBouncer(pgbouncer.path);
  proxy = await startProxy({ ini, workers: 1, admin: { name: 'pgbouncer', user: 'ops', password: 'ops' } });
});

after(async () => {
  await proxy?.stop();
  if (bouncer !== null && bouncer.exitCode === null && bouncer.kill('SIGTERM')) await once(bouncer, 'exit');
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function ask(at: number, user: string, password: string, database: string, sql: string) {
  const client = new pg.Client({ host: '127.0.0.1', port: at, user, password, database });
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows[0];
  } finally {
    await client.end();
  }
}

const WHO = 'SELECT current_user::text, current_database()::text';

/** User, password, database, and who that is on the server; or how the refusal begins. */
const LOGINS: [string, string, string, unknown[] | RegExp][] = [
  ['app', "app's own", 'shop', ['app', 'postgres']],
  ['ops', 'ops', 'shop', ['app', 'postgres']],
  ['ops', 'ops', 'mine', ['ops', 'postgres']],
  ['app', "app's own", 'with-dash', ['postgres', 'postgres']],
  ['app', 'wrong', 'shop', /password authentication failed|SASL authentication failed/],
  ['ops', 'wrong', 'shop', /password authentication failed/],
];

function checkLogins(at: () => number): void {
  for (const [user, password, database, expected] of LOGINS) {
    it(`${user} with ${JSON.stringify(password)} in ${database}`, async () => {
      const answer = ask(at(), user, password, database, WHO);
      if (expected instanceof RegExp) await assert.rejects(answer, expected);
      else assert.deepEqual(await answer, expected);
    });
  }
}

describe('PgBouncer', { skip: pgbouncer.skip }, () => checkLogins(() => port));

describe('pgdog-cluster --pgbouncer-ini', () => {
  checkLogins(() => proxy.port);

  it('the operator enters the admin database by its name there', async () => {
    const rows = await proxy.adminQuery<Record<string, string>>('SHOW CONFIG');
    const value = (name: string) => rows.find((row) => (row.key ?? row.name) === name)?.value;
    assert.equal(value('max_client_conn'), '50');
    assert.equal(value('default_pool_size'), '20');
  });

  it('import-pgbouncer writes files that check accepts, over nothing', () => {
    const command = new URL('../../../packages/supervisor/bin/pgdog-cluster.js', import.meta.url).pathname;
    const run = (...args: string[]): string =>
      execFileSync(process.execPath, [command, ...args], { encoding: 'utf8', stdio: 'pipe' });
    const out = join(directory, 'out');
    assert.match(run('import-pgbouncer', join(directory, 'pgbouncer.ini'), '-o', out), /wrote .*users\.toml/);
    const files = ['-c', join(out, 'pgdog.toml'), '-u', join(out, 'users.toml')];
    assert.match(run('check', ...files, '--connect'), /ok {5}app@/);
    assert.match(readFileSync(join(out, 'pgdog.toml'), 'utf8'), /# .*pgbouncer\.ini:\d+ server_lifetime/);
    assert.throws(() => run('import-pgbouncer', join(directory, 'pgbouncer.ini'), '-o', out), /exists/);
  });
});
