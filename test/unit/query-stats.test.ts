// SHOW QUERIES: what is counted for which shape, what is shown of a text, and what a worker tells of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  LATENCY_CELLS,
  latencyCell,
  latencyCellStartUs,
  latencyQuantileUs,
  loadSqlParser,
  readShape,
  SeededRandom,
  SHAPE_HIGH,
  SHAPE_READ,
  SHAPE_TEXT_MAX,
  shape,
  shapeText,
} from '@pgdog-cluster/core';
import {
  CountedPortals,
  EVICTED_TEXT,
  FigureSlots,
  LONG_BYTES_PER_CHECK,
  OTHERS_TEXT,
  PlanCache,
  QueryFigures,
  QueryStats,
  reportQueries,
  SHAPES_REPORTED_MAX,
  StatementRegistry,
  UNREAD_TEXT,
} from '@pgdog-cluster/worker';

/** Of a client that has changed nothing. */
const USUAL_READING = {
  readingKey: '',
  encoding: 'UTF8',
  definitions: 0,
  values: null,
  origin: null,
  ownKey: '',
};

import { readWholeCorpus } from '../support/corpus.js';

const parser = await loadSqlParser();
const makeStats = (entriesMax?: number) => new QueryStats(new PlanCache(parser, 1000, 1 << 20), entriesMax);

const fraction = (random: SeededRandom): number => random.below(1_000_000) / 1_000_000;

/** As SHOW QUERIES shows it; null: it has no shape. */
function shown(sql: string | Uint8Array): string | null {
  const bytes = Buffer.from(sql);
  if (readShape(bytes, 0, bytes.length) !== SHAPE_READ) return null;
  return shapeText(bytes, 0, bytes.length, (shape.flags & SHAPE_HIGH) === 0);
}

function of(stats: QueryStats, sql: string, database = 'shop', isRouted = false): QueryFigures {
  const bytes = Buffer.from(`<${sql}>`);
  return stats.of(database, bytes, 1, bytes.length - 1, isRouted);
}

const sumOf = (stats: QueryStats, key: 'calls' | 'totalUs' | 'errors' | 'rows' | 'hits') =>
  [...stats.all()].reduce((sum, figures) => sum + figures[key], 0);
const callsOf = (stats: QueryStats, text: string) =>
  [...stats.all()].filter((figures) => figures.text === text).reduce((sum, { calls }) => sum + calls, 0);

test('a duration is in the cell that holds it, and cells are at most a quarter wide', () => {
  assert.equal(latencyCell(0), 0);
  assert.equal(latencyCellStartUs(0), 0);
  for (let cell = 1; cell < LATENCY_CELLS; cell++) {
    const start = latencyCellStartUs(cell);
    assert.equal(latencyCell(start), cell, `${start} us`);
    assert.equal(latencyCell(start - 1), cell - 1, `${start - 1} us`);
    if (cell + 1 < LATENCY_CELLS) assert.ok(latencyCellStartUs(cell + 1) <= start * 1.25);
  }
  assert.equal(latencyCell(2 ** 40), LATENCY_CELLS - 1);
});

test('p99 is near what sorting says, whatever the distribution', () => {
  const random = new SeededRandom(7);
  for (const scale of [300, 20_000, 3_000_000]) {
    const cells = new Uint32Array(LATENCY_CELLS);
    const times = Array.from({ length: 5000 }, () => Math.ceil(-Math.log(1 - fraction(random)) * scale));
    for (const us of times) cells[latencyCell(us)]++;
    times.sort((a, b) => a - b);
    const exact = times[Math.ceil(times.length * 0.99) - 1];
    const p99 = latencyQuantileUs(cells, 0.99, times[times.length - 1]);
    assert.ok(Math.abs(p99 - exact) <= exact * 0.25, `${p99} for ${exact}`);
  }
  assert.equal(latencyQuantileUs(new Uint32Array(LATENCY_CELLS), 0.99, 0), 0);
  const one = new Uint32Array(LATENCY_CELLS);
  one[latencyCell(1000)] = 1;
  assert.ok(latencyQuantileUs(one, 0.99, 1000) <= 1000);
});

test('figures add up, and no cell overflows', () => {
  const figures = new QueryFigures(new FigureSlots(), 'shop', 'select $1', 0);
  for (const us of [10, 5000, 300]) figures.done(us);
  figures.addRows(7);
  figures.addError();
  const { calls, totalUs, maxUs, rows, errors } = figures;
  assert.deepEqual([calls, totalUs, maxUs, rows, errors], [3, 5310, 5000, 7, 1]);
  figures.cells[latencyCell(10)] = 0xffffffff;
  figures.done(10);
  assert.equal(figures.cells[latencyCell(10)], 0x80000000);
});

