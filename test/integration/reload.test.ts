/** RELOAD and SIGHUP of the whole configuration: what is taken up, what stays, and what an error leaves as it was. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { clientOf, eventually, firstValue, pidOf, run, startWireProxy } from '../support/wire.js';

let server: TestPostgres;
let proxy: TestProxy;

const DATABASE = (name: string, more = '') =>
  `[[databases]]\nname = "${name}"\nhost = "127.0.0.1"\nport = ${server.port}\ndatabase_name = "postgres"\n${more}\n`;
const USER = (name: string, more = '', password = 'postgres') =>
  `[[users]]\nname = "${name}"\npassword = "${password}"\n${more}\n`;

const file = (name: string) => join(proxy.directory, name);
let firstConfig = '';

/** Everything before the databases, changed by `edit`, then these databases. */
function writeConfig(databases: string, edit: (head: string) => string = (head) => head): void {
  const head = firstConfig.slice(0, firstConfig.indexOf('[[databases]]'));
  writeFileSync(file('pgdog.toml'), edit(head) + databases);
}

function writeUsers(...users: string[]): void {
  writeFileSync(file('users.toml'), users.join('\n'));
}

async function reload(): Promise<void> {
  await proxy.adminQuery('RELOAD');
  const [{ epoch = '' } = {}] = await proxy.adminQuery<{ epoch: string }>('SHOW CONFIG_STATUS');
  await eventually('all workers have taken it up', async () => {
    const rows = await proxy.adminQuery<{ epoch: string }>('SHOW WORKERS');
    return rows.every((row) => Number(row.epoch) >= Number(epoch));
  });
}

const as = (user: string, database: string, password = 'postgres') =>
  clientOf(proxy, { user, database, password });

async function transactions(database: string, user: string): Promise<number | null> {
  const rows = await proxy.adminQuery<Record<string, string>>('SHOW STATS');
  const row = rows.find((each) => each['database'] === database && each['user'] === user);
  return row === undefined ? null : Number(row['total_xact_count']);
}

before(async () => {
  server = await startPostgres();
  await server.query("CREATE ROLE app LOGIN PASSWORD 'postgres'");
  await server.query("CREATE ROLE other LOGIN PASSWORD 'postgres'");
  proxy = await startWireProxy(server, 'epoll', {
    workers: 2,
    // Replicas here are no standbys, which nobody is to find out.
    general: { password_grace_period: 0, config_watch: false, lsn_check_delay: 3_600_000 },
    metrics: true,
  });
  firstConfig = readFileSync(file('pgdog.toml'), 'utf8');
});
after(async () => {
  await proxy.stop();
  await server.stop();
});

/** SQLSTATE and text of the last words. */
async function lastWords(client: RawClient): Promise<string> {
  const { error } = await client.expectClosed();
  return `${error?.['C']} ${error?.['M']}`;
}

async function status(): Promise<Record<string, string>> {
  const [row] = await proxy.adminQuery<Record<string, string>>('SHOW CONFIG_STATUS');
  assert.ok(row !== undefined);
  return row;
}

const ALL = 'all_databases = true';

