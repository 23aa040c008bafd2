/**
 * What reading costs where it costs most: the slowest statement of the tests' corpus when nobody has seen its shape, and
 * lists that are as long as nobody writes by hand. One operation is one statement.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { CLIENT_UTF8, loadSqlParser, NO_SCOPE, type SqlParser } from '@pgdog-cluster/core';
import { PlanCache, READ_BYTES_MAX } from '@pgdog-cluster/worker';
import type { MicroResult } from './time-operations.js';

const CORPUS = new URL('../../../test/corpus/', import.meta.url);
const ROUNDS = 5;
const MB = 1_000_000;

function corpus(): Buffer[] {
  const files = readdirSync(CORPUS).filter((name) => name.endsWith('.sql') && name !== 'schema.sql');
  return files.flatMap((name) =>
    readFileSync(new URL(name, CORPUS), 'utf8')
      .trimEnd()
      .split('\n\n')
      .slice(1)
      .map((text) => Buffer.from(text)),
  );
}

/** With a cache that keeps nothing: shape, grammar and the walk over the tree. */
function readOnce(parser: SqlParser, text: Buffer): { ms: number; hash: number } {
  const cache = new PlanCache(parser, 0, 0, true);
  const startMs = performance.now();
  const plan = cache.lookup(text, 0, text.length);
  return { ms: performance.now() - startMs, hash: plan.statements.length };
}

/** Of each statement the best of some rounds: what else the machine does is not its own. */
function slowestOf(parser: SqlParser, texts: readonly Buffer[], rounds: number): MicroResult {
  const best = new Float64Array(texts.length).fill(Number.POSITIVE_INFINITY);
  let hash = 0;
  for (let round = 0; round < rounds; round++) {
    hash = 0;
    for (const [place, text] of texts.entries()) {
      const { ms, hash: count } = readOnce(parser, text);
      best[place] = Math.min(best[place], ms);
      hash = (Math.imul(hash, 31) + count) | 0;
    }
  }
  return {
    name: `the slowest of ${texts.length} statements, unseen`,
    nsPerOp: Math.max(...best) * 1e6,
    hash,
  };
}

/** As many tokens as the grammar is given (SQL_PARSE_TOKENS_MAX), each a part of the tree. */
function manyColumns(): Buffer {
  return Buffer.from(`select ${Array.from({ length: 1200 }, (_, index) => `c${index}`).join(', ')} from t`);
}

function listOf(bytes: number): Buffer {
  const item = '123456789, ';
  return Buffer.from(`select * from t where a in (${item.repeat(bytes / item.length)}1)`);
}

function listResult(cache: PlanCache, bytes: number, bytesMax: number, what: string): MicroResult {
  const text = listOf(bytes);
  let bestMs = Number.POSITIVE_INFINITY;
  let hash = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    hash = cache.lookup(text, 0, text.length, NO_SCOPE, CLIENT_UTF8, bytesMax).statements.length;
    bestMs = Math.min(bestMs, performance.now() - startMs);
  }
  return { name: `a list of ${bytes / MB} MB, ${what}`, nsPerOp: bestMs * 1e6, hash };
}

export async function run(options: { quick: boolean }): Promise<MicroResult[]> {
  const parser = await loadSqlParser();
  const cache = new PlanCache(parser, 1000, 1 << 20, true);
  const all = corpus();
  const texts = options.quick ? all.slice(0, 200) : all;
  slowestOf(parser, texts.slice(0, 200), 1);
  const inShards = Number.POSITIVE_INFINITY;
  return [
    slowestOf(parser, texts, options.quick ? 1 : ROUNDS),
    { ...slowestOf(parser, [manyColumns()], ROUNDS), name: 'a select of 1,200 columns, unseen' },
    listResult(cache, READ_BYTES_MAX - 100, READ_BYTES_MAX, 'the longest that is read'),
    listResult(cache, 10 * MB, READ_BYTES_MAX, 'not read'),
    listResult(cache, MB, inShards, 'read for keys of shards'),
    listResult(cache, 10 * MB, inShards, 'read for keys of shards'),
  ];
}
