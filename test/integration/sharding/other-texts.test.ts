/** Statements that were prepared, over several shards that are asked another text: frame by frame as one Postgres answers. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import { told } from '../../support/batch-pair.js';
import { forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, type Frame, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { PGDOG_SCHEMA, SHOP, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE c (id bigint PRIMARY KEY, name text COLLATE "C", grp int, ts timestamptz);
  CREATE TABLE o (id bigint PRIMARY KEY, cid bigint);
  ${PGDOG_SCHEMA}
  CREATE TABLE by_hash (k bigint) PARTITION BY HASH (k);`;
const TIMEOUT_MS = 60_000;
/** Of which shards are asked another text each. */
const OTHERS: Record<string, { sql: string; values?: string[]; isUndone?: true }> = {
  'rows that are counted': { sql: 'SELECT count(*) FROM (SELECT DISTINCT grp, name FROM c) x' },
  'a join with a column that is not shown': {
    sql: 'SELECT a.id, o.id AS item FROM c a JOIN o ON o.cid = a.id ORDER BY a.grp, a.id, o.id LIMIT 4',
  },
  averages: { sql: 'SELECT grp, avg(id) FROM c WHERE id < $1 GROUP BY grp ORDER BY grp', values: ['50'] },
  'LIMIT and OFFSET in the text': { sql: 'SELECT id, grp FROM c ORDER BY id LIMIT 2 OFFSET 3' },
  'the time': { sql: 'SELECT id, ts < now() AS old FROM c ORDER BY id LIMIT 2' },
  'an INSERT': {
    sql: 'INSERT INTO c (id, grp) VALUES ($1, 2), ($2, 1) RETURNING id, grp',
    values: ['1027', '2014'],
    isUndone: true,
  },
  'a row that moves': {
    sql: 'UPDATE c SET id = $1 WHERE id = 7 RETURNING id, grp',
    values: ['2014'],
    isUndone: true,
  },
};
const TIMED = [
  'SELECT id, now() IS NOT NULL FROM c ORDER BY id LIMIT 1',
  'SELECT id, ts < now() AS old FROM c ORDER BY id DESC LIMIT 2',
  'SELECT id FROM c WHERE ts < now() ORDER BY id LIMIT 2',
  'SELECT DISTINCT grp, ts < now() FROM c WHERE grp = 2',
  'SELECT grp, count(*) FROM c WHERE ts < now() GROUP BY grp ORDER BY grp',
];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  await cluster.everywhere(
    `INSERT INTO c SELECT n, 'n' || n, n % 5, '2020-01-01' FROM generate_series(1, 60) n`,
  );
  await cluster.everywhere('INSERT INTO o SELECT n, n % 60 + 1 FROM generate_series(1, 120) n');
  for (let shard = 0; shard < cluster.shardCount; shard++) {
    const isElsewhere = `NOT satisfies_hash_partition('by_hash'::regclass, 3, ${shard}, `;
    await cluster.shard(shard, `DELETE FROM c WHERE ${isElsewhere} id)`);
    await cluster.shard(shard, `DELETE FROM o WHERE ${isElsewhere} cid)`);
  }
});
after(() => cluster.stop());

