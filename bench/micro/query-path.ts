/**
 * What one exchange costs in the proxy, from the client's bytes to the client's answer, without sockets: the way
 * through frame-stream, session, requests, simple-query or extended-query (parse-message, unnamed-statement,
 * portals), pool and counter-row to server-connection (pending-replies, request-log, synchronise), and back through
 * relay with its table of allowed-answers, wanted-bytes and shard-numbers (copy-bytes everywhere). Each exchange is two turns of loop: with many clients at once they share them. Also what to profile:
 * `node --cpu-prof bench/dist/micro/main.js query-path`.
 */
import { FRONTEND, FrameWriter, loadSqlParser, type SqlParser, SYNC, TARGET } from '@pgdog-cluster/core';
import { BenchWorker, type Play } from './bench-worker.js';
import { type MicroResult, timeTurns } from './time-operations.js';

const SELECT = 'SELECT abalance FROM pgbench_accounts WHERE aid = 4711;';
const SELECT_PARAMETER = 'SELECT abalance FROM pgbench_accounts WHERE aid = $1';
const UPDATE = 'UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 4711;';
/** As an object mapper writes it: about 1 KB. */
const LONG_SELECT = `SELECT ${Array.from({ length: 32 }, (_, i) => `"u"."column_${i}" AS "u__column_${i}"`).join(', ')} FROM "users" "u" WHERE "u"."id" = $1`;
const STATEMENT_NAME = 'S_1';
/** What drivers ask for in Execute: all rows. */
const ALL_ROWS = 0;

/** Of several shards. */
const KEYS = ['1', '2', '3', '4', '5', '6'];

function query(text: string): Uint8Array {
  return new FrameWriter().begin(FRONTEND.Query).cstring(text).end().take();
}

function parse(name: string, text: string): (writer: FrameWriter) => void {
  return (writer) => writer.begin(FRONTEND.Parse).cstring(name).cstring(text).int16(0).end();
}

/** Bind one value in text, Describe the portal, Execute. */
function bindAndExecute(name: string, value = '4711'): (writer: FrameWriter) => void {
  return (writer) => {
    writer.begin(FRONTEND.Bind).cstring('').cstring(name);
    writer.int16(0).int16(1).value(value).int16(0).end();
    writer.begin(FRONTEND.Describe).byte(TARGET.Portal).cstring('').end();
    writer.begin(FRONTEND.Execute).cstring('').int32(ALL_ROWS).end();
  };
}

function batch(...parts: ((writer: FrameWriter) => void)[]): Uint8Array {
  const writer = new FrameWriter();
  for (const part of parts) part(writer);
  return writer.bytes(SYNC).take();
}

const SETTLING_ROUNDS = 4;
const NO_SETTINGS = () => [];
const SIMPLE = { first: null, requests: [query(SELECT)] };
const EXTENDED = { first: null, requests: [batch(parse('', SELECT_PARAMETER), bindAndExecute(''))] };
const LONG = { first: null, requests: [batch(parse('', LONG_SELECT), bindAndExecute(''))] };
const NAMED = {
  first: batch(parse(STATEMENT_NAME, SELECT_PARAMETER), bindAndExecute(STATEMENT_NAME)),
  requests: [batch(bindAndExecute(STATEMENT_NAME))],
};
const TRANSACTION = { first: null, requests: [query('BEGIN'), query(UPDATE), query('COMMIT')] };
const ALONE = { clientCount: 1, poolSize: 1, settingsOf: NO_SETTINGS };
/**
 * Through session-router with unserved-frames, served-frames and route-choice (decide-route, look-ahead, batch-ahead,
 * prepared-route, write-trace), cluster and balance.
 */
const ROUTED = { clientCount: 32, poolSize: 8, hostCount: 3, settingsOf: NO_SETTINGS };
/** Through shard-desk, shard-request and choose-shard as well: each statement goes where its key is. */
const SHARDED = { clientCount: 32, poolSize: 3, shardCount: 3, settingsOf: NO_SETTINGS };
const SIMPLE_KEYS = { first: null, requests: KEYS.map((key) => query(SELECT.replace('4711', key))) };
const EXTENDED_KEYS = {
  first: null,
  requests: KEYS.map((key) => batch(parse('', SELECT_PARAMETER), bindAndExecute('', key))),
};
const NAMED_KEYS = { ...NAMED, requests: KEYS.map((key) => batch(bindAndExecute(STATEMENT_NAME, key))) };
const CROWD = { clientCount: 32, poolSize: 8, settingsOf: NO_SETTINGS };

const PLAYS: readonly [string, Play][] = [
  ['simple query, 1 client', { ...SIMPLE, ...ALONE }],
  ['simple query, 32 clients, 8 servers', { ...SIMPLE, ...CROWD }],
  ['extended batch, 1 client', { ...EXTENDED, ...ALONE }],
  ['extended batch, 32 clients, 8 servers', { ...EXTENDED, ...CROWD }],
  ['extended batch of 1 KB, 32 clients, 8 servers', { ...LONG, ...CROWD }],
  ['named prepared batch, 1 client', { ...NAMED, ...ALONE }],
  ['named prepared batch, 32 clients, 8 servers', { ...NAMED, ...CROWD }],
  ['simple query, 32 clients, 3 hosts', { ...SIMPLE, ...ROUTED }],
  ['extended batch, 32 clients, 3 hosts', { ...EXTENDED, ...ROUTED }],
  ['named prepared batch, 32 clients, 3 hosts', { ...NAMED, ...ROUTED }],
  ['simple query, 32 clients, 3 shards', { ...SIMPLE_KEYS, ...SHARDED }],
  ['extended batch, 32 clients, 3 shards', { ...EXTENDED_KEYS, ...SHARDED }],
  ['named prepared batch, 32 clients, 3 shards', { ...NAMED_KEYS, ...SHARDED }],
  ['third of BEGIN, UPDATE, COMMIT, 32 clients, 8 servers', { ...TRANSACTION, ...CROWD }],
  [
    // Each exchange finds the other client's settings on the connection and replaces them.
    'simple query, 2 clients, settings differ',
    {
      ...SIMPLE,
      clientCount: 2,
      poolSize: 1,
      settingsOf: (client) => [['application_name', `client_${client}`]],
    },
  ],
];

export async function playOne(
  name: string,
  play: Play,
  parser: SqlParser,
  isQuick: boolean,
): Promise<MicroResult> {
  const worker = new BenchWorker(play, parser);
  try {
    await worker.open();
    // How many server connections are open after the log-ins depends on the time these took; after this all are.
    await worker.exchange(worker.round * SETTLING_ROUNDS);
    worker.isHashing = true;
    return await timeTurns(`path: ${name}`, isQuick, worker.round, async (count) => {
      const hash = await worker.exchange(count);
      // What is timed is not hashed: reading each byte once more would be a good part of the cost.
      worker.isHashing = false;
      return hash;
    });
  } finally {
    worker.close();
  }
}

export async function run({ quick }: { quick: boolean }): Promise<MicroResult[]> {
  const parser = await loadSqlParser();
  const results: MicroResult[] = [];
  for (const [name, play] of PLAYS) results.push(await playOne(name, play, parser, quick));
  return results;
}
