/** What drivers send without being asked, to several shards: answered as one Postgres answers it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { decisionsOn, forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, F, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient, RawResult } from '../../support/raw-client.js';
import { RawPair } from '../../support/raw-pair.js';
import { PGDOG_SCHEMA, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';

const ROWS = 60;
const SCHEMA = `
  CREATE TABLE thing (id bigint PRIMARY KEY, kind int NOT NULL, name text COLLATE "C", UNIQUE (kind, id));
  ${PGDOG_SCHEMA}`;
const [INT4, INT8, TEXT, VARCHAR] = [23, 20, 25, 1043];

const int4 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const int8 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('habits of drivers, over several shards', (driver) => {
  let proxy: TestProxy;
  let pair: RawPair;
  const same = (name: string, ...frames: Buffer[]): Promise<RawResult> => pair.same(name, ...frames);
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'thing', column: 'id', data_type: 'bigint' }],
    });
    await cluster.everywhere('TRUNCATE thing');
    const client = await shopClient(proxy);
    const rows = Array.from({ length: ROWS }, (_, n) => `(${n + 1}, ${n % 7}, 'thing ${(n * 31) % 61}')`);
    await client.query(`INSERT INTO thing VALUES ${rows.join()}`);
    await client.end();
    await cluster.reference(`INSERT INTO thing VALUES ${rows.join()}`);
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    pair = await RawPair.open(proxy, cluster, true);
  });
  afterEach(() => pair.close());

  it('LIMIT and OFFSET as integers: declared, cast, in text and binary', async () => {
    const page = (limit: string, offset: string) =>
      `SELECT id, name FROM thing ORDER BY id LIMIT ${limit} OFFSET ${offset}`;
    const groups = (limit: string, offset: string) =>
      `SELECT kind, count(*) FROM thing GROUP BY kind ORDER BY kind LIMIT ${limit} OFFSET ${offset}`;
    const binary = { valueFormats: [1, 1] };
    for (const sql of [page, groups]) {
      for (let offset = 0; offset < 4; offset++) {
        const forms: [string, Buffer[]][] = [
          [
            'integer, binary',
            [P('', sql('$1', '$2'), [INT4, INT4]), B('', '', { ...binary, values: [int4(3), int4(offset)] })],
          ],
          [
            'bigint, binary',
            [P('', sql('$1', '$2'), [INT8, INT8]), B('', '', { ...binary, values: [int8(3), int8(offset)] })],
          ],
          [
            'inferred, binary',
            [P('', sql('$1', '$2')), B('', '', { ...binary, values: [int8(3), int8(offset)] })],
          ],
          [
            'cast, text',
            [P('', sql('$1::INTEGER', '$2::INTEGER')), B('', '', { values: ['3', String(offset)] })],
          ],
          [
            'cast, binary',
            [
              P('', sql('$1::INTEGER', '$2::int4')),
              B('', '', { ...binary, values: [int4(3), int4(offset)] }),
            ],
          ],
          [
            'cast to bigint',
            [P('', sql('$1::bigint', '$2::int8')), B('', '', { ...binary, values: [int8(3), int8(offset)] })],
          ],
          ['all of them', [P('', sql('$1::int', '$2::int')), B('', '', { values: [null, String(offset)] })]],
        ];
        for (const [form, frames] of forms) {
          const { rows } = await same(`${form}, OFFSET ${offset}`, ...frames, D('P', ''), E(''), S());
          assert.ok(rows.length > 0, form);
        }
      }
    }
    await same('a number written with a cast', Q('SELECT id FROM thing ORDER BY id LIMIT 3::int OFFSET 2'));
  });

  it('LIMIT that is no number is an error on both', async () => {
    for (const value of ['1e3', '1.0', 'x', '']) {
      pair.ours.send(
        P('', 'SELECT id FROM thing ORDER BY id LIMIT $1'),
        B('', '', { values: [value] }),
        E(''),
        S(),
      );
      const { error, rows } = await pair.ours.readUntilReady();
      assert.equal(rows.length, 0, value);
      assert.ok(['22P02', '0A000'].includes(error?.['C'] ?? ''), `${value}: ${JSON.stringify(error)}`);
    }
  });

  it('a key that comes as text, and is cast to what it is', async () => {
    const sql = 'SELECT id, kind FROM thing WHERE id = $1::bigint';
    for (const type of [TEXT, VARCHAR, 0]) {
      for (let id = 1; id <= 12; id++) {
        const { rows } = await same(
          `type ${type}`,
          P('', sql, [type]),
          B('', '', { values: [String(id)] }),
          D('P', ''),
          E(''),
          S(),
        );
        assert.equal(rows.length, 1);
      }
    }
    const binary = { valueFormats: [1], values: [Buffer.from('7')] };
    await same('in binary, which is the same', P('', sql, [TEXT]), B('', '', binary), E(''), S());
    await same('with blanks', P('', sql, [TEXT]), B('', '', { values: [' 8 '] }), E(''), S());
    for (const value of ['x', '', '99999999999999999999']) {
      pair.ours.send(P('', sql, [TEXT]), B('', '', { values: [value] }), E(''), S());
      const { error } = await pair.ours.readUntilReady();
      assert.ok(
        ['22P02', '22003', '0A000'].includes(error?.['C'] ?? ''),
        `'${value}': ${JSON.stringify(error)}`,
      );
    }
  });

  it('a table that is not, behind a statement of the same shard: an error, and no wait for it', async () => {
    const read = (table: string) => [P('', `SELECT name FROM ${table} WHERE id = 1`), B('', ''), E('')];
    await same('unknown second', ...read('thing'), ...read('nowhere'), ...read('thing'), S());
    await same('goes on', ...read('thing'), S());
  });

  decisionsOn(driver)(
    'a transaction that has failed stays so, whatever is closed or prepared in it',
    async () => {
      const rest = [
        [C('S', 'never'), S()],
        [C('P', 'never'), S()],
        [S()],
        [C('S', 'never'), P('', 'SELECT 1'), S()],
        [D('S', 'never'), S()],
        [D('P', ''), S()],
        [B('', 'never'), E(''), S()],
        [E(''), S()],
        [F(1598, [])],
      ];
      for (const frames of rest) {
        await same('BEGIN', Q('BEGIN'));
        await same('fails', Q('SELECT * FROM nowhere'));
        await same('in it', ...frames);
        await same('still', Q('SELECT 1'));
        await same('COMMIT', Q('COMMIT'));
      }
    },
  );

  it("JDBC's questions about keys and indexes", async () => {
    const keys = `SELECT result.TABLE_NAME, result.COLUMN_NAME, result.KEY_SEQ FROM (
      SELECT ct.relname AS TABLE_NAME, a.attname AS COLUMN_NAME, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ,
        information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM
      FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
        JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid)
      WHERE ct.relname = 'thing' AND i.indisprimary) result
      WHERE result.A_ATTNUM = (result.KEYS).x ORDER BY result.table_name, result.key_seq`;
    assert.deepEqual((await same('getPrimaryKeys', Q(keys))).rows, [['thing', 'id', '1']]);
    const columns = `SELECT tmp.name, tmp.place FROM (
      SELECT ci.relname AS name, (i.keys).n AS place FROM pg_catalog.pg_class ct
        JOIN (SELECT i.indexrelid, i.indrelid, information_schema._pg_expandarray(i.indkey) AS keys FROM pg_catalog.pg_index i) i
          ON ct.oid = i.indrelid JOIN pg_catalog.pg_class ci ON ci.oid = i.indexrelid
      WHERE ct.relname = 'thing') AS tmp ORDER BY name, place`;
    assert.equal((await same('getIndexInfo', Q(columns))).rows.length, 3);
  });

  it("psycopg's nested transactions: ROLLBACK TO and RELEASE in one text", async () => {
    const update = (id: number, name: string) => Q(`UPDATE thing SET name = '${name}' WHERE id = ${id}`);
    await same('BEGIN', Q('BEGIN'));
    for (const id of [1, 2, 3, 4]) await same('spread', update(id, 'kept'));
    await same('SAVEPOINT', Q('SAVEPOINT "_pg3_1"'));
    await same('an error', Q('SELECT 1/0'));
    await same('refused', Q('SELECT 1'));
    await same('taken back', Q('ROLLBACK TO "_pg3_1"; RELEASE "_pg3_1"'));
    await same('goes on', update(5, 'kept'));
    await same('two', Q('SAVEPOINT a; SAVEPOINT b'));
    await same('written', update(6, 'not kept'));
    await same('b, then one that there is not', Q('RELEASE b; RELEASE nowhere'));
    await same('refused', Q('SELECT 1'));
    await same('ROLLBACK TO', Q('ROLLBACK TO a'));
    await same('COMMIT', Q('COMMIT'));
    await same('what is kept', Q("SELECT id, name FROM thing WHERE name LIKE '%kept' ORDER BY id"));
  });

  it('several statements for different shards in one text: all or nothing', async () => {
    const set = (id: number, name: string) => `UPDATE thing SET name = '${name}' WHERE id = ${id}`;
    const all = (name: string) => [1, 2, 3, 4, 5].map((id) => set(id, name)).join('; ');
    const seen = () => same('seen', Q("SELECT id, name FROM thing WHERE name LIKE 'text%' ORDER BY id"));
    await same('five shards’ worth', Q(all('text a')));
    assert.equal((await seen()).rows.length, 5);
    await same(
      'reads between',
      Q(`${set(1, 'text b')}; SELECT name FROM thing WHERE id = 1; ${set(2, 'text b')};`),
    );
    await same(
      'of all shards between',
      Q(`${set(3, 'text c')}; SELECT count(*) FROM thing; SELECT id FROM thing ORDER BY id LIMIT 3; -- done`),
    );
    await same('an error in the middle', Q(`${all('text lost')}; SELECT 1/0; ${all('text never')}`));
    await seen();
    await same('goes on', Q('SELECT 1; SELECT 2'));
    await same('with BEGIN and COMMIT', Q(`BEGIN; ${all('text d')}; COMMIT`));
    await same(
      'with ROLLBACK, and more behind it',
      Q(`BEGIN; ${all('text lost')}; ROLLBACK; ${all('text e')}`),
    );
    await same(
      'with COMMIT, and an error behind it',
      Q(`BEGIN; ${all('text f')}; COMMIT; ${all('text lost')}; SELECT 1/0`),
    );
    await seen();
    await same('left open', Q(`BEGIN; ${all('text lost')}`));
    await same('in it', Q(`${all('text lost')}; SELECT name FROM thing WHERE id = 2`));
    await same('failed', Q(`${all('text lost')}; SELECT 1/0`));
    await same('refused', Q(all('text lost')));
    await same('ROLLBACK', Q('ROLLBACK'));
    await seen();
    await same('on one shard, then several', Q('BEGIN'));
    await same('one', Q(set(1, 'text g')));
    await same('several', Q(all('text h')));
    await same('COMMIT', Q('COMMIT'));
    await seen();
    pair.ours.send(Q(all('text k')), Q('SELECT name FROM thing WHERE id = 4'), Q(all('text l')));
    for (const expected of ['CCCCCZ', 'TDCZ', 'CCCCCZ']) {
      const { frames } = await pair.ours.readUntilReady();
      assert.equal(frames.map(({ type }) => type).join(''), expected);
    }
    await pair.theirs.query(all('text l'));
    await seen();
  });

  it('borders of statements are those of the grammar', async () => {
    const set = (id: number) => `UPDATE thing SET name = 'x;y' WHERE id = ${id}`;
    await same(
      'a semicolon in a string, in a comment, empty ones',
      Q(`;; ${set(1)} /* ; */; ; ${set(2)};; -- ;\n ${set(3)} ;`),
    );
    await same("E'', $$", Q(`${set(1)}; SELECT $$a;b$$, E'\\';', 1; ${set(2)}`));
    const atomic =
      'CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END';
    pair.ours.send(Q(`${set(1)}; ${atomic}; ${set(2)}; ${set(3)}`));
    const { error } = await pair.ours.readUntilReady();
    assert.equal(error?.['C'], '0A000', 'a body with semicolons is no border');
  });

  it('DEALLOCATE, outside and inside of a transaction over several shards', async () => {
    const prepare = (name: string) => P(name, 'SELECT name FROM thing WHERE id = $1');
    const run = (name: string, id: number) => [B('', name, { values: [String(id)] }), E(''), S()];
    for (const isInside of [false, true]) {
      if (isInside) await same('BEGIN', Q('BEGIN'));
      for (const id of [1, 2, 3]) await same('spread', Q(`UPDATE thing SET kind = kind WHERE id = ${id}`));
      for (const name of ['a', 'b', 'c']) await same('prepared', prepare(name), S());
      await same('used', ...run('a', 1));
      await same('DEALLOCATE a', Q('DEALLOCATE a'));
      await same('prepared again', prepare('a'), S());
      await same('used again', ...run('a', 2));
      await same('all', Q('DEALLOCATE ALL'));
      for (const name of ['a', 'b', 'c']) await same('anew', prepare(name), S());
      await same('in a batch', P('', 'DEALLOCATE b'), B('', ''), E(''), S());
      await same('anew', prepare('b'), S());
      await same('unknown', Q('DEALLOCATE nobody'));
      if (isInside) await same('ROLLBACK', Q('ROLLBACK'));
      await same('still there', ...run('c', 4));
      await same('DEALLOCATE ALL', Q('DEALLOCATE ALL'));
      await same('gone', ...run('c', 4));
    }
  });

  /** As postgres.js runs a text with parameters: it is described before anything is bound. */
  async function describedFirst(name: string, id: number): Promise<void> {
    for (const client of [pair.ours, pair.theirs]) {
      client.send(P('', 'UPDATE thing SET name = $1 WHERE id = $2'), D('S', ''), H());
      await client.readUntil('n');
    }
    await same(name, B('', '', { values: ['habit', String(id)] }), E(''), S());
  }

  it('a statement is described, and bound behind what a shard is told when it joins', async () => {
    const savepoint = (name: string) => [P('', `SAVEPOINT ${name}`), B('', ''), E(''), S()];
    for (const first of [1, 2, 3]) {
      await same('BEGIN', Q('BEGIN'));
      await same('SAVEPOINT', ...savepoint('a'));
      for (const id of [first, 4, 5, 6, 7]) await describedFirst(`row ${id}`, id);
      await same('another', ...savepoint('b'));
      for (const id of [8, 9, 10, 11]) await describedFirst(`row ${id}`, id);
      await same('ROLLBACK TO', Q('ROLLBACK TO a'));
      for (const id of [4, 5, 6]) await describedFirst(`row ${id}`, id);
      await same('what is there', Q("SELECT id FROM thing WHERE name = 'habit' ORDER BY id"));
      await same('ROLLBACK', Q('ROLLBACK'));
    }
  });

  it('what all shards say is said once, and what one of them says alone is said', async () => {
    const raise = (what: string) =>
      `CREATE OR REPLACE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN ${what} END$$`;
    const twice = "RAISE NOTICE 'same'; RAISE NOTICE 'same';";
    const trigger = 'CREATE EVENT TRIGGER told ON ddl_command_end EXECUTE FUNCTION told()';
    await cluster.reference(raise(twice));
    await cluster.reference(trigger);
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      await cluster.shard(shard, raise(shard === 2 ? `${twice} RAISE WARNING 'mine';` : twice));
      await cluster.shard(shard, trigger);
    }
    try {
      const sql = "COMMENT ON TABLE thing IS 'told'";
      const told = async (client: RawClient): Promise<string[]> => {
        client.send(Q(sql));
        const { frames } = await client.readUntilReady();
        const notices = frames.filter(({ type }) => type === 'N');
        return notices.map(({ body }) => /\0M([^\0]*)/.exec(body.toString('utf8'))?.[1] ?? '').sort();
      };
      assert.deepEqual(await told(pair.theirs), ['same', 'same']);
      assert.deepEqual(await told(pair.ours), ['mine', 'same', 'same']);
    } finally {
      await cluster.everywhere('DROP EVENT TRIGGER told');
    }
  });

  decisionsOn(driver)(
    'scripts of migrations: tables are made and dropped in one text, in and out of transactions',
    async () => {
      await same('dropped, made', Q('DROP TABLE IF EXISTS fresh; CREATE TABLE fresh (id int)'));
      await same(
        'three',
        Q('CREATE INDEX ON fresh (id); DROP TABLE fresh; CREATE TABLE fresh (id int, n int)'),
      );
      await same('used', Q('INSERT INTO fresh VALUES (1, 2)'));
      await same('in a transaction', Q('BEGIN; DROP TABLE fresh; CREATE TABLE fresh (id int); COMMIT'));
      for (const sql of ['BEGIN', 'ALTER TABLE fresh ADD x int', 'DROP TABLE fresh', 'ROLLBACK'])
        await same(sql, Q(sql));
      for (const sql of ['BEGIN', 'DROP TABLE fresh', 'DROP TABLE IF EXISTS nobody', 'COMMIT'])
        await same(sql, Q(sql));
      await same('gone', Q('DROP TABLE fresh'));
      for (const sql of ['SET pgdog.shard = 1', 'CREATE TEMP TABLE mine (id int)']) {
        pair.ours.send(Q(sql));
        assert.equal((await pair.ours.readUntilReady()).error, null, sql);
      }
      pair.ours.send(Q('DROP TABLE mine'));
      assert.deepEqual(
        (await pair.ours.readUntilReady()).tags,
        ['DROP TABLE'],
        'of a temporary table as well',
      );
    },
  );
});
