// Batches are looked at before a host is chosen for them: cut into two pieces at each offset, and into single bytes.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { everySplit, sendInPieces, singleBytes } from '../support/every-split.js';
import { B, C, D, E, H, P, Q, S } from '../support/frames.js';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient, type RawResult } from '../support/raw-client.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { eventually } from '../support/wire.js';

const WHERE = "SELECT current_setting('cluster_name')";
const WRITE = "INSERT INTO log VALUES (1) RETURNING current_setting('cluster_name')";
const run = (sql: string): Buffer[] => [P('', sql), B('', ''), E('')];

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({ standbyCount: 1, initSql: 'CREATE TABLE log (id int)' });
});
after(() => cluster.stop());

interface Exchange {
  parts: Buffer[];
  readyCount: number;
  /** First column of each row. */
  hosts: string[];
  tags: string[];
  status?: string;
}

const READ_TAG = 'SELECT 1';
const WRITE_TAG = 'INSERT 0 1';
const EXCHANGES: Record<string, Exchange> = {
  'a read': { parts: [...run(WHERE), S()], readyCount: 1, hosts: ['standby1'], tags: [READ_TAG] },
  'a read with all there is around it': {
    parts: [P('', WHERE), D('S', ''), B('p', ''), D('P', 'p'), E('p', 1), C('P', 'p'), S()],
    readyCount: 1,
    hosts: ['standby1'],
    tags: [],
  },
  'a write behind two reads': {
    parts: [...run(WHERE), ...run(WHERE), ...run(WRITE), S()],
    readyCount: 1,
    hosts: ['primary', 'primary', 'primary'],
    tags: [READ_TAG, READ_TAG, WRITE_TAG],
  },
  'a read, and a write in a batch of its own': {
    parts: [...run(WHERE), S(), ...run(WRITE), S()],
    readyCount: 2,
    hosts: ['standby1', 'primary'],
    tags: [READ_TAG, WRITE_TAG],
  },
  'parsed and described, then bound': {
    parts: [P('', WHERE), D('S', ''), H(), B('', ''), E(''), S()],
    readyCount: 1,
    hosts: ['standby1'],
    tags: [READ_TAG],
  },
  'answers wanted before the batch ends': {
    parts: [...run(WHERE), H(), ...run(WRITE), S()],
    readyCount: 1,
    hosts: ['primary', 'primary'],
    tags: [READ_TAG, WRITE_TAG],
  },
  'BEGIN as a batch, then a read, then the end': {
    parts: [...run('BEGIN'), S(), ...run(WHERE), S(), ...run('COMMIT'), S()],
    readyCount: 3,
    hosts: ['primary'],
    tags: ['BEGIN', READ_TAG, 'COMMIT'],
  },
  'BEGIN READ ONLY in front of its statement, in one batch': {
    parts: [...run('BEGIN READ ONLY'), ...run(WHERE), S(), Q('COMMIT')],
    readyCount: 2,
    hosts: ['standby1'],
    tags: ['BEGIN', READ_TAG, 'COMMIT'],
  },
  'a transaction of nothing': {
    parts: [P('', 'BEGIN'), D('S', ''), B('', ''), D('P', ''), E(''), S(), ...run('ROLLBACK'), S()],
    readyCount: 2,
    hosts: [],
    tags: ['BEGIN', 'ROLLBACK'],
  },
  'Close and Sync alone, then a read': {
    parts: [C('S', 'none'), S(), Q(WHERE)],
    readyCount: 2,
    hosts: ['standby1'],
    tags: [READ_TAG],
  },
};

const answer = (client: RawClient, readyCount: number): Promise<RawResult> =>
  client.readUntilReady(readyCount);

function check(result: RawResult, { hosts, tags, status = 'I' }: Exchange): void {
  assert.equal(result.error, null);
  assert.deepEqual(
    result.rows.map(([host]) => host),
    hosts,
  );
  assert.deepEqual(result.tags, tags);
  assert.equal(result.status, status);
}

forEachDriver('batches', (ioDriver) => {
  let proxy: TestProxy;
  let client: RawClient;
  before(async () => {
    proxy = await startProxy({
      ioDriver,
      workers: 1,
      databases: cluster.databases('fixed', 'direct'),
      general: { read_write_split: 'exclude_primary', read_your_writes: 'off' },
    });
    client = await RawClient.connect({ port: proxy.port, password: 'postgres' });
    await eventually('the catalog has been read', async () => {
      client.send(Q(WHERE));
      return (await answer(client, 1)).rows[0][0] === 'standby1';
    });
  });
  after(async () => {
    client.destroy();
    assert.equal(await proxy.stop(), 0);
  });

  for (const [name, exchange] of Object.entries(EXCHANGES)) {
    it(name, async () => {
      const bytes = Buffer.concat(exchange.parts);
      await everySplit(bytes, async (pieces) => {
        await sendInPieces(client, pieces, 0);
        check(await answer(client, exchange.readyCount), exchange);
      });
    });
  }

  // In more pieces than a batch is looked at: the primary is never wrong.
  it('single bytes', async () => {
    await sendInPieces(client, singleBytes(Buffer.concat([...run(WHERE), S()])), 0);
    const { rows, error } = await answer(client, 1);
    assert.equal(error, null);
    assert.ok(['primary', 'standby1'].includes(rows[0][0] ?? ''));
    await sendInPieces(client, singleBytes(Buffer.concat([...run(WRITE), S()])), 0);
    check(await answer(client, 1), { parts: [], readyCount: 1, hosts: ['primary'], tags: [WRITE_TAG] });
  });

  it('a batch that is too long to be held goes to the primary, whole', async () => {
    const many = Array.from({ length: 2000 }, () => run(WHERE)).flat();
    client.send(...many, S());
    const { rows, error } = await answer(client, 1);
    assert.equal(error, null);
    assert.equal(rows.length, 2000);
    assert.deepEqual([...new Set(rows.map(([host]) => host))], ['primary']);
  });

  it('a write behind a Flush on a replica is refused, and the session goes on', async () => {
    client.send(P('', WHERE), H(), P('w', WRITE), B('', 'w'), E(''), S());
    const { error, status } = await answer(client, 1);
    assert.equal(error?.C, '25006');
    assert.equal(status, 'I');
    client.send(...run(WRITE), S());
    check(await answer(client, 1), { parts: [], readyCount: 1, hosts: ['primary'], tags: [WRITE_TAG] });
  });
});
