// Roles, bans and lag of real servers, as SHOW REPLICAS tells them.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from 'pgdog-cluster/demo/free-port';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import type { ReplicationHost } from '../support/replication-host.js';
import { eventually, run, withClients } from '../support/wire.js';

interface Row {
  port: string;
  role: string;
  health: string;
  ban_reason: string;
  replica_lag: string | null;
  timeline: string | null;
}

describe('hosts of a database with role = "auto"', () => {
  let cluster: ReplicationCluster;
  let proxy: TestProxy;
  let healthPort = 0;

  before(async () => {
    cluster = await ReplicationCluster.start({ standbyCount: 2 });
    // An ordinary user must do.
    await cluster.primary.query("CREATE ROLE app LOGIN PASSWORD 'app-password'");
    healthPort = await freePort();
    proxy = await startProxy({
      databases: cluster.databases('auto', 'relay'),
      users: [{ name: 'app', password: 'app-password' }],
      startTimeoutMs: 60_000,
      metrics: true,
      general: {
        ban_replica_lag: 800,
        read_your_writes: 'off',
        lsn_check_interval: 100,
        healthcheck_port: healthPort,
      },
    });
  });

  after(async () => {
    await proxy?.stop();
    await cluster?.stop();
  });

  const rows = () => proxy.adminQuery<Row>('SHOW REPLICAS');

  async function row(host: ReplicationHost): Promise<Row> {
    const found = (await rows()).find(({ port }) => Number(port) === host.relay.port);
    assert.ok(found);
    return found;
  }

  /** Until the host looks like this; the time it took. */
  async function until(host: ReplicationHost, wanted: Partial<Row>): Promise<number> {
    const start = performance.now();
    let now: Row | undefined;
    await eventually(`${host.name} is ${JSON.stringify(wanted)}`, async () => {
      now = await row(host);
      return Object.entries(wanted).every(([key, value]) => now?.[key as keyof Row] === value);
    }).catch((error: Error) => assert.fail(`${error.message}: ${JSON.stringify(now)}\n${proxy.output}`));
    return performance.now() - start;
  }

  it('finds the primary and its replicas, and no lag on an idle system', async () => {
    await until(cluster.primary, { role: 'primary', health: 'healthy', timeline: '1' });
    for (const standby of cluster.standbys) {
      await until(standby, { role: 'replica', health: 'healthy', ban_reason: '', replica_lag: '0' });
    }
  });

  it('an operator may ban a host beside all that is measured', async () => {
    const [standby] = cluster.standbys;
    const pools = await proxy.adminQuery<{ id: string; port: string; banned: boolean; role: string }>(
      'SHOW POOLS',
    );
    const pool = pools.find(({ port }) => Number(port) === standby.relay.port);
    assert.deepEqual([pool?.banned, pool?.role], [false, 'replica']);
    await proxy.adminQuery(`BAN ${pool?.id}`);
    const bans = await proxy.adminQuery<{ id: string; ban_reason: string }>('SHOW BANS');
    assert.deepEqual(
      bans.map(({ id, ban_reason }) => [id, ban_reason]),
      [[pool?.id, 'admin']],
    );
    const labels = `host="127.0.0.1",port="${standby.relay.port}"`;
    const during = await proxy.metrics();
    assert.ok(during.includes(`host_banned{${labels},reason="admin"} 1`), during);
    assert.ok(during.includes(`host_role{${labels},role="replica"} 1`), during);
    assert.ok(during.includes(`host_up{${labels}} 1`), during);
    await proxy.adminQuery('HEALTHCHECK');
    await proxy.adminQuery(`UNBAN ${pool?.id}`);
    assert.deepEqual(await proxy.adminQuery('SHOW BANS'), []);
    const answer = await fetch(`http://127.0.0.1:${healthPort}/anything`);
    assert.deepEqual([answer.status, await answer.text()], [200, 'up']);
  });

  it('a replica that falls behind is banned, and comes back when it has caught up', async () => {
    const [standby] = cluster.standbys;
    await standby.pauseReplay();
    await cluster.primary.query('CREATE TABLE behind (i int); INSERT INTO behind VALUES (1)');
    await until(standby, { ban_reason: 'replica lag' });
    assert.ok(Number((await row(standby)).replica_lag) > 800);
    await standby.resumeReplay();
    await until(standby, { ban_reason: '', replica_lag: '0' });
  });

  it('a replica that freezes is banned, and used again when it answers', async () => {
    const [, standby] = cluster.standbys;
    standby.freeze();
    await until(standby, { ban_reason: 'healthcheck failed', health: 'failing' });
    standby.thaw();
    await until(standby, { ban_reason: '', health: 'healthy' });
  });

  it('a replica that is cut off is banned, and used again when it can be reached', async () => {
    const [, standby] = cluster.standbys;
    await standby.relay.cut();
    await until(standby, { health: 'failing' });
    await standby.relay.mend();
    await until(standby, { ban_reason: '', health: 'healthy' });
  });

  it('a primary that is gone is none, a promoted standby is the next, and the old one is never believed', async () => {
    const old = cluster.primary;
    const [next, other] = cluster.standbys;
    await cluster.untilCaughtUp();
    await old.kill();
    await until(old, { role: 'unknown', health: 'failing' });
    await until(next, { role: 'replica' });
    await next.promote();
    await until(next, { role: 'primary', timeline: '2' });
    await other.follow(next);
    await old.comeBack();
    await until(old, {
      role: 'unknown',
      ban_reason: 'superseded: a primary of a newer timeline has been seen',
    });
    await until(other, { role: 'replica', ban_reason: '' });
    await eventually('four changes are told', async () => proxy.output.split('role_changed').length > 4);
  });

  it('is logged', () => {
    for (const text of ['is primary', 'is not used: replica lag', 'is used again', 'none of 127.0.0.1'])
      assert.ok(proxy.output.includes(text), text);
  });
});

it('a configured primary stays the primary when roles become "auto", though a new host has not answered yet', async () => {
  const cluster = await ReplicationCluster.start({ standbyCount: 1 });
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  const proxy = await startProxy({ databases: cluster.databases('fixed', 'direct') });
  try {
    const rolesNow = async () => (await proxy.adminQuery<Row>('SHOW REPLICAS')).map(({ role }) => role);
    await eventually('both are measured', async () => (await rolesNow()).join() === 'primary,replica');
    await withClients(proxy, 1, async (client) => {
      await run(client, 'BEGIN', 'CREATE TABLE kept (i int)');
      const path = join(proxy.directory, 'pgdog.toml');
      writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/role = "\w+"/g, 'role = "auto"'));
      const { port } = silent.address() as AddressInfo;
      appendFileSync(
        path,
        `\n[[databases]]\nname = "postgres"\nhost = "127.0.0.1"\nport = ${port}\nrole = "auto"\n`,
      );
      await proxy.adminQuery('RELOAD');
      await eventually('the new one fails', async () => proxy.output.includes(`${port} is not used`));
      await run(client, 'INSERT INTO kept VALUES (1)', 'COMMIT');
    });
    assert.equal(proxy.output.includes('was primary and is unknown'), false, proxy.output);
  } finally {
    await proxy.stop();
    silent.close();
    await cluster.stop();
  }
});
