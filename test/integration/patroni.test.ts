// Patroni's word on real servers: it counts before what they say themselves, as long as it is to be had.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FakePatroni } from '../support/fake-patroni.js';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import type { ReplicationHost } from '../support/replication-host.js';
import { eventually } from '../support/wire.js';

interface Row {
  port: string;
  role: string;
  ban_reason: string;
}

describe('patroni_url', () => {
  let cluster: ReplicationCluster;
  let proxy: TestProxy;
  let patroni: FakePatroni;

  const say = (leader: ReplicationHost | null): void => {
    patroni.members = cluster.hosts.map((host) => ({
      name: host.name,
      role: host === leader ? 'leader' : 'replica',
      host: '127.0.0.1',
      port: host.relay.port,
    }));
  };

  before(async () => {
    cluster = await ReplicationCluster.start({ standbyCount: 1 });
    patroni = await FakePatroni.open();
    say(cluster.primary);
    proxy = await startProxy({
      databases: cluster.databases('auto', 'relay'),
      startTimeoutMs: 60_000,
      general: {
        // The first is nobody.
        patroni_url: ['http://127.0.0.1:1', `${patroni.url}/`],
        lsn_check_interval: 100,
        checkout_timeout: 700,
      },
    });
  });

  after(async () => {
    await proxy?.stop();
    patroni?.close();
    await cluster?.stop();
  });

  async function until(host: ReplicationHost, role: string, reason = ''): Promise<void> {
    let seen: Row | undefined;
    await eventually(`${host.name} is ${role}`, async () => {
      const rows = await proxy.adminQuery<Row>('SHOW REPLICAS');
      seen = rows.find(({ port }) => Number(port) === host.relay.port);
      return seen?.role === role && seen.ban_reason === reason;
    }).catch((error: Error) => assert.fail(`${error.message}: ${JSON.stringify(seen)}\n${proxy.output}`));
  }

  it('the leader is the primary', async () => {
    await proxy.waitForOutput('Patroni says who is the primary');
    await until(cluster.primary, 'primary');
    await until(cluster.standbys[0], 'replica');
  });

  it('without a leader nobody is written to', async () => {
    say(null);
    await until(cluster.primary, 'unknown');
    await until(cluster.standbys[0], 'replica');
    say(cluster.primary);
    await until(cluster.primary, 'primary');
  });

  it('a leader that is still in recovery is not written to, and another that takes writes is fenced', async () => {
    const [standby] = cluster.standbys;
    say(standby);
    await until(cluster.primary, 'unknown', 'takes writes, but Patroni has another leader');
    await until(standby, 'replica');
    await standby.promote();
    await until(standby, 'primary');
  });

  it('while it does not answer, the hosts themselves decide', async () => {
    patroni.status = 503;
    await proxy.waitForOutput('Patroni does not answer');
    await until(cluster.standbys[0], 'primary');
    await until(cluster.primary, 'unknown', 'superseded: a primary of a newer timeline has been seen');
    patroni.status = 200;
    await until(cluster.primary, 'unknown', 'takes writes, but Patroni has another leader');
  });
});
