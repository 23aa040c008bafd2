import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import {
  HARMLESS_FLAGS,
  isPlainSql,
  loadSqlParser,
  parseSql,
  readSql,
  SeededRandom,
  type SqlPlan,
  SYNTAX_ERROR,
  sqlFlagNames,
} from '@pgdog-cluster/core';

const parser = await loadSqlParser();
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const ROUNDS = Number(process.env.ROUNDS ?? 6000);

function isPlain(text: string): boolean {
  const bytes = Buffer.from(`??${text}; set x=1`);
  return isPlainSql(bytes, 2, 2 + Buffer.byteLength(text));
}

const PLAIN = [
  'SELECT abalance FROM pgbench_accounts WHERE aid = 4711;',
  'UPDATE pgbench_accounts SET abalance = abalance + -12 WHERE aid = 1;',
  'INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, 4, CURRENT_TIMESTAMP);',
  'BEGIN;',
  'END;',
  'commit work ; -- bye',
  'rollback transaction',
  'start transaction isolation level serializable, read only',
  "select count(*), sum ( x ), now(), coalesce(a, 'b;c') from t where a in (1, 2) and b = any($1)",
  'insert into "S"."T"("a","b") values ($1,$2) returning "id"',
  '/* trace */ select 1 /* more */ ;;',
  'with x as (select 1) delete from t using x where exists (select 1)',
  'show transaction_read_only',
  'merge into t using u on (t.a = u.a) when matched then do nothing',
  'fetch 10 from c',
  'table t',
  'update "Users" set a = 1',
  'update orders set a = 1 where "updated" = 2',
  'select * from pg_settings for update',
];

const NOT_PLAIN = [
  '',
  '-- x',
  'set x = 1',
  'select 1; select 2',
  'select f(1)',
  'select f /* ( */ (1)',
  'select "f"(1)',
  'select public.now()',
  'select public . now ()',
  "select 'a\\'",
  "select $$a$$, 'b'",
  'select 1 into t',
  'select insert into t',
  'select count(*) merge into temp t from x',
  'select 5into t',
  'with x as (select 1) select * into temp t from x',
  'rollback to a',
  'rollback and chain',
  "commit prepared 'x'",
  'end and chain',
  'show pgdog.shards',
  'show "pgdog"."shards"',
  'explain execute p',
  "select 'abc",
  'select "abc',
  'select /* /* */ nextval(1)',
  'select ä(1)',
  'select\v1',
  'select now\0()',
  "update pg_settings set setting = 'x'",
  'UPDATE ONLY t set a = 1',
  'update "pg_settings" set a = 1',
  'update/**/pg_settings set a = 1',
  'update U&"t" set a = 1',
  'with x as (update\npg_catalog.pg_settings set a = 1) select 1',
  'selectx',
  "select set_config('a', 'b', false)",
  "select nextval('x')",
  'insert into t select f(1)',
  'insert into f(a) select f(1)',
  'insert into t (a) values (f (1))',
  'copy t from stdin',
  'declare c cursor with hold for select 1',
  'start_replication slot a logical 0/0',
];

test('the texts of a benchmark and of an ORM are plain; what might matter is not', () => {
  for (const text of PLAIN) assert.ok(isPlain(text), text);
  for (const text of NOT_PLAIN) assert.ok(!isPlain(text), text);
});

/** Pieces that statements are made of: harmless ones, harmful ones, and lexical traps. */
const PIECES = (
  'select|insert into|insert into t(a) values (|values|update t set a =|delete from|with x as (|merge into t using|' +
  "table t|from t|where|and|or|in (|any(|(|)|)|)|,|;|a|b.c|\"q\"|\"Q\"\"r\"|*|1|2.5|$1|'x'|'it''s'|E'\\n'|$$d$$|" +
  '$t$ ( $t$|now()|count(*)|lower(a)|coalesce(a,1)|f(1)|"f"(1)|public.f(1)|pg_catalog.now()|now|f|as|as x|into|' +
  "into temp z|set_config('a','b',false)|nextval('s')|pg_advisory_lock(1)|currval('s')|over (|over|join u on|" +
  'conflict (a)|on conflict (a) do nothing|conflict|on|numeric(3,1)|::text|cast(a as int)|case when a then b end|' +
  "begin|commit|end|rollback|and chain|to x|prepared 'p'|start transaction|show|pgdog.shards|work_mem|fetch|" +
  'from c|execute p|prepare p as select 1|set x = 1|reset all|listen a|discard all|create temp table z (a int)|' +
  '/* c */|-- c\n|/*|*/|\n|\t|(select 1)|exists (select 1)|returning a|group by|order by|limit|union|union all|' +
  "interval '1 day'|extract(year from a)|substring(a from 1)|trim(a)|position(a in b)|array[1]|array(select 1)|" +
  "row(1,2)|lateral|do $$ x $$|call p()|explain|analyze|copy t from stdin|ä|'ä'|U&\"a\"|U&'a'|-|+|/|.|::|pg_temp.z|" +
  'update|only|pg_settings|"pg_settings"|pg_catalog|pg_catalog.pg_settings|update only|U&"pg_settings"'
).split('|');

