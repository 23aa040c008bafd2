// The classification of statements against a real standby: what is called a read must run there, and what it refuses
// because it is one must be called a write. Over the corpus, and over every function that Postgres has.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadSqlParser } from '@pgdog-cluster/core';
import { type DatabaseCode, PlanCache } from '@pgdog-cluster/worker';
import pg from 'pg';
import { readCorpus } from '../support/corpus.js';
import { askDatabase, verdictOf } from '../support/database-code.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import type { ReplicationHost } from '../support/replication-host.js';

const plans = new PlanCache(await loadSqlParser(), 10_000, 64 << 20, true);
let cluster: ReplicationCluster;
let code: DatabaseCode;
let standby: pg.Client;

before(async () => {
  cluster = await ReplicationCluster.start({ standbyCount: 1, settings: { max_prepared_transactions: '5' } });
  for (const statement of readCorpus('schema')) await cluster.primary.query(statement);
  await cluster.untilCaughtUp();
  code = await askDatabase(urlOf(cluster.primary));
  standby = new pg.Client({ connectionString: urlOf(cluster.standbys[0]) });
  await standby.connect();
});

after(async () => {
  await standby?.end();
  await cluster?.stop();
});

function urlOf({ server }: ReplicationHost): string {
  return `postgres://${server.user}:${server.password}@${server.host}:${server.port}/postgres`;
}

interface Outcome {
  /** '' when it ran. */
  sqlState: string;
  message: string;
}

/** In a transaction of its own, which is rolled back. */
async function runOnStandby(text: string): Promise<Outcome> {
  await standby.query("BEGIN; SET LOCAL statement_timeout = '5s'");
  try {
    await standby.query(text);
    return { sqlState: '', message: '' };
  } catch (error) {
    const { code: sqlState = '?', message } = error as pg.DatabaseError;
    return { sqlState, message };
  } finally {
    await standby.query('ROLLBACK');
    await standby.query('DISCARD ALL');
  }
}

/** The standby refused it for being one. */
function isRefusedInRecovery({ sqlState, message }: Outcome): boolean {
  return sqlState === '25006' || message.includes('recovery') || message.includes('temporary or unlogged');
}

function verdict(text: string): string {
  const bytes = Buffer.from(text);
  return verdictOf(code, plans.lookup(bytes, 0, bytes.length));
}

test('every statement of reads.sql is called a read, and runs on a standby', async () => {
  const texts = readCorpus('reads');
  assert.ok(texts.length >= 800);
  const wrong: unknown[] = [];
  let ranCount = 0;
  for (const text of texts) {
    const outcome = await runOnStandby(text);
    const called = verdict(text);
    if (called !== 'read' || isRefusedInRecovery(outcome)) wrong.push([text, called, outcome.message]);
    if (outcome.sqlState === '') ranCount++;
    else if (process.env.CORPUS_ERRORS !== undefined) console.error('ERR', text, outcome.message);
  }
  assert.deepEqual(wrong, []);
  // A statement that fails for another reason proves nothing.
  assert.ok(ranCount >= texts.length * 0.99, `only ${ranCount} of ${texts.length} ran`);
});

test('no statement of writes.sql is called a read, and a standby refuses most of them', async () => {
  const texts = readCorpus('writes');
  assert.ok(texts.length >= 300);
  const wrong: unknown[] = [];
  let refusedCount = 0;
  for (const text of texts) {
    const called = verdict(text);
    if (called === 'read' || called === 'neutral') wrong.push([text, called]);
    // COPY FROM STDIN waits for data that nobody sends.
    if (!text.includes('STDIN') && isRefusedInRecovery(await runOnStandby(text))) refusedCount++;
  }
  assert.deepEqual(wrong, []);
  assert.ok(refusedCount > texts.length / 2, `only ${refusedCount} of ${texts.length} were refused`);
});

