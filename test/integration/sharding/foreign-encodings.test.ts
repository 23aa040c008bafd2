/** Keys, names and directives of clients whose client_encoding is not the shards': as one server has them, or refused. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import { forOneDriver } from '../../support/drivers.js';
import { B, c, E, frame, int16, int32, Q, S, text } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient, type RawResult } from '../../support/raw-client.js';
import { PGDOG_SCHEMA, SHOP, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';
import { firstValue } from '../../support/wire.js';

const SCHEMA = `${PGDOG_SCHEMA}
  CREATE TABLE tag (name text PRIMARY KEY, note bigint);
  CREATE TABLE part (name text, note bigint) PARTITION BY HASH (name);
  CREATE TABLE "ö" (a bigint, b bigint);
  CREATE TABLE "Ã¶" (a bigint, b bigint);
  CREATE TABLE "ア" (a bigint, b bigint);
  CREATE TABLE "ヂ" (a bigint, b bigint);
  CREATE TABLE mover (id bigint PRIMARY KEY, word text, place text DEFAULT '¥');
  CREATE TABLE made (id bigint PRIMARY KEY, word text DEFAULT (chr(228) || random()::text));`;

const TABLES = [
  { name: 'tag', column: 'name', data_type: 'text' },
  { name: 'ö', column: 'a', data_type: 'bigint' },
  { name: 'Ã¶', column: 'b', data_type: 'bigint' },
  { name: 'ア', column: 'a', data_type: 'bigint' },
  { name: 'ヂ', column: 'b', data_type: 'bigint' },
  { name: 'mover', column: 'id', data_type: 'bigint' },
];

/** Characters as clients of these encodings send them. */
const ENCODINGS: Record<string, Record<string, string>> = {
  UTF8: { ö: 'c3b6', 'Ã¶': 'c383c2b6', ア: 'e382a2', ヂ: 'e38382', ソ: 'e382bd' },
  LATIN1: { ö: 'f6', 'Ã¶': 'c3b6', é: 'e9' },
  WIN1252: { ö: 'f6', 'Ã¶': 'c3b6', '€': '80' },
  SJIS: { ア: '8341', ヂ: '8361', ソ: '835c', あ: '82a0' },
  EUC_JP: { ア: 'a5a2', ヂ: 'a5c2', あ: 'a4a2' },
};

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  await cluster.reference('CREATE TABLE part_text (k text) PARTITION BY HASH (k)');
  await cluster.reference('CREATE TABLE part_bigint (k bigint) PARTITION BY HASH (k)');
});
after(() => cluster.stop());

const END = Buffer.from([0]);

/** Texts of a client, in its encoding. */
class Coder {
  readonly #hexes: Record<string, string>;

  constructor(encoding: string) {
    this.#hexes = ENCODINGS[encoding] ?? {};
  }