test('texts of one shape are counted together, those of other databases apart', () => {
  const stats = makeStats();
  const first = of(stats, 'SELECT * FROM a WHERE id = 1');
  assert.equal(of(stats, 'SELECT * FROM a WHERE id = 1'), first);
  assert.equal(of(stats, 'SELECT * FROM a WHERE id = 22'), first);
  assert.equal(of(stats, 'select *  from A /* x */ where id=3'), first);
  assert.notEqual(of(stats, 'SELECT * FROM b WHERE id = 1'), first);
  const other = of(stats, 'SELECT * FROM a WHERE id = 1', 'books');
  assert.notEqual(other, first);
  assert.equal(of(stats, 'SELECT * FROM a WHERE id = 1', 'books'), other);
  assert.equal(of(stats, 'SELECT * FROM a WHERE id = 1'), first);
  assert.deepEqual(stats.counts, { hits: 5, misses: 3, evictions: 0 });
  assert.deepEqual([first.text, first.hits, stats.entryCount], ['select * from a where id = $1', 4, 3]);
});

test('what is thrown out goes on in one sum: totals stay true', () => {
  const stats = makeStats(20);
  const held = of(stats, 'SELECT held');
  held.done(50);
  held.addError();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 100; i++) {
      // What comes once is not kept when there is no room; what comes twice is.
      for (let again = 0; again < 2; again++) of(stats, `SELECT c${i} FROM t`).done(100);
    }
  }
  assert.equal(stats.entryCount, 20);
  assert.ok(stats.counts.evictions >= 80);
  assert.equal(held.entry, -1);
  // Whoever holds it counts on, for the sum.
  held.done(50);
  held.addRows(3);
  assert.deepEqual([sumOf(stats, 'calls'), sumOf(stats, 'totalUs')], [602, 60_100]);
  assert.deepEqual([sumOf(stats, 'errors'), sumOf(stats, 'rows')], [1, 3]);
  const cells = [...stats.all()].reduce((sum, figures) => sum + figures.cells.reduce((a, b) => a + b, 0), 0);
  assert.equal(cells, 602);
  assert.ok(callsOf(stats, EVICTED_TEXT) > 0);
  assert.equal(stats.current(held).text, 'select held');
});

test('a flood of shapes that never come back pushes out nothing', () => {
  const stats = makeStats(20);
  for (let i = 0; i < 20; i++) of(stats, `SELECT kept${i}`);
  for (let i = 0; i < 1000; i++) of(stats, `SELECT flood${i}`).done(1);
  assert.deepEqual([stats.counts.evictions, callsOf(stats, EVICTED_TEXT)], [0, 1000]);
  assert.equal(of(stats, 'SELECT kept3').text, 'select kept3');
});

test('query_cache_limit = 0 keeps nothing, and counts all', () => {
  const stats = makeStats(0);
  for (let i = 0; i < 5; i++) of(stats, `SELECT ${'x'.repeat(i + 1)}`).done(1);
  assert.deepEqual([stats.entryCount, callsOf(stats, EVICTED_TEXT)], [0, 5]);
});

test('room is given back: bytes go to nothing with the last shape', () => {
  const stats = makeStats();
  for (let i = 0; i < 1000; i++) of(stats, `SELECT ${'column, '.repeat(i % 40)} c${i} FROM t`);
  assert.ok(stats.bytes > 500_000 && stats.bytes < 5_000_000, String(stats.bytes));
  stats.clear();
  assert.deepEqual([stats.bytes, stats.entryCount, sumOf(stats, 'hits')], [0, 0, 0]);
});

test('what no server accepts and what is very long is not read', () => {
  const stats = makeStats();
  for (const sql of ["SELECT 'open", `SELECT '${'x'.repeat(300_000)}'`])
    assert.equal(of(stats, sql).text, UNREAD_TEXT);
  assert.equal(stats.entryCount, 0);
});

test('long texts that were not seen before have a budget; those that were need none', () => {
  const stats = makeStats();
  const long = (i: number) => `SELECT '${'x'.repeat(2000)}', ${i}`;
  const seen = long(0);
  assert.notEqual(of(stats, seen).text, UNREAD_TEXT);
  let readCount = 0;
  for (let i = 1; i < 100; i++) if (of(stats, long(i)).text !== UNREAD_TEXT) readCount++;
  assert.ok(readCount > 20 && readCount <= LONG_BYTES_PER_CHECK / 2000, String(readCount));
  assert.notEqual(of(stats, seen).text, UNREAD_TEXT);
  stats.refill();
  assert.notEqual(of(stats, long(200)).text, UNREAD_TEXT);
});