const TEMPLATES: readonly (readonly string[])[] = [
  ['select', '#', 'from t', 'where', '#'],
  ['select', '#', ',', '#'],
  ['insert into', 't', '(a)', 'values', '(', '#', ')'],
  ['insert into', '#', 'select', '#'],
  ['insert into t(a) values (', '#', ')', '#'],
  ['update t set a =', '#', 'where', '#'],
  ['update', '#', 'set', 'a', '=', '#'],
  ['with x as (', 'update', '#', 'set a =', '#', ')', '#'],
  ['with x as (', 'select', '#', ')', '#'],
  ['select', '#', '#', ';', '#'],
  ['#', '#', '#'],
];

function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[random.below(list.length)];
}

function makeText(random: SeededRandom): string {
  const words = pick(random, TEMPLATES).flatMap((slot) => {
    if (slot !== '#') return [slot];
    return Array.from({ length: 1 + random.below(2) }, () => pick(random, PIECES));
  });
  let text = words.join(random.below(8) === 0 ? '' : ' ');
  for (let n = random.below(6) === 0 ? 1 + random.below(3) : 0; n > 0; n--) {
    const at = random.below(text.length + 1);
    const piece = random.below(2) === 0 ? pick(random, PIECES) : String.fromCharCode(random.below(128));
    text = text.slice(0, at) + piece + text.slice(at + random.below(3));
  }
  return random.below(3) === 0 ? text.toUpperCase() : text;
}

function assertHarmless(full: SqlPlan, text: string, tier: string): void {
  const where = `${tier}, seed ${seed}: ${JSON.stringify(text)}`;
  assert.deepEqual(sqlFlagNames(full.flags & ~HARMLESS_FLAGS), [], where);
  for (const { effect } of full.statements) {
    const isFinish = (effect?.type === 'commit' || effect?.type === 'rollback') && !effect.isChain;
    assert.ok(effect === null || effect.type === 'begin' || isFinish, `${where} has ${effect?.type}`);
  }
}

test(`no text is called plain that the full reading finds an effect in (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  let plainCount = 0;
  let lexedCount = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const text = makeText(random);
    if (text.length === 0) continue;
    const plain = isPlain(text);
    const quick = readSql(text, parser);
    const isLexed = quick.statements.length === 0 && (quick.flags & SYNTAX_ERROR) === 0;
    if (!plain && !isLexed) continue;
    const full = parseSql(text, parser);
    // What Postgres refuses has no effect, whatever it is called.
    if ((full.flags & SYNTAX_ERROR) !== 0) continue;
    if (plain) {
      plainCount++;
      assertHarmless(full, text, 'isPlainSql');
      assert.ok(full.statements.length === 1, `one statement: ${text}`);
    }
    if (isLexed) {
      lexedCount++;
      assertHarmless(full, text, 'lexer');
    }
  }
  // A generator that makes nothing valid would prove nothing.
  assert.ok(plainCount > ROUNDS / 200, `only ${plainCount} plain texts`);
  assert.ok(lexedCount >= plainCount / 2, `only ${lexedCount} lexed texts`);
});

interface Scanned {
  tokens: { start: number; end: number; tokenName: string }[];
}

/**
 * Comments; and strings behind a string and a `--` comment, which go on with it in Postgres: libpg-query alone ends
 * them at comments, in order to show those.
 */
function isPartOfOther(tokens: Scanned['tokens'], index: number): boolean {
  const isComment = (at: number): boolean => tokens[at]?.tokenName.endsWith('COMMENT') ?? false;
  if (isComment(index)) return true;
  let before = index - 1;
  while (isComment(before)) before--;
  return before < index - 1 && tokens[index].tokenName === 'SCONST' && tokens[before]?.tokenName === 'SCONST';
}

test(`the lexer splits texts where Postgres's own does (seed ${seed})`, async () => {
  const { SqlLexer, TOKEN_END, TOKEN_MALFORMED } = await import('@pgdog-cluster/core');
  const require = createRequire(import.meta.resolve('@pgdog-cluster/core'));
  const { scanSync } = require('libpg-query') as { scanSync(text: string): Scanned };
  const random = new SeededRandom(seed + 1);
  const lexer = new SqlLexer();
  let compared = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const text = makeText(random);
    // '..' is one token of PL/pgSQL's to Postgres, and nothing to SQL.
    if (text.length === 0 || text.includes('\0') || text.includes('..')) continue;
    let tokens: Scanned['tokens'];
    try {
      tokens = scanSync(text).tokens;
    } catch {
      continue;
    }
    const expected = new Set(tokens.filter((_, i) => !isPartOfOther(tokens, i)).map((t) => t.start));
    const bytes = Buffer.from(text);
    lexer.reset(bytes, 0, bytes.length);
    const starts = new Set<number>();
    for (let kind = lexer.next(); kind !== TOKEN_END; kind = lexer.next()) {
      assert.notEqual(kind, TOKEN_MALFORMED, JSON.stringify(text));
      starts.add(lexer.start);
    }
    // Operators come out by character, and digits apart from letters: only more tokens than Postgres's.
    for (const start of expected) assert.ok(starts.has(start), `${start} in ${JSON.stringify(text)}`);
    compared++;
  }
  assert.ok(compared > ROUNDS / 4, `only ${compared} texts`);
});
