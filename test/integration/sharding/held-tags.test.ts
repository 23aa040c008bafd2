/** What a batch asks behind a write over several shards: its answers wait for the CommandComplete, which waits for the commit. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawResult } from '../../support/raw-client.js';
import { RawPair } from '../../support/raw-pair.js';
import { PGDOG_SCHEMA, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE c (id bigint PRIMARY KEY, n numeric(10, 2) NOT NULL, grp int NOT NULL);
  CREATE TABLE once (id bigint, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
  CREATE TABLE whole (id bigint PRIMARY KEY, n int NOT NULL);
  ${PGDOG_SCHEMA}`;
const UPDATE = 'UPDATE c SET n = n + 1 WHERE grp = $1';
const DELETE = 'DELETE FROM c WHERE grp = $1 RETURNING grp';
const ROWS = 30;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('behind a write over several shards', (driver) => {
  let proxy: TestProxy;
  let pair: RawPair;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: ['c', 'once'].map((name) => ({ name, column: 'id', data_type: 'bigint' })),
    });
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    await cluster.everywhere('TRUNCATE c, once, whole');
    pair = await RawPair.open(proxy, cluster, true);
    const rows = Array.from({ length: ROWS }, (_, i) => `(${i + 1}, 1, ${(i + 1) % 5})`);
    await pair.same('rows', Q(`INSERT INTO c VALUES ${rows.join(', ')}`));
  });
  afterEach(() => pair.close());

  const typesOf = ({ frames }: RawResult): string => frames.map(({ type }) => type).join('');
  const told = async (...frames: Buffer[]): Promise<string> => typesOf(await pair.same('batch', ...frames));
  const bound = (portal: string, statement: string, grp: number): Buffer =>
    B(portal, statement, { values: [String(grp)] });

  for (const portal of ['', 'p1']) {
    it(`portal "${portal}" is closed behind its Execute`, async () => {
      const batch = [P('', UPDATE), bound(portal, '', 3), D('P', portal), E(portal), C('P', portal), S()];
      assert.equal(await told(...batch), '12nC3Z');
      const limited = [
        P('', UPDATE),
        bound(portal, '', 3),
        D('P', portal),
        E(portal, 5),
        C('P', portal),
        S(),
      ];
      assert.equal(await told(...limited), '12nC3Z');
      const deleted = [P('d', DELETE), bound(portal, 'd', 3), D('P', portal), E(portal)];
      assert.equal(await told(...deleted, C('P', portal), C('S', 'd'), S()), '12TDDDDDDC33Z');
      assert.equal((await pair.same('closed', bound('', 'd', 3), S())).error?.['C'], '26000');
      await pair.same('what is left', Q('SELECT id, n FROM c ORDER BY id'));
    });
  }

  it('prepared, described and bound again behind it', async () => {
    await told(P('u', UPDATE), S());
    const closed = [C('P', ''), C('S', 'u'), P('u', 'SELECT grp FROM c WHERE grp = $1 LIMIT 1'), D('S', 'u')];
    assert.equal(await told(bound('', 'u', 2), E(''), ...closed, S()), '2C331tTZ');
    assert.equal(await told(bound('', 'u', 2), E(''), S()), '2DCZ');
    const insert = 'INSERT INTO c VALUES (101, 1, 9), (102, 1, 9), (103, 1, 9), (104, 1, 9)';
    assert.equal(await told(P('', insert), B('', ''), E(''), C('P', ''), S()), '12C3Z');
    assert.equal(
      await told(P('', 'INSERT INTO whole VALUES (1, 1)'), B('', ''), E(''), C('P', ''), S()),
      '12C3Z',
    );
    await pair.same('what is left', Q('SELECT id, n FROM c ORDER BY id'));
  });

  it('executed twice: both say what they have done', async () => {
    for (const portal of ['', 'p']) {
      const deleted = [P('', DELETE), bound(portal, '', portal === '' ? 4 : 3), E(portal), E(portal)];
      assert.equal(await told(...deleted, C('P', portal), S()), '12DDDDDDCC3Z');
      const id = portal === '' ? 201 : 301;
      const rows = [0, 1, 2, 3].map((n) => `(${id + n}, 1, 8)`).join(', ');
      const inserted = [
        P('', `INSERT INTO c VALUES ${rows} RETURNING id`),
        B(portal, ''),
        E(portal),
        E(portal),
      ];
      assert.equal(await told(...inserted, S()), '12DDDDCCZ');
    }
    await pair.same('what is left', Q('SELECT id, n FROM c ORDER BY id'));
  });

  it('several such batches in one go', async () => {
    const batch = [P('', UPDATE), bound('p', '', 1), E('p'), C('P', 'p'), S()];
    for (const client of [pair.ours, pair.theirs]) client.send(...batch, ...batch, ...batch);
    for (let turn = 0; turn < 3; turn++) {
      const answers = await Promise.all([pair.ours, pair.theirs].map((client) => client.readUntilReady()));
      assert.deepEqual(answers.map(typesOf), ['12C3Z', '12C3Z']);
    }
  });

  it('a commit that fails: the error instead of all that waits', async () => {
    await told(P('u', 'INSERT INTO once VALUES (1), (2), (3), (4), (5), ($1)'), S());
    const batch = [bound('p', 'u', 1), D('P', 'p'), E('p'), C('P', 'p'), C('S', 'u'), S()];
    pair.ours.send(...batch);
    const answer = await pair.ours.readUntilReady();
    assert.equal(typesOf(answer), '2nEZ');
    assert.equal(answer.error?.['C'], '23505');
    // The client has not been told that it was closed.
    pair.ours.send(D('S', 'u'), S());
    assert.equal(typesOf(await pair.ours.readUntilReady()), 'tnZ');
    await pair.same('nothing was done', Q('SELECT id FROM once ORDER BY id'));
  });
});