describe('reload', () => {
  it('databases and users come and go; who is unchanged notices nothing', async () => {
    // Of one server connection, which is the same or is not.
    const keep = DATABASE('keep', 'pool_size = 1');
    writeConfig(keep + DATABASE('gone'));
    writeUsers(USER('postgres', ALL), USER('app', ALL), USER('other', ALL));
    await reload();
    const kept = await as('app', 'keep');
    const pid = await pidOf(kept);
    const count = (await transactions('keep', 'app')) ?? 0;
    const idle = await as('app', 'gone');
    const busy = await as('app', 'gone');
    const removed = await as('other', 'keep');
    await run(busy, 'BEGIN', 'CREATE TEMP TABLE t (n int)');

    // Another order, and one more in front: numbers must not go by it.
    writeConfig(DATABASE('new') + keep);
    writeUsers(USER('app', ALL), USER('postgres', ALL));
    await reload();
    assert.match(
      (await status())['changes'] ?? '',
      /database "gone" removed; database "new" added; user "other" removed/,
    );
    assert.match(await lastWords(idle), /^57P01 .*database "gone" is not configured any more/);
    assert.match(await lastWords(removed), /^57P01 .*user "other" has no access to database "keep" any more/);
    assert.equal(await firstValue(busy, 'SELECT count(*) FROM t'), '0', 'its transaction goes on');
    await run(busy, 'COMMIT');
    assert.match(await lastWords(busy), /^57P01/);
    await assert.rejects(as('app', 'gone'), /gone/);
    assert.equal(await pidOf(kept), pid, 'the server connection is the same');
    await eventually('statistics go on', async () => ((await transactions('keep', 'app')) ?? 0) > count);
    assert.equal(await transactions('new', 'app'), 0, 'a new pool begins at nothing');
    const fresh = await as('app', 'new');
    assert.equal(await firstValue(fresh, 'SELECT 1'), '1');
    await Promise.all([kept.end(), fresh.end()]);
  });

  it('an error changes nothing, and is told with file and line', async () => {
    const client = await as('app', 'keep');
    const pid = await pidOf(client);
    writeConfig(DATABASE('keep', 'pool_sizes = 3') + DATABASE('other'));
    const refused = { message: /pgdog\.toml:\d+: databases\[0\]\.pool_sizes: unknown key/, code: 'F0000' };
    const admin = await as('admin', 'admin', 'admin');
    assert.equal((await admin.query('RELOAD')).error?.['S'], 'ERROR', 'the session goes on');
    await assert.rejects(proxy.adminQuery('RELOAD'), refused);
    const row = await status();
    assert.equal(row['result'], 'failed');
    assert.match(row['error'] ?? '', refused.message);
    assert.match(row['trigger'] ?? '', /RELOAD by admin/);
    await assert.rejects(as('app', 'other'), /other/);
    assert.equal(await pidOf(client), pid);
    process.kill(proxy.pid, 'SIGHUP');
    await eventually('SIGHUP has failed as well', async () => (await status())['trigger'] === 'SIGHUP');
    writeUsers('[[users]\n');
    await assert.rejects(proxy.adminQuery('RELOAD'), /users\.toml:1/);
    writeUsers(USER('app', ALL), USER('postgres', ALL));
    writeConfig(DATABASE('keep'));
    await reload();
    assert.equal((await status())['result'], 'ok');
    await Promise.all([client.end(), admin.end()]);
  });

  it('sizes count at once; what a server connection is counts for those that come free', async () => {
    writeConfig(DATABASE('keep', 'pool_size = 1'));
    await reload();
    const [holder, waiter] = [await as('app', 'keep'), await as('app', 'keep')];
    await run(holder, 'BEGIN');
    const pid = await pidOf(holder);
    const answer = pidOf(waiter);
    writeConfig(DATABASE('keep', 'pool_size = 2'));
    await reload();
    assert.notEqual(await answer, pid, 'there is room for one more');
    assert.match((await status())['changes'] ?? '', /\(pool_size: 1 -> 2/);
    writeConfig(DATABASE('keep', 'pool_size = 2\nlock_timeout = 4321'));
    await reload();
    assert.equal(await firstValue(waiter, 'SHOW lock_timeout'), '4321ms', 'the idle one has been replaced');
    assert.equal(await pidOf(holder), pid, 'a transaction stays where it is');
    assert.equal(await firstValue(holder, 'SHOW lock_timeout'), '0');
    await run(holder, 'COMMIT');
    assert.equal(await firstValue(holder, 'SHOW lock_timeout'), '4321ms');
    await Promise.all([holder.end(), waiter.end()]);
  });

  it('a database on another host: its clients go there, those who wait too', async () => {
    writeConfig(DATABASE('keep', 'pool_size = 1'));
    await reload();
    const [holder, waiter, idle] = [
      await as('app', 'keep'),
      await as('app', 'keep'),
      await as('app', 'keep'),
    ];
    await run(holder, 'BEGIN');
    const pid = await pidOf(holder);
    const answer = pidOf(waiter);
    writeConfig(DATABASE('keep', 'pool_size = 1').replace('127.0.0.1', 'localhost'));
    await reload();
    assert.notEqual(await answer, pid);
    assert.equal(await pidOf(holder), pid);
    await run(holder, 'COMMIT');
    for (const client of [holder, waiter, idle]) assert.notEqual(await pidOf(client), pid);
    await eventually('the old pool is gone', async () => {
      const rows = await server.query('SELECT pid FROM pg_stat_activity');
      return !rows.some((row) => String(row['pid']) === pid);
    });
    await Promise.all([holder.end(), waiter.end(), idle.end()]);
  });

  it('a replica more, and less: who is connected is routed', async () => {
    writeConfig(DATABASE('keep'));
    await reload();
    const client = await as('app', 'keep');
    await run(client, 'SELECT 1');
    writeConfig(DATABASE('keep') + DATABASE('keep', 'role = "replica"').replace('127.0.0.1', 'localhost'));
    await reload();
    const replicaCount = async () => {
      const rows = await proxy.adminQuery<Record<string, string>>('SHOW STATS');
      return Number(
        rows.find((row) => row['role'] === 'replica' && row['user'] === 'app')?.['total_xact_count'] ?? 0,
      );
    };
    await eventually('it asks the replica', async () => {
      await run(client, '/* pgdog_role: replica */ SELECT 1');
      return (await replicaCount()) > 0;
    });
    writeConfig(DATABASE('keep'));
    await reload();
    await run(client, 'SELECT 1', 'BEGIN', 'CREATE TEMP TABLE written (n int)', 'COMMIT');
    await client.end();
  });

  it('removed and configured again: who is still there stays, unless it had several hosts to choose from', async () => {
    const several =
      DATABASE('several') + DATABASE('several', 'role = "replica"').replace('127.0.0.1', 'localhost');
    writeUsers(USER('postgres', ALL), USER('app', ALL));
    writeConfig(DATABASE('keep') + DATABASE('back') + several);
    await reload();
    const [client, routed] = await Promise.all([as('app', 'back'), as('app', 'several')]);
    for (const each of [client, routed]) await run(each, 'BEGIN', 'CREATE TEMP TABLE t (n int)');
    writeConfig(DATABASE('keep'));
    await reload();
    writeConfig(DATABASE('keep') + DATABASE('back') + several);
    await reload();
    await run(client, 'COMMIT', 'SELECT 1');
    await run(routed, 'COMMIT');
    assert.match(await lastWords(routed), /^57P01 .*"several" was removed and is configured again/);
    await client.end();
    writeConfig(DATABASE('keep'));
    await reload();
  });

  it('what takes a restart keeps its value, and is named', async () => {
    writeConfig(DATABASE('keep'), (head) =>
      head
        .replace(/^port = .*$/m, 'port = 1')
        .replace('[general]', '[general]\nlog_level = "debug"\nquery_timeout = 77000'),
    );
    await reload();
    const { pending_restart: pending = '', changes = '' } = await status();
    assert.match(pending, /log_level changed in the file, stays info until a restart \(debug in the file\)/);
    assert.equal(changes, 'setting query_timeout: 0 -> 77000');
    await proxy.waitForOutput('restart_needed');
    const shown = await proxy.adminQuery<Record<string, string>>('SHOW CONFIG');
    const inForce = (name: string) => shown.find((row) => row['name'] === name)?.['value'];
    assert.deepEqual([inForce('log_level'), inForce('query_timeout')], ['info', '1m 17s']);
    writeConfig(DATABASE('keep'));
    await reload();
    assert.equal((await status())['pending_restart'], '');
  });

  it('a changed password: the former one is accepted for the time of grace, and no longer', async () => {
    const grace = (ms: number) => (head: string) =>
      head.replace(/^password_grace_period = .*$/m, `password_grace_period = ${ms}`);
    writeConfig(DATABASE('keep'), grace(60_000));
    await reload();
    const before = await as('app', 'keep');
    const server_password = 'server_password = "postgres"';
    writeUsers(USER('app', `${ALL}\n${server_password}`, 'fresh'), USER('postgres', ALL));
    await reload();
    assert.match(
      (await status())['changes'] ?? '',
      /user "app" changed \(passwords changed, server_password changed\)/,
    );
    await (await as('app', 'keep', 'fresh')).end();
    await (await as('app', 'keep', 'postgres')).end();
    // Again another one, and soon over.
    writeUsers(USER('app', `${ALL}\n${server_password}`, 'fresher'), USER('postgres', ALL));
    writeConfig(DATABASE('keep'), grace(3000));
    await reload();
    for (const password of ['fresh', 'postgres', 'fresher']) await (await as('app', 'keep', password)).end();
    await proxy.waitForOutput('password_grace_over');
    await eventually('one is over, the other is not', async () => {
      return as('app', 'keep', 'fresh').then(
        (client) => client.end().then(() => false),
        () => true,
      );
    });
    await (await as('app', 'keep', 'postgres')).end();
    writeConfig(DATABASE('keep'), grace(0));
    await reload();
    await assert.rejects(as('app', 'keep', 'postgres'), /password authentication failed/);
    await run(before, 'SELECT 1');
    await before.end();
    assert.equal(proxy.output.includes('fresh'), false, 'no secret in the log');
    writeUsers(USER('app', ALL), USER('postgres', ALL));
    await reload();
  });

  it('reloads that come together are carried out together', async () => {
    const before = await status();
    await Promise.all(Array.from({ length: 20 }, () => proxy.adminQuery('RELOAD')));
    const count = Number((await status())['reloads_ok']) - Number(before['reloads_ok']);
    assert.ok(count >= 1 && count <= 20, String(count));
  });

  it('files are watched: one that cannot be used is told once', async () => {
    const on = (head: string) => head.replace('config_watch = false', 'config_watch = true');
    const failures = () =>
      proxy.output.split('reload_failed').length + proxy.output.split('nothing has changed, the old').length;
    writeConfig(DATABASE('keep'), on);
    await reload();
    const before = failures();
    writeConfig(DATABASE('keep') + DATABASE('watched'), on);
    await eventually('it is taken up', async () => (await status())['trigger'] === 'file watch');
    await (await as('app', 'watched')).end();
    writeConfig(DATABASE('keep', 'nonsense'), on);
    await eventually('it is told', async () => (await status())['result'] === 'failed');
    await eventually('the log says so', async () => failures() > before);
    const told = failures();
    await (await as('app', 'watched')).end();
    writeFileSync(file('unrelated.toml'), 'x');
    await new Promise((resolve) => setTimeout(resolve, 800));
    assert.equal(failures(), told);
    const page = await proxy.metrics();
    assert.match(page, /config_last_reload_successful 0\n/);
    assert.match(page, /config_reloads_total\{result="failed"\} [1-9]/);
    writeConfig(DATABASE('keep'));
    await eventually('the last one is fine again', async () => (await status())['result'] === 'ok');
    assert.match(await proxy.metrics(), /config_last_reload_successful 1\n/);
  });
});