test('RESET: what is prepared is counted again, from nothing', () => {
  const stats = makeStats();
  const registry = new StatementRegistry();
  const rest = Buffer.concat([Buffer.from('SELECT prepared WHERE id = $1\0'), Buffer.alloc(2)]);
  const statement = registry.acquireParsed(rest, 0, rest.length, null, USUAL_READING);
  const counted = new CountedPortals({
    clientReading: 0,
    context: { queries: stats },
    database: 'shop',
    router: null,
    isLeg: false,
  });
  const name = Buffer.from('name');
  const text = Buffer.from('SELECT named');
  counted.named(name, 0, name.length, counted.parsed(text, 0, text.length));
  const run = () => {
    stats.ofPrepared('shop', statement, false).done(10);
    counted.ofName(name, 0, name.length)?.done(10);
  };
  run();
  run();
  const inFlight = stats.ofPrepared('shop', statement, false);
  stats.clear();
  inFlight.done(10);
  assert.equal(callsOf(stats, EVICTED_TEXT), 1);
  run();
  run();
  assert.equal(callsOf(stats, 'select prepared where id = $1'), 2);
  assert.equal(callsOf(stats, 'select named'), 2);
  assert.equal(stats.entryCount, 2);
});

test('of portals a limited number is followed, and none that is closed', () => {
  const stats = makeStats();
  const counted = new CountedPortals({
    clientReading: 0,
    context: { queries: stats },
    database: 'shop',
    router: null,
    isLeg: false,
  });
  const figures = of(stats, 'SELECT a FROM t');
  const textOf = (name: string) => counted.find(Buffer.from(name), 0, name.length)?.text;
  for (let index = 0; index < 5000; index++) {
    const name = Buffer.from(`portal ${index}`);
    counted.bound(name, 0, name.length, figures);
    assert.equal(counted.find(name, 0, name.length), figures);
    counted.closed(name, 0, name.length);
    assert.equal(counted.find(name, 0, name.length)?.text, UNREAD_TEXT);
  }
  for (let index = 0; index < 5000; index++) {
    const name = Buffer.from(`open ${index}`);
    counted.bound(name, 0, name.length, figures);
  }
  assert.deepEqual([textOf('open 0'), textOf('open 4999')], ['select a from t', UNREAD_TEXT]);
});

test('a prepared statement is counted for the database it runs on', () => {
  const stats = makeStats();
  const registry = new StatementRegistry();
  const rest = Buffer.from('SELECT 1\0\0\0');
  const statement = registry.acquireParsed(rest, 0, rest.length, null, USUAL_READING);
  for (const database of ['shop', 'books', 'shop']) stats.ofPrepared(database, statement, false).done(1);
  const calls = [...stats.all()].filter(({ entry }) => entry >= 0).map((one) => [one.database, one.calls]);
  assert.deepEqual(calls.sort(), [
    ['books', 1],
    ['shop', 2],
  ]);
});

test('where routes are asked for, the row says read or write', () => {
  const stats = new QueryStats(new PlanCache(parser, 1000, 1 << 20, true));
  assert.equal(of(stats, 'SELECT 1 FROM t', 'shop', true).access, 'read');
  assert.equal(of(stats, 'UPDATE t SET a = 1', 'shop', true).access, 'write');
  assert.equal(of(makeStats(), 'SELECT 1 FROM t').access, null);
});

test('a text is shown without its literals, and readable', () => {
  const rows: [string, string][] = [
    ["SELECT a FROM t WHERE b = 'x' AND c IN (1, 2, 3)", 'select a from t where b = $1 and c in($2)'],
    ['select $1, $2, 17', 'select $1, $2, $3'],
    ['select a from t where b<$1 limit 7', 'select a from t where b < $1 limit $2'],
    ['INSERT INTO t (a, b) VALUES (1, 2), (3, 4)', 'insert into t(a, b) values($1, $2)'],
    ['SELECT count(*), t.* FROM t, u WHERE a*b>0', 'select count(*), t.* from t, u where a * b > $1'],
    ['ALTER TABLE t ADD password text', 'alter table t add password text'],
    ['ALTER ROLE a PASSWORD NULL', 'alter role a password null'],
    ["ALTER ROLE a PASSWORD 'x' VALID UNTIL 'y'", 'alter role a password $1 valid until $2'],
    ['SELECT "Quoted 12" FROM t1', 'select "Quoted 12" from t1'],
    ['UPDATE t SET a=b WHERE c>=1.5e3', 'update t set a = b where c >= $1'],
  ];
  for (const [sql, expected] of rows) assert.equal(shown(sql), expected, sql);
});

