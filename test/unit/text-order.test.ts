// By which order Postgres sorts texts, as far as a statement and the catalog tell.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { loadSqlParser, type MergePlan, type ReadTerms } from '@pgdog-cluster/core';
import { readText, termsOf } from './shard-fixture.js';

let terms: ReadTerms;
before(async () => {
  terms = termsOf(await loadSqlParser());
});

/** `0 asc last by "sv"`; of several keys. */
const sortText = ({ sort }: MergePlan): string =>
  sort
    .map(({ column, isDescending, isNullsFirst, collation }) => {
      const by = collation === undefined ? '' : ` by ${collation}`;
      return `${column} ${isDescending ? 'desc' : 'asc'} ${isNullsFirst ? 'first' : 'last'}${by}`;
    })
    .join('; ');

describe('texts that Postgres puts in order', () => {
  const lines = `
0 asc last by pg_catalog."default" | SELECT own FROM words ORDER BY own
1 desc first by "sv"; 0 asc last by pg_catalog."default" | SELECT own, other FROM words ORDER BY other DESC, own LIMIT 3
0 asc last | SELECT plain FROM words ORDER BY plain
0 asc last; 1 asc last by pg_catalog."default" | SELECT x, own FROM words ORDER BY x, own
0 asc last by pg_catalog."default" | SELECT own, count(*) FROM words GROUP BY own ORDER BY own
0 asc last by "sv" | SELECT DISTINCT other FROM words ORDER BY other
0 asc last by "sv" | SELECT other FROM words UNION ALL SELECT other FROM words ORDER BY other
0 asc last | SELECT own FROM words UNION ALL SELECT other FROM words ORDER BY own
refused | SELECT fix FROM words ORDER BY fix
refused | SELECT dom FROM words ORDER BY dom
refused | SELECT note FROM orders ORDER BY note`;
  for (const line of lines.trim().split('\n')) {
    const [expected, sql] = line.split('|').map((part) => part.trim());
    it(sql, () => {
      const { spread } = readText(sql, terms);
      assert.equal(spread.kind === 'merge' ? sortText(spread.plan) : spread.kind, expected);
    });
  }

  /** Of a text that is made of something, by the database's own order; -: none that is known. */
  const made = (sql: string, textOrder: ReadTerms['lookup']['textOrder']): string => {
    const lookup = { ...terms.lookup, textOrder, find: terms.lookup.find.bind(terms.lookup) };
    const { spread } = readText(`SELECT user_id, ${sql} AS made FROM words ORDER BY made`, {
      ...terms,
      lookup,
    });
    if (spread.kind !== 'merge') return spread.kind;
    const [{ collation }] = spread.plan.sort;
    return collation ?? (spread.plan.plain?.[0].mayBeText === true ? 'bytes' : '-');
  };
  const DEFAULT = 'pg_catalog."default"';
  for (const [sql, database, expected] of [
    ['lower(own)', DEFAULT, DEFAULT],
    ["own || ' ' || x", DEFAULT, DEFAULT],
    ["coalesce(other, 'none')", DEFAULT, '"sv"'],
    ['upper(other) || own', DEFAULT, '"sv"'],
    ['other || third', DEFAULT, '-'],
    ['other || plain', DEFAULT, '-'],
    ['plain || own', DEFAULT, 'bytes'],
    ["doc ->> 'k'", DEFAULT, DEFAULT],
    ["doc ->> 'k'", 'bytes', 'bytes'],
    ["doc ->> 'k'", null, '-'],
    ['x::text', DEFAULT, DEFAULT],
    ['lower(plain)', 'bytes', 'bytes'],
    ['plain || other', 'bytes', '"sv"'],
    ['own', null, DEFAULT],
    ['own || $1', null, '-'],
    ["CASE WHEN own = 'a' THEN own END", DEFAULT, DEFAULT],
    ["CASE WHEN other = 'a' THEN own END", DEFAULT, '-'],
    ['own COLLATE "sv"', DEFAULT, '-'],
    ['lower(own COLLATE "sv")', DEFAULT, '-'],
    ['length(own)', DEFAULT, '-'],
    ['current_user || own', DEFAULT, '-'],
    ['(SELECT own)', DEFAULT, '-'],
    ['lower(nosuch)', DEFAULT, '-'],
    ['x::name::text', DEFAULT, '-'],
    ['tags::text', DEFAULT, '-'],
    ["concat('a', tags)", DEFAULT, '-'],
  ] as const)
    it(`${sql} where the database has ${database}`, () => {
      assert.equal(made(sql, database).replace('refused', '-'), expected);
    });
});
