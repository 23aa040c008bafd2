// `pgdog-cluster check --connect`: a line for each thing that is well or not, and the exit code.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { runProgram } from '../support/run-program.js';

let server: TestPostgres;
let cluster: ReplicationCluster;
const directory = mkdtempSync(join(tmpdir(), 'pgdog-check-'));

before(async () => {
  server = await startPostgres({
    settings: { max_connections: '20' },
    users: [
      { name: 'app', password: 'app' },
      { name: 'few', password: 'few' },
    ],
    initSql: 'ALTER ROLE few CONNECTION LIMIT 2; ALTER ROLE app SET search_path = nowhere',
  });
  await server.query('CREATE DATABASE locked');
  await server.query('REVOKE CONNECT ON DATABASE locked FROM PUBLIC');
  cluster = await ReplicationCluster.start({ standbyCount: 1 });
});
after(async () => {
  await cluster?.stop();
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const entry = (at: { host: string; port: number }, rest = ''): string =>
  `[[databases]]\nname = "shop"\nhost = "${at.host}"\nport = ${at.port}\ndatabase_name = "postgres"\n${rest}\n`;
const user = (name: string): string =>
  `[[users]]\nname = "${name}"\npassword = "${name}"\nall_databases = true\n`;

async function check(config: string, users: string) {
  writeFileSync(join(directory, 'pgdog.toml'), config);
  writeFileSync(join(directory, 'users.toml'), users);
  const { code, out, err } = await runProgram(['check', '--connect'], directory);
  return { code, text: out + err };
}

it('all is well: version and role', async () => {
  const { code, text } = await check(entry(server), user('postgres'));
  assert.match(text, /^ok {5}postgres@.*\/postgres: PostgreSQL \d+\.\d+, primary$/m);
  assert.equal(code, 0, text);
});

it('a role without a usable schema, with fewer places than its pool, a server with fewer than all pools', async () => {
  const { code, text } = await check(entry(server), user('app') + user('few') + user('postgres'));
  assert.equal(code, 0, text);
  assert.match(text, /^warning: app@.*: no schema of search_path \(nowhere\) exists and may be used/m);
  assert.match(
    text,
    /^warning: few@.*: the role takes 2 connections \(CONNECTION LIMIT\), the pool may open 10/m,
  );
  assert.match(text, /^warning: .*: the pools may open 30 connections together, the server takes 17/m);
});

it('no right to enter the database', async () => {
  const config = entry(server).replace('"postgres"', '"locked"');
  const { code, text } = await check(config, user('app') + user('postgres'));
  assert.match(text, /^FAILED app@.*\/locked: permission denied for database "locked"$/m);
  assert.match(text, /^ok {5}postgres@.*\/locked: /m);
  assert.equal(code, 1);
});

it('auth_query: asked, and refused by the server', async () => {
  const asking = (who: string): string => `[general]\nauth_user = "${who}"\nauth_password = "${who}"\n`;
  const good = await check(asking('postgres') + entry(server), user('postgres'));
  assert.match(good.text, /^ok {5}postgres@.*: auth_query answers$/m);
  assert.equal(good.code, 0, good.text);
  const bad = await check(asking('app') + entry(server), user('postgres'));
  assert.match(bad.text, /^FAILED app@.*: auth_query: permission denied for .*pg_authid$/m);
  assert.equal(bad.code, 1);
});

it('roles of hosts: a replica where a primary should be, none, two', async () => {
  const replica = cluster.standbys[0].server;
  const wrong = await check(entry(replica), user('postgres'));
  assert.match(wrong.text, /^FAILED postgres@.*replica, but role = "primary": writes will fail/m);
  assert.equal(wrong.code, 1);
  const auto = 'role = "auto"';
  const none = await check(entry(replica, auto), user('postgres'));
  assert.match(none.text, /^FAILED "shop" shard 0: none of its hosts is a primary/m);
  assert.equal(none.code, 1);
  const two = await check(entry(cluster.primary.server, auto) + entry(server, auto), user('postgres'));
  assert.match(two.text, /^FAILED "shop" shard 0: .* and .* are primaries: they do not replicate/m);
  assert.equal(two.code, 1);
  const well = await check(entry(cluster.primary.server, auto) + entry(replica, auto), user('postgres'));
  assert.match(well.text, /PostgreSQL \d+\.\d+, replica$/m);
  assert.equal(well.code, 0, well.text);
});
