// Unique constraints that have no sharding key in them: what they would have to check is refused.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { loadSqlParser, type ReadTerms } from '@pgdog-cluster/core';
import { checkVerdicts, readText, termsOf } from './shard-fixture.js';

let terms: ReadTerms;
before(async () => {
  terms = termsOf(await loadSqlParser());
});

describe('shard reading of what must be unique', () => {
  checkVerdicts(
    'unique constraints without the key',
    `
refused | INSERT INTO items (id, user_id) VALUES (1, 1)
refused | INSERT INTO items VALUES (1, 2, 3)
direct 1 | INSERT INTO items (user_id) VALUES (1)
refused | INSERT INTO items (id, user_id) SELECT id, user_id FROM orders
sum | INSERT INTO items (user_id, x) SELECT user_id, n FROM orders
direct 1 | INSERT INTO labels (user_id, x) VALUES (1, 2)
direct 1 | INSERT INTO labels (id, user_id) VALUES (DEFAULT, 1)
direct 1 | INSERT INTO labels (id, user_id) VALUES (gen_random_uuid(), 1)
direct 1 | INSERT INTO labels (id, user_id) VALUES (pg_catalog.gen_random_uuid(), 1)
direct 1 | INSERT INTO labels (id, user_id, mail) VALUES (DEFAULT, 1, DEFAULT)
refused | INSERT INTO labels (id, user_id) VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1)
refused | INSERT INTO labels (id, user_id) VALUES (gen_random_uuid(), 1), ($1, 1)
refused | INSERT INTO labels (user_id, mail) VALUES (1, 'a')
refused | INSERT INTO labels (user_id, mail) VALUES (1, gen_random_uuid()::text)
refused | INSERT INTO labels DEFAULT VALUES
direct 1 | INSERT INTO labels (user_id, mail) VALUES (1, NULL)
direct 1,1 | INSERT INTO labels (user_id, mail) VALUES (1, NULL::text), (1, NULL)
direct 1 | INSERT INTO labels (user_id, mail) VALUES (1, CAST(NULL AS varchar(5)))
direct 1 | UPDATE labels SET mail = NULL WHERE user_id = 1
refused | INSERT INTO labels (user_id, mail) VALUES (1, NULL), (1, 'a')
refused | INSERT INTO labels (user_id, mail) VALUES (1, NULL::app.odd)
refused | INSERT INTO labels (user_id, mail) VALUES (1, NULL::odd)
refused | INSERT INTO labels (user_id, mail) VALUES (1, coalesce(NULL, 'a'))
refused | INSERT INTO halves (user_id, mail) VALUES (1, NULL)
direct 1 | UPDATE labels SET x = 5, kind = 'y' WHERE user_id = 1
direct 1 | UPDATE labels SET id = gen_random_uuid() WHERE user_id = 1
direct 1 | UPDATE labels SET mail = DEFAULT WHERE user_id = 1
refused | UPDATE labels SET mail = 'a' WHERE user_id = 1
refused | UPDATE labels SET (x, mail) = (1, 'a') WHERE user_id = 1
sum | UPDATE labels SET x = x + 1
sum | DELETE FROM labels WHERE mail = 'a'
direct 1 | SELECT * FROM labels WHERE user_id = 1 AND mail = 'a'
refused | INSERT INTO lows (user_id) VALUES (1)
refused | UPDATE lows SET x = 1 WHERE user_id = 1
direct 1 | DELETE FROM lows WHERE user_id = 1
refused | INSERT INTO halves (user_id) VALUES (1)
refused | UPDATE halves SET x = 1 WHERE user_id = 1
direct 1 | UPDATE halves SET y = 1 WHERE user_id = 1
direct 1 | INSERT INTO lefts (kind, mail) VALUES (1, 'a')
direct 1 | UPDATE lefts SET mail = 'a' WHERE kind = 1
refused | INSERT INTO lefts (kind, mail) VALUES (1, 'a') ON CONFLICT (mail) DO NOTHING
direct 1 | UPDATE leaders SET x = 2 WHERE user_id = 1
refused | UPDATE leaders SET code = 2 WHERE user_id = 1
refused | MERGE INTO labels l USING orders o ON l.user_id = o.user_id WHEN MATCHED THEN UPDATE SET mail = o.note
refused | MERGE INTO items i USING orders o ON i.user_id = o.user_id WHEN NOT MATCHED THEN INSERT (id, user_id) VALUES (o.id, o.user_id)
refused | COPY labels (user_id, mail) FROM STDIN
refused | CREATE UNIQUE INDEX ON orders (id)
refused | CREATE UNIQUE INDEX ON orders (lower(note), (user_id + 0))
refused | CREATE UNIQUE INDEX ON orders (user_id int8_ops)
every | CREATE UNIQUE INDEX ON orders (id, user_id)
every | CREATE UNIQUE INDEX ON orders (user_id) WHERE n > 3
every | CREATE UNIQUE INDEX ON countries (name)
every | CREATE UNIQUE INDEX ON lefts (mail)
every | CREATE INDEX ON orders (id)
refused | ALTER TABLE orders ADD PRIMARY KEY (id)
every | ALTER TABLE orders ADD PRIMARY KEY (user_id, id)
refused | ALTER TABLE orders ADD COLUMN z int, ADD CONSTRAINT c UNIQUE (id)
refused | ALTER TABLE orders ADD COLUMN z int UNIQUE
refused | ALTER TABLE orders ADD EXCLUDE USING gist (id WITH =, n WITH <>)
refused | ALTER TABLE orders ADD EXCLUDE USING gist (user_id WITH <>, n WITH =)
every | ALTER TABLE orders ADD EXCLUDE USING gist (user_id WITH =, n WITH <>)
every | ALTER TABLE orders ADD CHECK (n > 0)
every | ALTER TABLE countries ADD UNIQUE (name)
every | ALTER TABLE lefts ADD UNIQUE (mail)
refused | ALTER TABLE labels ALTER COLUMN mail TYPE varchar(3) USING lower(mail)
every | ALTER TABLE labels ALTER COLUMN x TYPE int8
refused | ALTER TABLE labels ATTACH PARTITION parted_1 FOR VALUES IN (1)
every | CREATE TABLE public.brand_new (id int8 PRIMARY KEY, user_id int8)`,
    () => terms,
  );

  for (const [sql, isMarked] of [
    ["INSERT INTO items (id, user_id) VALUES ('5'::int8::int8, 1)", true],
    ['INSERT INTO items (id, user_id) VALUES ((5::int8)::int8, 1)', true],
    ['INSERT INTO items (id, user_id) VALUES (CAST(CAST(5 AS int8) AS int8), 1)', true],
    ['INSERT INTO items (id, user_id) VALUES ($1::int8::int8, 1), ($2::int8::int8, 2)', true],
    ["WITH n AS (INSERT INTO items (id, user_id) VALUES ('5'::int8::int8, 1)) SELECT 1", true],
    ["SELECT 1; INSERT INTO items (id, user_id) VALUES ('5'::int8::int8, 1)", true],
    ["EXPLAIN ANALYZE INSERT INTO items (id, user_id) VALUES ('5'::int8::int8, 1)", true],
    ['UPDATE items SET id = 5::int8::int8 WHERE user_id = 1', true],
    ['UPDATE items SET x = 5::int8::int8 WHERE user_id = 1', false],
    ['INSERT INTO orders (id, user_id) VALUES (5::int8::int8, 1)', false],
  ] as const) {
    it(`says whether it must be ours that is marked: ${sql}`, () => {
      const { unlessMade } = readText(sql, terms);
      assert.equal(unlessMade?.reason.startsWith('a unique constraint of "items"') === true, isMarked);
    });
  }

  checkVerdicts(
    'what looks as made beside others',
    `
refused | INSERT INTO items (id, user_id) VALUES (5::int8::int8, 1), (5, 2)
refused | INSERT INTO items (id, user_id) VALUES (5::int8, 1)
refused | INSERT INTO items (id, user_id) VALUES (5::bigint::bigint, 1)`,
    () => terms,
  );
});
