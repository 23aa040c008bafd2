/** What the other tests here stand on: that standbys follow, fall behind, freeze and take over when they are told to. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { Q } from '../support/frames.js';
import { RawClient } from '../support/raw-client.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { eventually, sleep } from '../support/wire.js';

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({
    initSql: 'CREATE TABLE item (id int PRIMARY KEY)',
    isSynchronous: true,
  });
});
after(() => cluster.stop());

const countOf = (name: string): Promise<string> => cluster.host(name).value('SELECT count(*) FROM item');

it('standbys have what the primary has, and say where they are', async () => {
  await cluster.primary.query('INSERT INTO item SELECT generate_series(1, 1000)');
  await cluster.untilCaughtUp();
  for (const { name } of cluster.hosts) {
    assert.equal(await countOf(name), '1000');
    assert.equal(await cluster.host(name).value("SELECT current_setting('cluster_name')"), name);
  }
  await assert.rejects(cluster.host('standby1').query('INSERT INTO item VALUES (0)'), { code: '25006' });
});

it('a paused standby answers from the past, and catches up', async () => {
  const [first, second] = cluster.standbys;
  await first.pauseReplay();
  await cluster.primary.query('INSERT INTO item VALUES (1001)');
  await cluster.untilCaughtUp([second]);
  assert.equal(await countOf(first.name), '1000');
  assert.equal(await countOf(second.name), '1001');
  await first.resumeReplay();
  await cluster.untilCaughtUp();
  assert.equal(await countOf(first.name), '1001');
});

const isAnswered = async (port: number): Promise<boolean> => {
  const client = await RawClient.open({ port, password: 'postgres', timeoutMs: 1000 }).catch(() => null);
  const answer = await client?.login().catch(() => null);
  client?.destroy();
  return answer?.status === 'I';
};

it('a frozen standby says nothing, a thawed one goes on', async () => {
  const [first] = cluster.standbys;
  await eventually('answers', () => isAnswered(first.port));
  first.freeze();
  assert.equal(await isAnswered(first.port), false);
  first.thaw();
  await eventually('answers', () => isAnswered(first.port));
});

it('a cut wire holds back everything and lets nobody in; a mended one delivers', async () => {
  const { relay } = cluster.host('standby2');
  const client = await RawClient.connect({ port: relay.port, password: 'postgres' });
  assert.equal((await client.query('SELECT 1')).status, 'I');
  await relay.cut();
  client.send(Q('SELECT 2'));
  await client.expectSilence(300);
  // Not even the handshake: connecting hangs, as it does where packets are dropped.
  const late = RawClient.open({ port: relay.port }).then(() => 'connected');
  late.catch(() => undefined);
  assert.equal(await Promise.race([late, sleep(500)]), undefined);
  await relay.mend();
  assert.equal((await client.readUntilReady()).rows[0][0], '2');
  await eventually('answers', () => isAnswered(relay.port));
  relay.reset();
  await client.expectClosed();
});

it('a standby takes over from a killed primary, the other follows it, and the old primary comes back apart', async () => {
  await cluster.primary.query('INSERT INTO item VALUES (2000)');
  await cluster.primary.kill();
  const heir = await cluster.mostAdvanced();
  const other = cluster.standbys.find((standby) => standby !== heir);
  assert.ok(other !== undefined);
  await heir.promote();
  assert.equal(await heir.isInRecovery(), false);
  await other.follow(heir);
  await heir.query('INSERT INTO item VALUES (2001)');
  await cluster.untilCaughtUp([other], heir);
  assert.equal(await other.value('SELECT count(*) FROM item WHERE id >= 2000'), '2');
  await cluster.primary.comeBack();
  // It still believes to be what it was.
  assert.equal(await cluster.primary.isInRecovery(), false);
  const before = await cluster.primary.nextTransactionNumber();
  assert.equal(await cluster.primary.value('SELECT count(*) FROM item WHERE id >= 2000'), '1');
  assert.equal(await cluster.primary.nextTransactionNumber(), before, 'reading takes no transaction number');
  assert.equal(await cluster.primary.writesSinceStart(), 0);
  await cluster.primary.query('BEGIN; INSERT INTO item VALUES (2002); ROLLBACK');
  assert.ok((await cluster.primary.nextTransactionNumber()) > before, 'writing does');
  assert.equal(await cluster.primary.writesSinceStart(), 1);
});