test('no literal comes through', () => {
  const texts = [
    "SELECT 'secret'",
    "SELECT 'it''s secret'",
    "SELECT E'\\'secret'",
    "SELECT E'\\\\', 'secret'",
    "SELECT 'a\\' || 'secret'",
    'SELECT $$secret$$, $tag$ secret $$ secret $tag$',
    "SELECT U&'secret', N'secret', B'0101', X'5ec2e7'",
    "SELECT 'sec'\n  'secret'",
    'SELECT 1 -- secret\n, 2 /* secret /* secret */ secret */',
    "SELECT current_setting('secret')",
    "SELECT current_setting('a' -- it's\n 'secret')",
    "SELECT current_setting('a.'\n\t--'\n'secret' -- secret\n 'secret')",
    'ALTER ROLE app PASSWORD secret',
    'CREATE USER app LOGIN PASSWORD secret VALID UNTIL now',
    "SELECT set_config('a.b', 'secret', false)",
    "ALTER ROLE app PASSWORD 'secret'",
    "CREATE USER app ENCRYPTED PASSWORD 'secret' VALID UNTIL 'secret'",
    'ALTER ROLE app PASSWORD "secret"',
    'ALTER ROLE app PASSWORD $$secret$$',
    'SET app.token = secret',
    'SET app.token TO secret, secret, "secret"; SELECT 1',
    'SET SESSION app.token TO "secret"',
    'ALTER ROLE app SET app.token TO secret',
    'ALTER DATABASE shop SET app.token = secret',
    'SELECT 1; SET LOCAL app.token = secret; SELECT 2',
    "CREATE SUBSCRIPTION s CONNECTION 'password=secret' PUBLICATION p",
    "CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'app', password 'secret')",
    "DO $$ BEGIN PERFORM 'secret'; END $$",
    "COPY t FROM PROGRAM 'curl secret'",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''secret'''",
    "SELECT 'ü', 'secret'",
  ];
  for (const sql of texts) {
    const text = shown(sql);
    assert.ok(text !== null, sql);
    for (const part of ['secret', '5ec2e7', '0101']) assert.ok(!text.includes(part), `${sql}\n${text}`);
  }
  for (const number of [
    '987654321',
    '98765.4321',
    '.987654321',
    '987e65',
    '0x98765f',
    '98_765',
    '98765432109876',
  ])
    assert.ok(!(shown(`SELECT ${number}, -${number}, a>${number}`) ?? '').includes('98'), number);
});

test('no string or number of the corpus comes through', () => {
  let count = 0;
  for (const sql of readWholeCorpus()) {
    const bytes = Buffer.from(sql);
    if (readShape(bytes, 0, bytes.length) !== SHAPE_READ) continue;
    const { literalStarts, literalEnds, literalCount } = shape;
    const literals = Array.from({ length: Math.min(literalCount, 100) }, (_, i) =>
      bytes.subarray(literalStarts[i], literalEnds[i]).toString(),
    );
    const text = shown(sql) ?? '';
    assert.ok(!text.includes("'"), `${sql}\n${text}`);
    for (const literal of literals) {
      // Short ones stand in names too.
      if (literal.length < 6) continue;
      count++;
      assert.ok(!text.includes(literal), `${literal} of\n${sql}\n${text}`);
    }
  }
  assert.ok(count > 250, String(count));
});

test('a long text is shown in part, its end included', () => {
  const text = shown(`SELECT ${'a_column, '.repeat(500)} b FROM t WHERE id = 1`) ?? '';
  assert.equal(text.length, SHAPE_TEXT_MAX);
  assert.ok(text.startsWith('select a_column, a_column') && text.endsWith(' where id = $1'), text.slice(-50));
});

test('a worker tells of the shapes that took most time, and of the others in one row per database', () => {
  const stats = makeStats();
  const count = SHAPES_REPORTED_MAX + 300;
  for (let i = 0; i < count; i++) of(stats, `SELECT c${i} FROM t`, i % 2 ? 'shop' : 'books').done(i + 1);
  of(stats, 'SELECT last FROM u').done(1);
  const rows = reportQueries({ queries: stats, worker: 3 }, '');
  const others = rows.filter(({ query }) => query === OTHERS_TEXT);
  assert.equal(rows.length, SHAPES_REPORTED_MAX + 2);
  assert.deepEqual(others.map(({ database, isShape }) => [database, isShape]).sort(), [
    ['books', false],
    ['shop', false],
  ]);
  const sum = (key: 'calls' | 'totalUs') => rows.reduce((total, row) => total + row[key], 0);
  assert.deepEqual([sum('calls'), sum('totalUs')], [count + 1, (count * (count + 1)) / 2 + 1]);
  const cells = rows.flatMap((row) => row.cells.filter((_, i) => i % 2 === 1));
  assert.equal(
    cells.reduce((a, b) => a + b, 0),
    count + 1,
  );
  const [only, ...further] = reportQueries({ queries: stats, worker: 3 }, 'last from');
  assert.deepEqual([only.query, only.calls, only.worker, further.length], ['select last from u', 1, 3, 0]);
});