test('what a standby refuses of all other statements is called a write', async () => {
  const wrong: unknown[] = [];
  let refusedCount = 0;
  for (const text of [...readCorpus('definitions'), ...readCorpus('session'), ...readCorpus('several')]) {
    const called = verdict(text);
    // Other than in transactions, of which each has one around it already.
    if (called === 'read') continue;
    if (text.includes('READ WRITE') || text.includes('SERIALIZABLE')) continue;
    const outcome = await runOnStandby(text);
    if (!isRefusedInRecovery(outcome)) continue;
    refusedCount++;
    if (called === 'neutral') wrong.push([text, outcome.message]);
  }
  assert.deepEqual(wrong, []);
  assert.ok(refusedCount > 200, `only ${refusedCount} were refused`);
});

/** A value of each common type; functions that take others are left out. */
const SAMPLES: Record<string, string> = {
  int4: '1',
  int8: '1::int8',
  int2: '1::int2',
  text: "'a'::text",
  name: "'a'::name",
  bool: 'true',
  float8: '1::float8',
  float4: '1::float4',
  numeric: '1::numeric',
  oid: '1259::oid',
  regclass: "'orders'::regclass",
  json: "'{}'::json",
  jsonb: `'{"a": 1}'::jsonb`,
  jsonpath: "'$.a'::jsonpath",
  bytea: "'a'::bytea",
  date: "'2020-01-01'::date",
  time: "'10:00'::time",
  timestamp: "'2020-01-01'::timestamp",
  timestamptz: "'2020-01-01'::timestamptz",
  interval: "'1 day'::interval",
  uuid: "'00000000-0000-0000-0000-000000000000'::uuid",
  inet: "'10.0.0.1'::inet",
  anyarray: 'ARRAY[1, 2]',
  anycompatiblearray: 'ARRAY[1, 2]',
  anyelement: '1',
  anycompatible: '1',
  any: "'a'::text",
  anyrange: 'int4range(1, 2)',
  int4range: 'int4range(1, 2)',
  _text: "'{a}'::text[]",
  _int4: "'{1}'::int[]",
  xml: "'<a/>'::xml",
  tsvector: "'a'::tsvector",
  tsquery: "'a'::tsquery",
  regconfig: "'simple'::regconfig",
  point: "'(1,2)'::point",
  bit: "B'101'",
  pg_lsn: "'0/1'::pg_lsn",
  xid8: "'1'::xid8",
  pg_snapshot: "'1:2:'::pg_snapshot",
};

test('every built-in function that is called a read runs on a standby', async () => {
  const functions = await cluster.primary.query<{ name: string; types: string[] }>(
    `SELECT p.proname AS name, array(SELECT t.typname::text FROM unnest(p.proargtypes) WITH ORDINALITY AS a(oid, n)
       JOIN pg_type t ON t.oid = a.oid ORDER BY a.n) AS types
     FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind <> 'p'
     ORDER BY p.oid`,
  );
  const refused: string[] = [];
  let ranCount = 0;
  for (const { name, types } of functions) {
    const values = types.map((type) => SAMPLES[type]);
    if (name.startsWith('pg_sleep') || values.includes(undefined as unknown as string)) continue;
    const text = `SELECT pg_catalog."${name}"(${values.join(', ')})`;
    if (verdict(text) !== 'read') continue;
    const outcome = await runOnStandby(text);
    if (outcome.sqlState === '') ranCount++;
    if (isRefusedInRecovery(outcome)) refused.push(`${text}: ${outcome.message}`);
  }
  assert.deepEqual(refused, []);
  assert.ok(ranCount > 700, `only ${ranCount} ran`);
});

test('every system relation that is called a read can be read on a standby', async () => {
  const relations = await cluster.primary.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c
     WHERE c.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND c.relkind IN ('r', 'v')`,
  );
  const refused: string[] = [];
  let readCount = 0;
  for (const { name } of relations) {
    const text = `SELECT * FROM ${name} LIMIT 5`;
    if (verdict(text) !== 'read') continue;
    const outcome = await runOnStandby(text);
    if (outcome.sqlState === '') readCount++;
    if (isRefusedInRecovery(outcome)) refused.push(`${text}: ${outcome.message}`);
  }
  assert.deepEqual(refused, []);
  assert.ok(readCount > 120, `only ${readCount} were read`);
});
