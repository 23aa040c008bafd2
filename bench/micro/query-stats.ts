/**
 * What SHOW QUERIES costs each statement: finding what it counts for (query-stats, by known-texts when the text came
 * before, by its shape when not, by counted-portals for what is prepared), and counting it (query-figures with
 * latency-cells, by way of count-answer).
 */
import { isPlainSql, LATENCY_CELLS, latencyCell, loadSqlParser } from '@pgdog-cluster/core';
import {
  CountedPortals,
  type CountedServer,
  countDone,
  countRows,
  FigureSlots,
  FORWARD,
  KIND_EXECUTE,
  KnownTexts,
  PendingReplies,
  PlanCache,
  QueryFigures,
  QueryStats,
} from '@pgdog-cluster/worker';
import { type MicroResult, timeOperations } from './time-operations.js';

const DATABASE = 'shop';
const SHORT = 'SELECT abalance FROM pgbench_accounts WHERE aid = 4711;';
/** As an object mapper writes it: about 1 KB. */
const LONG = `SELECT ${Array.from({ length: 32 }, (_, i) => `"u"."column_${i}" AS "u__column_${i}"`).join(', ')} FROM "users" "u" WHERE "u"."id" = $1`;
const PORTAL = new TextEncoder().encode('portal');
const TAG = new TextEncoder().encode('C\0\0\0\x0dSELECT 4711\0');
/** Texts of one shape: found by one that differs in its digits, or by their shape when they differ in a string. */
const VARIANTS = 4096;

function figuresOf(text: string): QueryFigures {
  return new QueryFigures(new FigureSlots(), DATABASE, text, 0);
}

function cells(count: number): number {
  let hash = 0;
  for (let i = 0; i < count; i++) hash = (Math.imul(hash, 31) + latencyCell(i & 0xfffff)) | 0;
  return hash;
}

function figures(count: number): number {
  const one = figuresOf(SHORT);
  for (let i = 0; i < count; i++) one.done(i & 0xfffff);
  return one.calls + LATENCY_CELLS;
}

function knownText(text: string): (count: number) => number {
  const bytes = new TextEncoder().encode(text);
  const texts = new KnownTexts();
  texts.find(DATABASE, bytes, 0, bytes.length);
  texts.keep(bytes, 0, bytes.length, figuresOf(text), false);
  return (count) => {
    let hash = 0;
    for (let i = 0; i < count; i++) hash += texts.find(DATABASE, bytes, 0, bytes.length) === null ? 1 : 2;
    return hash;
  };
}

/** `texts` of one shape in turn: one is known by its bytes, many are not. */
function textOf(stats: QueryStats, texts: readonly Uint8Array[]): (count: number) => number {
  return (count) => {
    let hash = 0;
    for (let i = 0; i < count; i++) {
      const bytes = texts[i % texts.length];
      hash += stats.of(DATABASE, bytes, 0, bytes.length, false).text.length;
    }
    return hash | 0;
  };
}

function plain(count: number): number {
  const bytes = new TextEncoder().encode(SHORT);
  let hash = 0;
  for (let i = 0; i < count; i++) hash += isPlainSql(bytes, 0, bytes.length) ? 1 : 2;
  return hash;
}

function portals(stats: QueryStats): (count: number) => number {
  const counted = new CountedPortals({
    context: { queries: stats },
    database: DATABASE,
    router: null,
    isLeg: false,
    clientReading: 0,
  });
  const one = figuresOf(SHORT);
  return (count) => {
    let hash = 0;
    for (let i = 0; i < count; i++) {
      const end = i & 1 ? PORTAL.length : 0;
      counted.bound(PORTAL, 0, end, one);
      hash += counted.find(PORTAL, 0, end) === one ? 1 : 0;
    }
    return hash;
  };
}

function answers(count: number): number {
  const pending = new PendingReplies();
  const server: CountedServer = {
    pending,
    context: { nowUs: 100, slow: { statement: () => undefined } },
    pool: { slow: { statementUs: Number.POSITIVE_INFINITY } },
    answeredUs: 0,
    rowCount: 0,
  };
  const one = figuresOf(SHORT);
  for (let i = 0; i < count; i++) {
    pending.push(KIND_EXECUTE | FORWARD, null, one, 40);
    countRows(server, TAG, 0, TAG.length);
    countDone(server);
    pending.pop();
  }
  return one.calls + (one.rows / 4711) * 31;
}

export async function run({ quick }: { quick: boolean }): Promise<MicroResult[]> {
  const stats = new QueryStats(new PlanCache(await loadSqlParser(), 1000, 1 << 20));
  const encode = (text: string) => new TextEncoder().encode(text);
  const numbers = Array.from({ length: VARIANTS }, (_, i) => encode(SHORT.replace('4711', `${1000 + i}`)));
  const strings = Array.from({ length: VARIANTS }, (_, i) => encode(SHORT.replace('4711', `'${i}x'`)));
  return [
    timeOperations('latencyCell', quick, cells),
    timeOperations('QueryFigures.done', quick, figures),
    timeOperations(`KnownTexts.find, ${SHORT.length} bytes`, quick, knownText(SHORT)),
    timeOperations(`KnownTexts.find, ${LONG.length} bytes`, quick, knownText(LONG)),
    timeOperations(`QueryStats.of, known text, ${SHORT.length} bytes`, quick, textOf(stats, [encode(SHORT)])),
    timeOperations(`QueryStats.of, known text, ${LONG.length} bytes`, quick, textOf(stats, [encode(LONG)])),
    timeOperations('QueryStats.of, known but for a number', quick, textOf(stats, numbers)),
    timeOperations('QueryStats.of, known shape, another string', quick, textOf(stats, strings)),
    timeOperations(`isPlainSql, to compare with, ${SHORT.length} bytes`, quick, plain),
    timeOperations('CountedPortals: bound, find', quick, portals(stats)),
    timeOperations('countRows, countDone', quick, answers),
  ];
}
