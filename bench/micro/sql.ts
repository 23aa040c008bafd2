import {
  asksRoute,
  hashShape,
  hashWords,
  isPlainSql,
  loadSqlParser,
  readShape,
  readSqlBytes,
  type SqlParser,
  shape,
} from '@pgdog-cluster/core';
import { PlanCache, ShapeTable } from '@pgdog-cluster/worker';
import type { MicroResult } from './io.js';

/** About 2 KB, as an object mapper writes it: every column quoted and renamed. */
function ormSelect(): string {
  const columns = Array.from(
    { length: 24 },
    (_, i) => `"User"."column_number_${i}" AS "User__column_number_${i}"`,
  );
  const joins = Array.from(
    { length: 4 },
    (_, i) => ` LEFT JOIN "public"."related_table_${i}" "r${i}" ON "r${i}"."user_id" = "User"."id"`,
  );
  const filter = ` WHERE ("User"."id" IN ($1, $2, $3)) AND lower("User"."email") = lower($4) AND "r0"."deleted_at" IS NULL`;
  return `SELECT ${columns.join(', ')} FROM "public"."users" "User"${joins.join('')}${filter} ORDER BY "User"."id" ASC LIMIT 25`;
}

const TEXTS: readonly [string, string][] = [
  ['pgbench select', 'SELECT abalance FROM pgbench_accounts WHERE aid = 4711;'],
  [
    'pgbench insert',
    'INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, 4, CURRENT_TIMESTAMP);',
  ],
  ['SET', "SET search_path TO 'tenant_42', public"],
  ['ORM select', ormSelect()],
];

/** Runs `call` in growing batches until one takes long enough, and keeps the best of ten such batches. */
function measure(name: string, isQuick: boolean, call: (i: number) => number): MicroResult {
  const batchMinMs = isQuick ? 1 : 10;
  let hash = 0;
  // The hash covers a fixed number of calls, so that runs can be compared.
  for (let i = 0; i < 64; i++) hash = (Math.imul(hash, 31) + call(i)) | 0;
  let count = 64;
  let nsPerOp = Infinity;
  for (let kept = 0; kept < 10; ) {
    const startMs = performance.now();
    let sink = 0;
    for (let i = 0; i < count; i++) sink = (sink + call(i)) | 0;
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs < batchMinMs) {
      count *= 2;
      continue;
    }
    kept++;
    nsPerOp = Math.min(nsPerOp, (elapsedMs * 1e6) / count);
    if (sink === 0.5) hash++;
  }
  return { name, nsPerOp, hash };
}

function measureText(name: string, text: string, parser: SqlParser, isQuick: boolean): MicroResult[] {
  const bytes = new TextEncoder().encode(text);
  const cache = new PlanCache(parser, 1000, 1 << 20);
  const routed = new PlanCache(parser, 1000, 1 << 20, true);
  const label = `${name} (${bytes.length} bytes)`;
  readShape(bytes, 0, bytes.length);
  hashShape(0);
  const table = new ShapeTable();
  table.add(hashWords);
  return [
    measure(`shape: readShape ${label}`, isQuick, () => readShape(bytes, 0, bytes.length) + shape.length),
    // The keys are drawn anew by each process: only that it ran is told.
    measure(`shape-hash: hashShape ${label}`, isQuick, () => {
      hashShape(0);
      return hashWords.length;
    }),
    measure(`shape-table: find ${label}`, isQuick, () => table.find(hashWords)),
    measure(
      `PlanCache.lookup, routed, known ${label}`,
      isQuick,
      () => routed.lookup(bytes, 0, bytes.length).flags,
    ),
    measure(`isPlainSql ${label}`, isQuick, () => (isPlainSql(bytes, 0, bytes.length) ? 1 : 2)),
    measure(`asksRoute (asks-route) ${label}`, isQuick, () => (asksRoute(bytes, 0, bytes.length) ? 1 : 2)),
    measure(`PlanCache.lookup, known ${label}`, isQuick, () => cache.lookup(bytes, 0, bytes.length).flags),
    measure(`readSqlBytes ${label}`, isQuick, () => readSqlBytes(bytes, 0, bytes.length, parser).flags),
  ];
}

/** The three tiers of reading, on four kinds of statement. */
export async function run(options: { quick: boolean }): Promise<MicroResult[]> {
  const parser = await loadSqlParser();
  // Both shapes of every call site are warm before the first figure is taken.
  for (const [name, text] of TEXTS) measureText(name, text, parser, true);
  return TEXTS.flatMap(([name, text]) => measureText(name, text, parser, options.quick));
}

if (process.argv[1] === import.meta.filename) {
  for (const { name, nsPerOp, hash } of await run({ quick: process.argv.includes('--quick') })) {
    console.log(`${name.padEnd(56)} ${nsPerOp.toFixed(1).padStart(10)} ns  ${hash >>> 0}`);
  }
}
