/** UPDATE of the sharding key: what is read of it, when its rows may move, and by which statements. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { loadSqlParser, type ReadTerms, type ShardReading, type SqlParser } from '@pgdog-cluster/core';
import { checkVerdicts, readShaped, readText, termsOf, verdict } from './shard-fixture.js';
import { SHARDING } from './shard-fixture-catalog.js';

const MOVABLE = { ...SHARDING, areKeysMovable: true };

describe('UPDATE of the sharding key', () => {
  let parser: SqlParser;
  before(async () => {
    parser = await loadSqlParser();
  });
  const movable = (more: Partial<ReadTerms> = {}): ReadTerms =>
    termsOf(parser, { sharding: MOVABLE, ...more });
  /** Of the text itself, which may be rewritten. */
  const moved = (sql: string): ShardReading => readText(sql, movable({ text: Buffer.from(sql) }));
  const textsOf = (sql: string): string[] => {
    const { spread } = moved(sql);
    if (spread.kind === 'refused') throw new Error(spread.reason);
    assert.equal(spread.kind, 'move');
    return spread.kind === 'move' ? [spread.plan.deleteText, spread.plan.insertText] : [];
  };
  const reasonOf = (sql: string): string => {
    const { refusal, spread } = moved(sql);
    return refusal?.reason ?? (spread.kind === 'refused' ? spread.reason : spread.kind);
  };

  checkVerdicts(
    'read',
    `
direct 1 > 2 | UPDATE orders SET user_id = 2 WHERE user_id = 1
byText > 2 | UPDATE orders SET user_id = 2 WHERE id = 1
byText > 2 | UPDATE orders SET user_id = 2
byText > null | UPDATE orders SET user_id = NULL
byText > $1 | UPDATE orders SET user_id = $1, total = $2 WHERE id = $3
byText > $1 | UPDATE orders SET user_id = $1::int WHERE id = $2
direct $2 > $1 | UPDATE orders SET user_id = $1 WHERE user_id = $2
byText > -5 | UPDATE orders SET user_id = -5
byText > x | UPDATE names SET name = 'x' WHERE x = 1
byText > 2 | UPDATE orders SET user_id = 2, n = (SELECT max(x) FROM items i WHERE i.user_id = orders.user_id)
byText > 2 | UPDATE orders SET user_id = 2 WHERE note IN (SELECT code FROM countries)
direct 1 > 2 | UPDATE orders o SET user_id = 2 FROM items i WHERE i.user_id = o.user_id AND o.user_id = 1
sum | UPDATE orders SET user_id = user_id, n = 1
byText > each | UPDATE orders SET user_id = n
byText > each | UPDATE orders SET user_id = 2.5
byText > each | UPDATE orders SET user_id = user_id + $1 WHERE id = $2
direct 1 > each | UPDATE orders SET user_id = user_id + 1 WHERE user_id = 1
no > each | UPDATE orders SET user_id = n FROM items i WHERE i.x = 1
refused | UPDATE payers SET user_id = user_id + 1
no > each | UPDATE sums SET amount = amount + 1
refused | UPDATE tags SET name = name || 'x'
refused | UPDATE orders SET user_id = DEFAULT
refused | UPDATE orders SET user_id = $1, note = $1
no > 2 | UPDATE orders SET user_id = 2, at = now()
no > 2 | UPDATE orders SET user_id = 2, n = (SELECT max(x) FROM items)
refused | WITH x AS (UPDATE orders SET user_id = 2 WHERE user_id = 1 RETURNING *) SELECT * FROM x
refused | WITH x AS (UPDATE orders SET user_id = 2 RETURNING *) UPDATE items SET x = 1 WHERE user_id = 1
refused | UPDATE orders SET user_id = 2 WHERE user_id = 1; SELECT 1
refused | EXPLAIN UPDATE orders SET user_id = 2 WHERE user_id = 1
any | PREPARE p AS UPDATE orders SET user_id = 2 WHERE user_id = 1
refused | INSERT INTO users (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 5
refused | MERGE INTO orders o USING items i ON o.user_id = i.user_id WHEN MATCHED THEN UPDATE SET user_id = 3
refused | UPDATE tags SET name = 'much longer than ten'
byText > short | UPDATE tags SET name = 'short'
refused | UPDATE owners SET user_id = 2 WHERE user_id = 1
refused | UPDATE items SET id = 1, user_id = 2 WHERE user_id = 1
refused | UPDATE triggered SET user_id = 2 WHERE user_id = 1`,
    movable,
  );

  it('of a shape the places are kept', () => {
    const reading = readShaped('UPDATE orders SET user_id = 2 WHERE user_id = 1', movable());
    assert.equal(verdict(reading), 'direct #1 > #0');
    assert.equal(reading.spread.kind, 'byText');
    assert.equal(
      readShaped("UPDATE tags SET name = 'a' WHERE x = 1", movable()).refusal?.reason.includes('tags.name'),
      true,
    );
  });

  it('without leave only rows that stay on their shard', () => {
    const { refusal, spread } = readText('UPDATE orders SET user_id = 2 WHERE user_id = 1', termsOf(parser));
    assert.equal(refusal, null);
    assert.equal(spread.kind, 'refused');
    assert.match(spread.kind === 'refused' ? spread.remedy : '', /shard_key = "rewrite"/);
  });

  it('a DELETE that gives the rows as they are to be, and an INSERT of one', () => {
    assert.deepEqual(textsOf("UPDATE orders SET user_id = $1, n = n + 1, note = 'a, b' WHERE id = $2"), [
      [
        'DELETE FROM orders',
        'WHERE id = $2',
        'RETURNING "orders"."id", ($1)::"pg_catalog"."int8", "orders"."total", (\'a, b\')::"pg_catalog"."text", ' +
          '"orders"."status", (n + 1)::"pg_catalog"."int4", "orders"."at", "orders"."f"',
      ].join('\n'),
      'INSERT INTO "public"."orders" ("id", "user_id", "total", "note", "status", "n", "at", "f") ' +
        'OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8)\n',
    ]);
    const [gone, come] = textsOf(
      'UPDATE ONLY /* c */ orders AS "o""x" -- d\nSET user_id=2 /* e */ WHERE "o""x".id>1 RETURNING "o""x".*, n+1 AS m;',
    );
    assert.match(
      gone,
      /^DELETE FROM ONLY \/\* c \*\/ orders AS "o""x"\nWHERE "o""x".id>1\nRETURNING "o""x"."id"/,
    );
    assert.match(come, /^INSERT INTO "public"."orders" AS "o""x" \(.*\)\nRETURNING "o""x".\*, n\+1 AS m$/);
  });

  it('where each row has a key of its own, the one that it had is asked for as well', () => {
    const sql = 'UPDATE regions SET region = region + 1, x = region';
    const [gone] = textsOf(sql);
    assert.match(
      gone,
      /RETURNING \(region \+ 1\)::"pg_catalog"."int8", \(region\)::"pg_catalog"."int4", "regions"."region"$/,
    );
    const { spread } = moved(sql);
    assert.deepEqual(spread.kind === 'move' && spread.plan.routed, { keyColumn: 0, hasUniques: false });
    const other = moved('UPDATE users SET id = id + 1').spread;
    assert.deepEqual(other.kind === 'move' && other.plan.routed, { keyColumn: 0, hasUniques: true });
  });

  it('computed columns are left out, and those that are set to their default', () => {
    const [gone, come] = textsOf('UPDATE labels SET user_id = 2, kind = DEFAULT WHERE x = 1');
    assert.match(gone, /RETURNING "labels"."id", \(2\)::"pg_catalog"."int8", "labels"."mail", "labels"."x"$/);
    assert.match(come, /^INSERT INTO "public"."labels" \("id", "user_id", "mail", "x"\)/);
  });

  it('what words refuse', () => {
    const cases: [string, RegExp][] = [
      ['UPDATE orders o SET user_id = 2 FROM items i WHERE i.user_id = o.user_id', /with FROM/],
      ['WITH x AS (SELECT 1) UPDATE orders SET user_id = 2', /with WITH/],
      ['UPDATE orders SET user_id = 2, (n, f) = (1, 2)', /several columns are set from one list/],
      ['UPDATE orders SET user_id = 2 RETURNING (SELECT 1)', /subquery in RETURNING/],
      ['UPDATE orders SET user_id = 2 RETURNING n + $1', /parameter in RETURNING/],
      ['UPDATE orders SET user_id = 2 RETURNING old.user_id', /old or new/],
      ['UPDATE orders SET user_id = 2 RETURNING WITH (OLD AS o) o.n', /RETURNING WITH/],
      ['UPDATE orders SET user_id = 2 RETURNING ctid', /ctid means something else/],
      ["UPDATE orders SET user_id = 2 WHERE note = 'a\\b'", /cannot be rewritten/],
      ['UPDATE guarded SET user_id = 2', /row security/],
      ['UPDATE parted SET user_id = 2', /partitions/],
      ['UPDATE mixed_child SET user_id = 2', /partitions, children or parents/],
      ['UPDATE payers SET user_id = 2', /"copies", which is on every shard/],
      ['UPDATE leaders SET user_id = 2', /would set its sharding key/],
      ['UPDATE pets SET user_id = 2', /^move$/],
      ['UPDATE riders SET user_id = 2', /to "owners" does not go by their sharding keys/],
      ['UPDATE kinded SET kind = 1, user_id = 2', /^move$/],
      ['UPDATE rents SET user_id = 2', /^move$/],
      ['UPDATE followers SET user_id = 2', /^move$/],
      ['UPDATE halves SET user_id = 2, x = 1', /a unique constraint/],
      ['UPDATE halves SET user_id = 2, y = 1', /^move$/],
      ['UPDATE orders SET user_id = n WHERE n IN (SELECT size FROM countries)', /subquery in WHERE/],
      ['UPDATE orders SET user_id = n WHERE random() < 0.5', /a function in WHERE/],
      ['UPDATE orders SET user_id = n WHERE lower(note) = note', /^move$/],
      ["UPDATE lefts SET kind = 2, mail = 'x'", /"by_mail" of "lefts" is unique on each shard/],
      ['UPDATE lefts SET kind = 2', /^move$/],
      ['UPDATE owners SET user_id = user_id + 1', /would set its sharding key/],
      ['UPDATE orders SET user_id = n, (n, f) = (1, 2)', /several columns are set from one list/],
    ];
    for (const [sql, expected] of cases) assert.match(reasonOf(sql), expected, sql);
  });

  it('what is asked for in binary', () => {
    const { spread } = moved('UPDATE domained SET id = 2, user_id = user_id');
    assert.notEqual(spread.kind, 'move');
    const plain = moved('UPDATE orders SET user_id = 2').spread;
    assert.equal(plain.kind === 'move' && plain.plan.columns.every(({ isBinary }) => isBinary), true);
    assert.equal(plain.kind === 'move' && plain.plan.givesRows, false);
  });
});
