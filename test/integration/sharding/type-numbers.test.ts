/** Types and tables that users have made have other numbers on each shard; clients know those of the first one. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, D, E, type Frame, P, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient } from '../../support/raw-client.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { SplitRelay } from '../../support/split-relay.js';
import { clientOf } from '../../support/wire.js';

const SCHEMA = `
  ${PGDOG_SCHEMA}
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
  CREATE TYPE place AS (x int, y int);
  CREATE TABLE person (id bigint PRIMARY KEY, mood mood, moods mood[], home place);
  CREATE TABLE weather (day date PRIMARY KEY, mood mood);
  INSERT INTO weather VALUES ('2026-01-01', 'ok');`;
const TABLES = [{ name: 'person', column: 'id', data_type: 'bigint' }];
const IDS = Array.from({ length: 12 }, (_, index) => index + 1);

let cluster: ShardCluster;
/** Of the first shard, by name. */
let types: Map<string, number>;
let tables: Map<string, number>;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  const known = await cluster.shard(
    0,
    `SELECT t.typname AS type, t.oid, t.typrelid AS relid FROM pg_type t WHERE t.oid > 16384`,
  );
  types = new Map(known.map(({ type, oid }) => [String(type), Number(oid)]));
  tables = new Map(known.map(({ type, relid }) => [String(type), Number(relid)]));
  const numbers = await cluster.all(`SELECT 'mood'::regtype::oid AS oid`);
  assert.equal(new Set(numbers.map(({ oid }) => oid)).size, 3, 'the shards have different numbers');
});
after(() => cluster.stop());

const typesOf = ({ fields }: pg.QueryResult): number[] => fields.map(({ dataTypeID }) => dataTypeID);
const tablesOf = ({ fields }: pg.QueryResult): number[] => fields.map(({ tableID }) => tableID);
const numberOf = (name: string): number => types.get(name) ?? 0;

/** Object ids in a ParameterDescription. */
function parametersIn(frames: readonly Frame[]): number[] {
  const { body } = frames.find(({ type }) => type === 't') ?? { body: Buffer.alloc(2) };
  return Array.from({ length: body.readUInt16BE(0) }, (_, index) => body.readUInt32BE(2 + 4 * index));
}

async function ask(client: RawClient, ...frames: Buffer[]): ReturnType<RawClient['readUntilReady']> {
  client.send(Buffer.concat(frames));
  return client.readUntilReady();
}