  /** `words` stand for themselves where they are ASCII. */
  of(string: string): Buffer {
    const parts: Buffer[] = [];
    let rest = string;
    while (rest !== '') {
      const known = Object.keys(this.#hexes).find((key) => rest.startsWith(key));
      const piece = known ?? rest.slice(0, 1);
      parts.push(known === undefined ? Buffer.from(piece) : Buffer.from(this.#hexes[known] ?? '', 'hex'));
      rest = rest.slice(piece.length);
    }
    return Buffer.concat(parts);
  }

  query(sql: string): Buffer {
    return frame('Q', this.of(sql), END);
  }

  /** A whole batch with these values. */
  batch(sql: string, values: string[], name = ''): Buffer[] {
    const bound = values.flatMap((value) => [int32(this.of(value).length), this.of(value)]);
    return [
      frame('P', text(name), this.of(sql), END, int16(0)),
      frame('B', END, text(name), int16(0), int16(values.length), ...bound, int16(0)),
      E(''),
      S(),
    ];
  }
}

type Ask = (coder: Coder, key: string) => Buffer[];

/** Each writes the row (key, 7), or nothing. */
const WRITES: Record<string, Ask> = {
  'a literal': (coder, key) => [coder.query(`INSERT INTO tag VALUES ('${key}', 7)`)],
  'E with a literal': (coder, key) => [coder.query(`INSERT INTO tag VALUES (E'${key}', 7)`)],
  'dollar quotes': (coder, key) => [coder.query(`INSERT INTO tag VALUES ($$${key}$$, 7)`)],
  'a parameter': (coder, key) => coder.batch('INSERT INTO tag VALUES ($1, 7)', [key]),
  'a parameter of a named statement': (coder, key) =>
    coder.batch('INSERT INTO tag VALUES ($1, 7)', [key], 's'),
  'a literal in a batch': (coder, key) => coder.batch(`INSERT INTO tag VALUES ('${key}', 7)`, []),
  'one row among others': (coder, key) => [
    coder.query(`INSERT INTO tag VALUES ('a', 1), ('${key}', 7), ('b', 2), ('c', 3)`),
  ],
  'parameters of several rows': (coder, key) =>
    coder.batch('INSERT INTO tag VALUES ($1, 1), ($2, 7), ($3, 3)', ['a', key, 'b']),
  unnest: (coder, key) =>
    coder.batch('INSERT INTO tag SELECT * FROM unnest($1::text[], $2::bigint[])', [
      `{a,${key},b}`,
      '{1,7,2}',
    ]),
  'ON CONFLICT': (coder, key) => [
    coder.query(`INSERT INTO tag VALUES ('${key}', 7) ON CONFLICT (name) DO UPDATE SET note = 8`),
  ],
  PREPARE: (coder, key) => [coder.query(`PREPARE p AS INSERT INTO tag VALUES ('${key}', 7); EXECUTE p`)],
  'a move': (coder, key) => [
    coder.query("INSERT INTO tag VALUES ('mover', 7)"),
    coder.query(`UPDATE tag SET name = '${key}' WHERE name = 'mover'`),
  ],
  'a move by a parameter': (coder, key) => [
    coder.query("INSERT INTO tag VALUES ('mover', 7)"),
    ...coder.batch("UPDATE tag SET name = $1 WHERE name = 'mover'", [key]),
  ],
  COPY: (coder, key) => [Q('COPY tag FROM STDIN'), frame('d', coder.of(`a\t1\n${key}\t7\nb\t2\n`)), c()],
  'COPY as csv': (coder, key) => [
    Q('COPY tag FROM STDIN (FORMAT csv)'),
    frame('d', coder.of(`a,1\n"${key}",7\nb,2\n`)),
    c(),
  ],
  'pgdog.sharding_key': (coder, key) => [
    coder.query(`SET pgdog.sharding_key TO '${key}'`),
    coder.query(`INSERT INTO tag VALUES ('${key}', 7)`),
    Q('RESET pgdog.sharding_key'),
  ],
  'set_config()': (coder, key) => [
    ...coder.batch("SELECT set_config('pgdog.sharding_key', $1, false)", [key]),
    ...coder.batch('INSERT INTO tag VALUES ($1, 7)', [key]),
    Q('RESET pgdog.sharding_key'),
  ],
  'a comment': (coder, key) => [
    coder.query(`/* pgdog_sharding_key: '${key}' */ INSERT INTO tag VALUES ('${key}', 7)`),
  ],
};

/** Each reads note of that row. */
const READS: Record<string, Ask> = {
  'a literal': (coder, key) => [coder.query(`SELECT note FROM tag WHERE name = '${key}'`)],
  'a parameter': (coder, key) => coder.batch('SELECT note FROM tag WHERE name = $1', [key]),
  IN: (coder, key) => [coder.query(`SELECT note FROM tag WHERE name IN ('${key}', 'zz')`)],
  'parameters in IN': (coder, key) => coder.batch('SELECT note FROM tag WHERE name IN ($1, $2)', [key, 'zz']),
  ANY: (coder, key) => coder.batch('SELECT note FROM tag WHERE name = ANY($1::text[])', [`{${key},zz}`]),
  'the literal of ANY': (coder, key) => [coder.query(`SELECT note FROM tag WHERE name = ANY('{${key},zz}')`)],
  'a comment': (coder, key) => [
    coder.query(`/* pgdog_sharding_key: '${key}' */ SELECT note FROM tag WHERE name = '${key}'`),
  ],
};

forOneDriver('clients of other encodings than the shards', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: TABLES,
      workers: 1,
      sections: { rewrite: { shard_key: 'rewrite' } },
    });
  });
  after(() => proxy.stop());
  beforeEach(() => cluster.everywhere('TRUNCATE tag, "ö", "Ã¶", "ア", "ヂ", mover, made'));

  const connect = (client_encoding: string): Promise<RawClient> =>
    RawClient.connect({
      password: 'postgres',
      port: proxy.port,
      database: SHOP,
      parameters: { client_encoding },
    });

  /** One after another, with an answer each. */
  async function ask(client: RawClient, frames: Buffer[]): Promise<RawResult[]> {
    const results: RawResult[] = [];
    let sent: Buffer[] = [];
    for (const one of frames) {
      sent.push(one);
      const letter = String.fromCharCode(one[0] ?? 0);
      if (letter === 'S' || letter === 'c' || (letter === 'Q' && !one.includes('FROM STDIN'))) {
        client.send(...sent);
        sent = [];
        results.push(await client.readUntilReady());
      }
    }
    return results;
  }

  /** @returns how many rows there are with this key */
  async function assertPlaced(table: string, column: string, type: string, key?: string): Promise<number> {
    let found = 0;
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      for (const row of await cluster.shard(shard, `SELECT * FROM "${table}"`)) {
        assert.equal(await cluster.partitionOf(type, row[column]), shard, `${table} ${JSON.stringify(row)}`);
        if (row[column] === key) found++;
      }
    }
    return found;
  }

  /** SQLSTATEs of what is refused for its encoding; never one of ours for our own mistakes. */
  const REFUSED = new Set(['0A000', '22023', '22P05', '25001', '42601', '22P02']);

  for (const encoding of Object.keys(ENCODINGS)) {
    const coder = new Coder(encoding);
    for (const [way, ask1] of Object.entries(WRITES)) {
      it(`${encoding}: rows are where they belong, or nowhere: ${way}`, async () => {
        for (const key of Object.keys(ENCODINGS[encoding] ?? {})) {
          await cluster.everywhere('TRUNCATE tag');
          const client = await connect(encoding);
          const results = await ask(client, ask1(coder, key));
          const errors = results.flatMap(({ error }) => (error === null ? [] : [error]));
          const found = await assertPlaced('tag', 'name', 'text', key);
          for (const { C, M } of errors) assert.ok(REFUSED.has(C ?? ''), `${C} ${M}`);
          if (errors.length === 0) assert.equal(found, 1, `${key} is there`);
          await client.end();
        }
      });
    }

    for (const [way, ask1] of Object.entries(READS)) {
      it(`${encoding}: what is there is found, or refused: ${way}`, async () => {
        for (const key of Object.keys(ENCODINGS[encoding] ?? {})) {
          await cluster.everywhere('TRUNCATE tag');
          await cluster.shard(await cluster.partitionOf('text', key), 'INSERT INTO tag VALUES ($1, 7)', [
            key,
          ]);
          const client = await connect(encoding);
          const [result] = await ask(client, ask1(coder, key));
          if (result?.error !== null)
            assert.ok(REFUSED.has(result?.error['C'] ?? ''), JSON.stringify(result?.error));
          else assert.deepEqual(result.rows, [['7']], `${key} is found`);
          await client.end();
        }
      });
    }

    it(`${encoding}: a table's name is that of the client's characters`, async () => {
      for (const [table, column] of [
        ['ö', 'a'],
        ['Ã¶', 'b'],
        ['ア', 'a'],
        ['ヂ', 'b'],
      ] as const) {
        if (ENCODINGS[encoding]?.[table] === undefined) continue;
        const client = await connect(encoding);
        for (let i = 0; i < 10; i++) {
          for (const name of [`"${table}"`, table]) {
            await ask(client, [coder.query(`INSERT INTO ${name} VALUES (${i}, ${i + 100})`)]);
            await ask(
              client,
              coder.batch(`INSERT INTO ${name} VALUES ($1, $2)`, [String(i), String(i + 100)]),
            );
          }
        }
        await assertPlaced(table, column, 'bigint');
        await client.end();
      }
    });
  }

  it('a prepared statement stays what it was when client_encoding changes', async () => {
    for (const name of ['', 's']) {
      await cluster.everywhere('TRUNCATE tag');
      for (const key of ['ö', 'Ã¶']) {
        await cluster.shard(await cluster.partitionOf('text', key), 'INSERT INTO tag VALUES ($1, $2)', [
          key,
          key === 'ö' ? 1 : 2,
        ]);
      }
      const client = await connect('LATIN1');
      const coder = new Coder('LATIN1');
      const set = frame('P', text('set'), text("SET client_encoding = 'UTF8'"), int16(0));
      await ask(client, [set, S()]);
      const parse = frame('P', text(name), coder.of("SELECT note FROM tag WHERE name = 'Ã¶'"), END, int16(0));
      await ask(client, [parse, S()]);
      await ask(client, [B('', 'set'), E(''), S()]);
      const [result] = await ask(client, [B('', name), E(''), S()]);
      if (result?.error === null) assert.deepEqual(result.rows, [['2']]);
      else assert.ok(REFUSED.has(result?.error['C'] ?? ''), JSON.stringify(result?.error));
      await client.end();
    }
  });

  it('what we write in place of a statement is the same characters, or refused', async () => {
    for (const encoding of Object.keys(ENCODINGS)) {
      await cluster.everywhere('TRUNCATE mover, made');
      for (let id = 0; id < 4; id++) {
        await cluster.shard(
          await cluster.partitionOf('bigint', id),
          'INSERT INTO mover (id, word) VALUES ($1, $2)',
          [id, '¥5 ‾'],
        );
      }
      const client = await connect(encoding);
      const tell = async (sql: string): Promise<void> => {
        const { error } = await client.query(sql);
        if (error !== null) assert.ok(REFUSED.has(error['C'] ?? ''), `${encoding} ${JSON.stringify(error)}`);
      };
      for (let id = 0; id < 4; id++) await tell(`UPDATE mover SET id = ${id + 100} WHERE id = ${id}`);
      for (let id = 0; id < 3; id++) await tell(`INSERT INTO made (id) VALUES (${id})`);
      const made = await Promise.all(
        Array.from({ length: cluster.shardCount }, (_, shard) =>
          cluster.shard(shard, 'SELECT * FROM made ORDER BY id'),
        ),
      );
      for (const rows of made) assert.deepEqual(rows, made[0], encoding);
      for (const { word } of made[0] ?? []) assert.match(String(word), /^ä0/, encoding);
      const moved = await cluster.all('SELECT * FROM mover');
      assert.equal(moved.length, 4);
      for (const row of moved) assert.deepEqual([row['word'], row['place']], ['¥5 ‾', '¥'], encoding);
      await assertPlaced('mover', 'id', 'bigint');
      if (encoding === 'UTF8') {
        assert.ok(moved.every(({ id }) => Number(id) >= 100));
        assert.equal((await cluster.all('SELECT * FROM made')).length, 3 * cluster.shardCount);
      }
      await client.end();
    }
  });

  it('ASCII keys are found whatever the encoding', async () => {
    await cluster.shard(await cluster.partitionOf('text', 'plain'), "INSERT INTO tag VALUES ('plain', 7)");
    for (const encoding of Object.keys(ENCODINGS)) {
      const client = await connect(encoding);
      assert.equal(await firstValue(client, "SELECT note FROM tag WHERE name = 'plain'"), '7');
      await client.end();
    }
  });
});
