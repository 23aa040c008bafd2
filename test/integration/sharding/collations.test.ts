/** Texts of several shards in the order of their collation: what one server with all rows answers. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { cancelClient } from '../../support/cancel-client.js';
import { forOneDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE TABLE person (
    id bigint PRIMARY KEY, name text, surname varchar(40), city text, plain text COLLATE "C", swedish text COLLATE "sv-x-icu",
    code char(4), same text COLLATE loose, data jsonb, n int);
  CREATE TABLE guest (id bigint PRIMARY KEY, name text);
  CREATE TABLE wide (id bigint PRIMARY KEY, name text, filling text);
  CREATE VIEW named AS SELECT id, upper(name) AS big FROM person;`;
const TABLES = ['person', 'guest', 'wide'].map((name) => ({ name, column: 'id', data_type: 'bigint' }));
/** Bytes and a dictionary put them in quite different orders. */
const NAMES = [
  'Zoë',
  'zebra',
  'Ångström',
  'angstrom',
  'Angstrom',
  'ångström',
  'école',
  'ecole',
  'Ecole',
  'eclair',
  'co-op',
  'coop',
  'Coop',
  'CO-OP',
  "d'Arc",
  'darc',
  'Darc',
  'de luge',
  'deluge',
  'de Luge',
  '',
  ' ',
  ' a',
  'a',
  'A',
  'b',
  'B',
  'ß',
  'ss',
  'SS',
  'Straße',
  'strasse',
  'Œuvre',
  'oeuvre',
  '日本',
  '中国',
  'éa',
  'ea',
  '10',
  '9',
  '1',
  '_x',
  'x',
  '-x',
  '😀',
  'ẞ',
  'ä',
  'z',
  'ö',
  'Ø',
  'back\\slash',
  "quo'te",
  'comma,comma',
  '{brace}',
  '"double"',
];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA, locale: 'en-US' });
});
after(() => cluster.stop());

interface Case {
  sql: string;
  values?: unknown[];
}

const ANSWERED: Case[] = [
  { sql: 'SELECT name FROM person ORDER BY name' },
  { sql: 'SELECT name, id FROM person ORDER BY name DESC, id' },
  { sql: 'SELECT name FROM person ORDER BY name NULLS FIRST LIMIT 9 OFFSET 4' },
  { sql: 'SELECT name FROM person ORDER BY name DESC LIMIT $1 OFFSET $2', values: [11, 3] },
  { sql: 'SELECT id FROM person ORDER BY name, id' },
  { sql: 'SELECT id FROM person WHERE n > $1 ORDER BY surname DESC, name, id DESC LIMIT 20', values: [2] },
  { sql: 'SELECT name AS plain, id FROM person ORDER BY plain, id' },
  { sql: 'SELECT name, city FROM person ORDER BY 2, 1 NULLS FIRST' },
  { sql: 'SELECT id FROM person ORDER BY n, plain, city, id' },
  { sql: 'SELECT swedish FROM person ORDER BY swedish' },
  { sql: 'SELECT swedish, name FROM person ORDER BY swedish, name, id' },
  { sql: 'SELECT id FROM person ORDER BY lower(name), id' },
  { sql: "SELECT coalesce(name, 'nobody') AS who, id FROM person ORDER BY who, id" },
  { sql: "SELECT id FROM person ORDER BY name || ' ' || surname, id" },
  { sql: "SELECT id FROM person ORDER BY data ->> 'k', id" },
  { sql: 'SELECT id FROM person ORDER BY CASE WHEN n > 3 THEN name ELSE city END, id' },
  { sql: 'SELECT id FROM person ORDER BY n::text, id' },
  { sql: 'SELECT id FROM person ORDER BY upper(swedish), id' },
  { sql: 'SELECT id FROM person ORDER BY lower(plain), id' },
  { sql: 'SELECT id FROM person ORDER BY plain || name, id' },
  { sql: 'SELECT big, id FROM named ORDER BY big, id' },
  { sql: 'SELECT DISTINCT city FROM person ORDER BY city' },
  { sql: 'SELECT DISTINCT city, name FROM person ORDER BY name DESC, city LIMIT 30' },
  { sql: 'SELECT DISTINCT ON (city) city, name, id FROM person ORDER BY city, name DESC, id' },
  { sql: 'SELECT city, count(*) FROM person GROUP BY city ORDER BY city' },
  { sql: 'SELECT city, count(*), sum(n) FROM person GROUP BY city ORDER BY 2 DESC, city' },
  { sql: 'SELECT count(*) FROM person GROUP BY city ORDER BY city DESC' },
  { sql: 'SELECT city, avg(n) FROM person GROUP BY city HAVING count(*) > $1 ORDER BY city', values: [1] },
  { sql: 'SELECT lower(name), count(*) FROM person GROUP BY lower(name) ORDER BY lower(name)' },
  { sql: 'SELECT upper(city) AS c, max(n) FROM person GROUP BY c ORDER BY c NULLS FIRST LIMIT 10' },
  { sql: 'SELECT name FROM person UNION ALL SELECT name FROM guest ORDER BY name' },
  { sql: 'SELECT name FROM person UNION SELECT name FROM guest ORDER BY name DESC LIMIT 12' },
  { sql: 'SELECT p.name, g.id FROM person p JOIN guest g ON g.id = p.id ORDER BY p.name, g.id' },
  { sql: 'SELECT name FROM person WHERE id < 0 ORDER BY name' },
  { sql: 'SELECT name FROM person WHERE id = 7 OR id = 8 ORDER BY name' },
];
const REFUSED: [sql: string, why: RegExp][] = [
  ['SELECT code FROM person ORDER BY code', /Postgres alone knows/],
  ['SELECT same FROM person ORDER BY same', /Postgres alone knows/],
  ['SELECT id FROM person ORDER BY name COLLATE "sv-x-icu"', /Postgres alone knows|cannot be merged/],
  ["SELECT id FROM person ORDER BY CASE WHEN swedish = 'a' THEN name ELSE city END", /cannot be merged/],
  ['SELECT min(name) FROM person', /cannot be merged|Postgres alone knows/],
];