forEachDriver('prepared statements over several shards', (driver) => {
  let proxy: TestProxy;
  let ours: RawClient;
  let theirs: RawClient;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [
        { name: 'c', column: 'id', data_type: 'bigint' },
        { name: 'o', column: 'cid', data_type: 'bigint' },
      ],
      sections: { rewrite: { shard_key: 'rewrite' } },
    });
  });
  after(async () => {
    for (const each of [ours, theirs]) each.destroy();
    await proxy.stop();
  });
  beforeEach(async () => {
    for (const each of [ours, theirs]) each?.destroy();
    const login = { user: 'postgres', password: 'postgres', timeoutMs: TIMEOUT_MS };
    ours = await RawClient.connect({ ...login, port: proxy.port, database: SHOP });
    theirs = await RawClient.connect({ ...login, port: cluster.server.port, database: 'reference' });
  });

  const answer = async (raw: RawClient, frames: Buffer[]): Promise<string[]> => {
    raw.send(...frames);
    const list: Frame[] = [];
    do list.push(await raw.readFrame(TIMEOUT_MS));
    while (
      list.filter(({ type }) => type === 'Z').length <
      frames.filter(({ 0: type }) => type === 0x53 || type === 0x51).length
    );
    return told(list);
  };
  /** The same from both. @returns types of the frames in short */
  const both = async (...frames: Buffer[]): Promise<string> => {
    const [own, others] = await Promise.all([answer(ours, frames), answer(theirs, frames)]);
    assert.deepEqual(own, others);
    return own
      .map(([type]) => type)
      .join('')
      .replace(/D+/g, 'D');
  };

  /** What follows an open transaction over several shards, in which one time is told to all of them. */
  const begin = async (): Promise<void> => {
    await both(Q('BEGIN'));
    await both(Q('SELECT count(*) FROM c'));
  };

  for (const isInside of [false, true]) {
    const where = isInside ? 'in a transaction' : 'outside of transactions';
    for (const sql of TIMED) {
      it(`with the time in it, ${where}: ${sql}`, async () => {
        if (isInside) await begin();
        assert.equal(await both(P('x', sql), S()), '1Z');
        for (const format of [0, 1]) {
          const bind = B('', 'x', { resultFormats: [format] });
          assert.equal(await both(bind, E(''), S()), '2DCZ');
          assert.equal(await both(D('S', 'x'), bind, E(''), S()), 'tT2DCZ');
          assert.equal(await both(bind, D('P', ''), E(''), S()), '2TDCZ');
        }
        assert.equal(await both(D('S', 'x'), S()), 'tTZ');
        assert.equal(await both(B('', 'x'), E(''), S()), '2DCZ');
        assert.equal(await both(P('', sql), B('', ''), E(''), S()), '12DCZ');
        assert.equal(await both(P('y', sql), D('S', 'y'), B('', 'y'), E(''), S()), '1tT2DCZ');
        assert.equal(await both(P('z', sql), D('S', 'z'), H(), B('', 'z'), E(''), S()), '1tT2DCZ');
        await both(C('S', 'x'), C('S', 'y'), S());
        if (isInside) await both(Q('COMMIT'));
      });
    }
  }

  const ROWS: Record<string, { values: string; given: string[] }> = {
    parameters: { values: '($1, 2), ($2, 1)', given: ['1027', '2014'] },
    'parameters in another order': { values: '($2, $1), ($3, $1)', given: ['7', '1027', '2014'] },
    literals: { values: '(1027, 2), (2014, 1)', given: [] },
  };
  const TAILS = ['', ' RETURNING id, grp', ' ON CONFLICT DO NOTHING'];
  for (const [what, { values, given }] of Object.entries(ROWS)) {
    for (const tail of TAILS) {
      for (const isInside of [false, true]) {
        const where = isInside ? 'in a transaction' : 'outside of transactions';
        it(`an INSERT for two shards by ${what}${tail}, described in its batch, ${where}`, async () => {
          const sql = `INSERT INTO c (id, grp) VALUES ${values}${tail}`;
          const shape = tail.startsWith(' RET') ? 'T' : 'n';
          const rows = shape === 'T' ? 'D' : '';
          const again = async (...frames: Buffer[]): Promise<string> => {
            await both(Q('DELETE FROM c WHERE id > 1000'));
            return both(...frames);
          };
          if (isInside) await both(Q('BEGIN'));
          for (const format of [0, 1]) {
            const name = `a${format}`;
            const bind = B('', name, { values: given, resultFormats: shape === 'T' ? [format] : [] });
            const all = [P(name, sql), D('S', name), bind];
            assert.equal(await again(...all, E(''), S()), `1t${shape}2${rows}CZ`);
            assert.equal(await again(bind, E(''), S()), `2${rows}CZ`);
            assert.equal(await again(D('S', name), bind, E(''), S()), `t${shape}2${rows}CZ`);
            assert.equal(
              await again(D('S', name), bind, D('P', ''), E(''), S()),
              `t${shape}2${shape}${rows}CZ`,
            );
            assert.equal(
              await again(C('S', name), S(), ...all, D('P', ''), E(''), S(), C('S', name), S()),
              `3Z1t${shape}2${shape}${rows}CZ3Z`,
            );
            assert.equal(await both(P(name, sql), D('S', name), S()), `1t${shape}Z`);
            await both(C('S', name), S());
            assert.equal(
              await again(P(name, sql), D('S', name), H(), bind, E(''), S()),
              `1t${shape}2${rows}CZ`,
            );
          }
          const count = 'SELECT id, grp FROM c WHERE id > 1000 ORDER BY id';
          assert.equal(await both(Q(count)), 'TDCZ');
          await both(Q(isInside ? 'ROLLBACK' : 'DELETE FROM c WHERE id > 1000'));
        });
      }
    }
  }

  it('an INSERT for two shards that fails when it was described leaves nothing of it', async () => {
    const all = [
      P('a', 'INSERT INTO c (id, grp) VALUES ($1, 2), ($2, 1)'),
      D('S', 'a'),
      B('', 'a', { values: ['1', '2014'] }),
    ];
    await both(...all, E(''), S());
    await both(Q('SELECT count(*) FROM c'));
    const [, ...rest] = all;
    await both(...rest, E(''), S());
  });

  for (const [what, { sql, values = [], isUndone }] of Object.entries(OTHERS)) {
    // What writes is undone by its transaction.
    for (const isInside of isUndone === true ? [true] : [false, true]) {
      const where = isInside ? 'in a transaction' : 'outside of transactions';
      it(`a name that is closed and prepared anew in one batch, ${what}, ${where}`, async () => {
        const undo = async (): Promise<void> => {
          if (isUndone === true) await both(Q('ROLLBACK TO s'));
        };
        if (isInside) await begin();
        await both(P('a', 'SELECT 1'), B('', 'a'), E(''), S());
        if (isUndone === true) await both(Q('SAVEPOINT s'));
        const anew = [C('S', 'a'), P('a', sql)];
        for (const format of [0, 1]) {
          const bind = B('', 'a', { values, resultFormats: [format] });
          assert.equal(await both(...anew, D('S', 'a'), bind, E(''), S()), '31tT2DCZ');
          await undo();
          assert.equal(await both(bind, E(''), S()), '2DCZ');
          await undo();
          assert.equal(await both(...anew, bind, E(''), S()), '312DCZ');
          await undo();
          assert.equal(await both(...anew, bind, D('P', ''), E(''), S()), '312TDCZ');
          await undo();
          assert.equal(await both(...anew, D('S', 'a'), H(), bind, E(''), S()), '31tT2DCZ');
          await undo();
          const shuffled = [P('b', 'SELECT 2'), S(), C('S', 'b'), ...anew, D('S', 'a'), bind, E(''), S()];
          assert.equal(await both(...shuffled), '1Z331tT2DCZ');
          await undo();
        }
        assert.equal(await both(...anew, D('S', 'a'), S()), '31tTZ');
        assert.equal(await both(B('', 'a', { values }), E(''), S()), '2DCZ');
        await undo();
        assert.equal(await both(C('S', 'a'), P('a', 'SELECT 3'), B('', 'a'), E(''), S()), '312DCZ');
        await both(B('', 'a'), E(''), S());
        await both(C('S', 'a'), C('S', 'b'), S());
        if (isInside) await both(Q('ROLLBACK'));
      });

      it(`a name that is taken is closed by nobody, ${what}, ${where}`, async () => {
        const all = [P('a', sql), B('', 'a', { values }), E(''), S()];
        await both(P('a', 'SELECT 1'), P('b', 'SELECT 2'), S());
        if (isInside) await begin();
        assert.equal(await both(C('S', 'b'), ...all), 'EZ');
        if (isInside) await both(Q('ROLLBACK'));
        assert.equal(await both(B('', 'a'), E(''), S()), '2DCZ');
      });
    }
  }

  it('what fails behind it leaves the name with the statement that is new', async () => {
    const insert = 'INSERT INTO c (id, grp) VALUES ($1, 2), ($2, 1)';
    const bind = B('', 'a', { values: ['1', '2014'] });
    await both(P('a', 'SELECT 1'), S());
    assert.equal(await both(C('S', 'a'), P('a', insert), D('S', 'a'), bind, E(''), S()), 'EZ');
    assert.equal(await both(D('S', 'a'), S()), 'tnZ');
    const ratio = 'SELECT sum(x.n) FROM (SELECT DISTINCT 1 / (grp - $1) AS n FROM c) x';
    const averages = 'SELECT grp, avg(1 / (id - $1)) FROM c GROUP BY grp ORDER BY grp';
    for (const sql of [averages, ratio.replace('sum(x.n)', 'count(*)')]) {
      await both(C('S', 'a'), P('a', 'SELECT 1'), S());
      const failing = [C('S', 'a'), P('a', sql), D('S', 'a'), B('', 'a', { values: ['3'] }), E(''), S()];
      await both(...failing);
      assert.equal(await both(D('S', 'a'), S()), 'tTZ');
    }
  });

  it('several in one batch, as Npgsql closes and prepares what it has no room for', async () => {
    await both(P('a', 'SELECT 1'), P('b', 'SELECT 2'), S());
    await begin();
    const insert = (name: string, ...values: string[]): Buffer[] => [
      C('S', name),
      P(name, 'INSERT INTO c (id, grp) VALUES ($1, 2), ($2, 1)'),
      D('S', name),
      B('', name, { values }),
      D('P', ''),
      E(''),
    ];
    assert.equal(
      await both(...insert('a', '1027', '2014'), ...insert('b', '1028', '2015'), S()),
      '31tn2nC31tn2nCZ',
    );
    await both(B('', 'b', { values: ['1029', '2016'] }), E(''), S());
    assert.equal(await both(Q('SELECT id FROM c WHERE id > 1000 ORDER BY id')), 'TDCZ');
    await both(Q('ROLLBACK'));
  });
});