forEachDriver('numbers of types and tables', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES });
    client = await shopClient(proxy);
    await cluster.all('TRUNCATE person');
    for (const id of IDS) {
      const values = [id, ['sad', 'ok', 'happy'][id % 3], '{sad,ok}', '(1,2)'];
      await client.query('INSERT INTO person VALUES ($1, $2, $3, $4)', values);
    }
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });

  it('are those of the first shard in whatever a shard answers', async () => {
    const expected = ['mood', '_mood', 'place', 'person'].map(numberOf);
    const text = 'SELECT mood, moods, home, p FROM person p WHERE id = $1';
    for (const id of IDS) {
      for (const query of [
        { text, values: [id] },
        { text, values: [id], name: 'named' },
        { text: text.replace('$1', String(id)) },
        { text: text.replace('= $1', `IN (${id}, ${(id % 12) + 1}, ${((id + 4) % 12) + 1})`) },
      ]) {
        const result = await client.query(query);
        assert.deepEqual(typesOf(result), expected, JSON.stringify(query));
        assert.deepEqual(tablesOf(result).slice(0, 3), Array(3).fill(tables.get('person')));
      }
    }
  });

  it('are the same in what several shards answer together', async () => {
    const all = await client.query('SELECT mood, id FROM person ORDER BY id');
    assert.deepEqual(
      all.rows.map(({ mood }) => mood),
      IDS.map((id) => ['sad', 'ok', 'happy'][id % 3]),
    );
    assert.deepEqual(typesOf(all), [numberOf('mood'), 20]);
    const moved = await client.query('SELECT * FROM person');
    assert.deepEqual(typesOf(moved), [20, numberOf('mood'), numberOf('_mood'), numberOf('place')]);
    assert.equal(moved.rowCount, IDS.length);
    const copies = await client.query('SELECT mood FROM weather');
    assert.deepEqual([...typesOf(copies), ...tablesOf(copies)], [numberOf('mood'), tables.get('weather')]);
  });

  it('are those that a client declares parameters with, and is told of', async () => {
    const mood = numberOf('mood');
    const raw = await clientOf(proxy, { user: 'postgres', password: 'postgres', database: SHOP });
    const read = 'SELECT pg_typeof($1)::text, mood FROM person WHERE id = $2 AND mood = $1';
    for (const id of IDS) {
      const values = [['sad', 'ok', 'happy'][id % 3], String(id)];
      for (const name of ['', `declared_${id}`, 'declared']) {
        const parse = name === 'declared' && id > 1 ? [] : [P(name, read, [mood, 20])];
        const { error, rows } = await ask(raw, ...parse, B('', name, { values }), E(''), S());
        assert.deepEqual([error, rows], [null, [['mood', values[0]]]], `${id} ${name}`);
      }
      const update = 'UPDATE person SET mood = $1, home = $2 WHERE id = $3';
      const told = await ask(
        raw,
        P('', update),
        D('S', ''),
        B('', '', { values: ['ok', '(3,4)', values[1]] }),
        S(),
      );
      assert.deepEqual(parametersIn(told.frames), [mood, numberOf('place'), 20]);
    }
    // A number that no type has is refused in the server's words.
    const { error } = await ask(raw, P('', 'SELECT $1 FROM person WHERE id = 1', [99_999_999]), S());
    assert.match(error?.M ?? '', /99999999/);
    await raw.end();
  });

  it('are what catalogs tell, whomever they are asked by and wherever that is', async () => {
    const clients = await Promise.all(IDS.map(() => shopClient(proxy)));
    const told = async (by: pg.Client): Promise<unknown[]> => {
      const { rows } = await by.query(
        `SELECT t.oid, 'mood'::regtype::oid AS cast, to_regtype('mood')::oid AS looked FROM pg_type t WHERE t.typname = 'mood'`,
      );
      const [{ number }] = (await by.query(`SELECT 'person'::regclass::oid AS number`)).rows;
      return [...Object.values(rows[0]), number];
    };
    const expected = [...Array(3).fill(numberOf('mood')), tables.get('person')];
    for (const [index, by] of clients.entries()) {
      assert.deepEqual(await told(by), expected);
      await by.query('BEGIN');
      const { rows } = await by.query('SELECT mood FROM person WHERE id = $1', [index + 1]);
      assert.equal(rows.length, 1);
      assert.deepEqual(await told(by), expected, 'in a transaction on another shard');
      await by.query('COMMIT');
    }
    // As asyncpg looks up types; the setting is known to the transaction's shard alone.
    const [by] = clients;
    await by.query('BEGIN');
    const [{ id }] = await cluster.shard(1, 'SELECT id FROM person LIMIT 1');
    await by.query('SELECT mood FROM person WHERE id = $1', [id]);
    await by.query("SELECT current_setting('jit'), set_config('jit', 'off', false)");
    await assert.rejects(by.query("SELECT oid FROM pg_type WHERE typname = 'mood'"), {
      code: '0A000',
      message: /looked up on shard 0/,
    });
    await by.query('ROLLBACK');
    const { rows } = await client.query(`EXPLAIN (PGDOG) SELECT oid FROM pg_type`);
    assert.match(JSON.stringify(rows), /shard 0, whose numbers of types/);
    await Promise.all(clients.map((each) => each.end()));
  });

  it('are its own for who has named a shard, and nobody is given what such a client has prepared', async () => {
    const own = await cluster.shard(1, `SELECT 'mood'::regtype::oid AS oid`);
    const mood = Number(own[0].oid);
    assert.notEqual(mood, numberOf('mood'));
    const text = 'SELECT mood FROM person WHERE mood = $1';
    const byNumber = (number: number, name: string): Buffer[] => [
      P(name, text, [number]),
      D('S', name),
      B('', name, { values: ['ok'] }),
      E(''),
      S(),
    ];
    const named = await clientOf(proxy, {
      user: 'postgres',
      password: 'postgres',
      database: SHOP,
      parameters: { options: '-c pgdog.shard=1' },
    });
    const plain = await clientOf(proxy, { user: 'postgres', password: 'postgres', database: SHOP });
    for (const name of ['', 'n']) {
      const { error, frames } = await ask(named, ...byNumber(mood, name));
      assert.deepEqual([error, parametersIn(frames)], [null, [mood]]);
      const column = frames.find(({ type }) => type === 'T')?.body;
      assert.equal(column?.readUInt32BE(2 + 'mood'.length + 1 + 6), mood);
    }
    const { rows } = await ask(named, P('', `SELECT 'mood'::regtype::oid`), B('', ''), E(''), S());
    assert.deepEqual(rows, [[String(mood)]]);
    // The same text, and the number of all: on the same shard it is another one there.
    const direct = 'SELECT pg_typeof($1)::text FROM person WHERE id = $2 AND $1 IS NOT NULL';
    for (const by of [named, plain]) {
      const number = by === named ? mood : numberOf('mood');
      for (const id of IDS) {
        const values = ['ok', String(id)];
        const name = `d${id}`;
        const result = await ask(by, P(name, direct, [number, 20]), B('', name, { values }), E(''), S());
        assert.equal(result.error, null);
        assert.deepEqual(
          result.rows.filter(([type]) => type !== 'mood'),
          [],
        );
      }
    }
    await Promise.all([named.end(), plain.end()]);
  });

  it('of what the first shard does not have are no numbers of anything else', async () => {
    await cluster.shard(2, `CREATE TYPE lonely AS ENUM ('a')`);
    const own = await shopClient(proxy);
    try {
      // The catalogs are read again when something unknown is named.
      await own.query('SELECT FROM nowhere').catch(() => undefined);
      const result = await own.query(`/* pgdog_shard: 2 */ SELECT 'a'::lonely AS it`);
      assert.deepEqual([result.rows, typesOf(result)], [[{ it: 'a' }], [705]]);
    } finally {
      await own.end();
      await cluster.shard(2, 'DROP TYPE lonely');
    }
  });

  it('are known at once of what is made through the proxy', async () => {
    await client.query(`CREATE TYPE size AS ENUM ('s', 'm', 'l')`);
    await client.query('CREATE TABLE shirt (size size)');
    try {
      const [{ oid }] = await cluster.shard(0, `SELECT 'size'::regtype::oid AS oid`);
      const result = await client.query('SELECT size FROM shirt');
      assert.deepEqual(typesOf(result), [Number(oid)]);
      const clients = await Promise.all(IDS.map(() => shopClient(proxy)));
      for (const each of clients) {
        assert.deepEqual(typesOf(await each.query('SELECT size FROM shirt')), [Number(oid)]);
        await each.end();
      }
    } finally {
      await client.query('DROP TABLE shirt');
      await client.query('DROP TYPE size');
    }
  });

  it('are found in frames that come in pieces', async () => {
    const relay = await SplitRelay.open(cluster.server.port);
    const entries = cluster.entries.map((entry) => ({ ...entry, host: '127.0.0.1', port: relay.port }));
    const split = await startShardedProxy({ entries }, driver, { tables: TABLES });
    const by = await shopClient(split);
    try {
      const text = 'SELECT mood, moods, home FROM person WHERE id = $1';
      for (const every of [1, 3, 11]) {
        relay.mark({ at: 0, every });
        for (const id of [1, 3]) {
          const result = await by.query({ text, values: [id] });
          assert.deepEqual(typesOf(result), ['mood', '_mood', 'place'].map(numberOf));
        }
        const all = await by.query('SELECT mood, id FROM person ORDER BY id');
        assert.deepEqual([all.rowCount, ...typesOf(all)], [IDS.length, numberOf('mood'), 20]);
      }
    } finally {
      relay.mark(null);
      await by.end();
      await split.stop();
      relay.close();
    }
  });
});