forOneDriver('texts by their collation', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let direct: pg.Client;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES });
    client = await shopClient(proxy);
    direct = new pg.Client({ connectionString: cluster.referenceUrl() });
    await direct.connect();
    await fill();
  });
  after(async () => {
    await client.end();
    await direct.end();
    await proxy.stop();
  });

  async function fill(): Promise<void> {
    await cluster.everywhere('TRUNCATE person, guest, wide');
    const pick = (seed: number): string | null => (seed % 13 === 0 ? null : NAMES[seed % NAMES.length]);
    for (let id = 1; id <= 150; id++) {
      const values = [
        id,
        pick(id),
        pick(id * 7 + 1),
        pick((id * 5) % 17),
        pick(id * 3 + 2),
        pick(id * 11 + 5),
        `c${id % 9}`,
        pick(id * 2 + 3),
        JSON.stringify({ k: pick(id * 19 + 4) }),
        id % 6,
      ];
      const places = values.map((_, i) => `$${i + 1}`).join(', ');
      for (const each of [client, direct]) {
        await each.query(`INSERT INTO person VALUES (${places})`, values);
        if (id % 3 === 0) await each.query('INSERT INTO guest VALUES ($1, $2)', [id, pick(id * 23)]);
      }
    }
  }

  for (const { sql, values } of ANSWERED) {
    it(sql, async () => {
      const ask = (each: pg.Client, how: { values?: unknown[]; name?: string }) =>
        each.query({ text: sql, rowMode: 'array', ...how });
      const expected = (await ask(direct, { values })).rows;
      const again = sql.length % 2 === 0 ? 'named' : undefined;
      for (const name of [undefined, again, again]) {
        const answer = await ask(client, {
          values: values ?? (name === undefined ? undefined : []),
          name: name && `by ${sql.length} ${sql.slice(-20)}`,
        });
        assert.deepEqual(answer.rows, expected);
        assert.equal(answer.rowCount, expected.length);
      }
      await client.query('BEGIN');
      await client.query("INSERT INTO guest VALUES (1000, 'in a transaction')");
      await client.query('DELETE FROM guest WHERE id = 1000');
      assert.deepEqual((await ask(client, { values })).rows, expected);
      await client.query('COMMIT');
    });
  }

  for (const [sql, why] of REFUSED) {
    it(`refused: ${sql}`, async () => {
      await assert.rejects(client.query(sql), (error: Error & { code?: string }) => {
        assert.equal(error.code, '0A000');
        assert.match(error.message, why);
        return true;
      });
    });
  }

  it('EXPLAIN (PGDOG) says so', async () => {
    const { rows } = await client.query('EXPLAIN (PGDOG) SELECT name FROM person ORDER BY swedish, name');
    const text = rows.map((row) => Object.values(row)).join('\n');
    assert.match(
      text,
      /one shard is asked for the order of texts by pg_catalog."sv-x-icu" and pg_catalog."default"/,
    );
  });

  it('portions are refused, and the transaction can be rolled back', async () => {
    await client.query('BEGIN');
    await assert.rejects(
      client.query('DECLARE c CURSOR FOR SELECT name FROM person ORDER BY name'),
      /0A000|portions/,
    );
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT plain FROM person ORDER BY plain');
    assert.equal((await client.query('FETCH 3 FROM c')).rows.length, 3);
    await client.query('COMMIT');
  });

  it('client_encoding: what is not the server’s is refused, as for all texts that are merged', async () => {
    await client.query("SET client_encoding = 'LATIN1'");
    await assert.rejects(client.query('SELECT name FROM guest ORDER BY name'), /client_encoding/);
    await client.query("SET client_encoding = 'UTF8'");
  });

  it('more than is kept is refused; a LIMIT makes it fit', async () => {
    const row =
      "INSERT INTO wide SELECT id, chr(97 + id % 26), repeat('x', 10000) FROM generate_series($1::int, $2::int) id";
    for (let shard = 0; shard < 3; shard++) {
      await cluster.shard(shard, row.replace('id, chr', `id * 3 + ${shard}, chr`), [1, 2500]);
    }
    await assert.rejects(
      client.query('SELECT * FROM wide ORDER BY name'),
      (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, '0A000');
        assert.match(error.message, /more than 64 MB/);
        assert.match(error.hint ?? '', /LIMIT/);
        return true;
      },
    );
    const { rows } = await client.query('SELECT name, filling FROM wide ORDER BY name, id LIMIT 1000');
    assert.equal(rows.length, 1000);
    assert.ok(rows.every(({ name }) => name <= 'd'));
  });

  it('many texts are one question, which leaves nothing behind', async () => {
    await cluster.everywhere('TRUNCATE guest');
    const rows =
      "SELECT id, chr(97 + id % 26) || substr(md5(id::text), 1, 9) || CASE WHEN id % 2 = 0 THEN 'É' ELSE '' END";
    await cluster.reference(`INSERT INTO guest ${rows} FROM generate_series(1, 30000) id`);
    for (let shard = 0; shard < 3; shard++)
      await cluster.shard(
        shard,
        `INSERT INTO guest ${rows} FROM generate_series(1, 30000) id WHERE id % 3 = $1`,
        [shard],
      );
    const sql = 'SELECT id::int FROM guest ORDER BY name DESC, id';
    const ours = (await client.query(sql)).rows;
    assert.deepEqual(ours, await cluster.reference(sql));
    const clients = await proxy.adminQuery<{ database: string; pin_reason: string; locked: boolean }>(
      'SHOW CLIENTS',
    );
    for (const each of clients) assert.deepEqual([each.pin_reason, each.locked], ['', false]);
  });

  it('whoever reads slowly gets all, and a cancel ends it', async () => {
    const slow = await shopClient(proxy);
    const { stream } = (slow as unknown as { connection: { stream: { pause(): void; resume(): void } } })
      .connection;
    const answer = slow.query('SELECT name, filling FROM wide ORDER BY name DESC LIMIT 1900');
    for (let i = 0; i < 20; i++) {
      stream.pause();
      await new Promise((resolve) => setTimeout(resolve, 20));
      stream.resume();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal((await answer).rows.length, 1900);
    const outcome = slow.query('SELECT name, filling FROM wide ORDER BY name DESC LIMIT 2000').then(
      ({ rows }) => rows.length,
      (error: Error & { code?: string }) => error.code,
    );
    stream.pause();
    await cancelClient(proxy, slow);
    stream.resume();
    assert.ok([2000, '57014'].includes((await outcome) ?? ''));
    assert.equal((await slow.query('SELECT name FROM guest ORDER BY name LIMIT 1')).rows.length, 1);
    await slow.end();
  });
});
