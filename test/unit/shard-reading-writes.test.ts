// Where rows are written, and what is no statement about rows at all.
import { before, describe } from 'node:test';
import { loadSqlParser, type ReadTerms } from '@pgdog-cluster/core';
import { checkVerdicts, termsOf } from './shard-fixture.js';

let terms: ReadTerms;
before(async () => {
  terms = termsOf(await loadSqlParser());
});
const check = (title: string, lines: string): void => checkVerdicts(title, lines, () => terms);

describe('shard reading of writes', () => {
  check(
    'INSERT',
    `
direct 1 | INSERT INTO orders (id, user_id) VALUES (5, 1)
direct $2 | INSERT INTO orders (id, user_id) VALUES ($1, $2) RETURNING *
direct 7 | INSERT INTO orders VALUES (5, 7, 1.5)
direct 7 | INSERT INTO orders (user_id) VALUES ('7')
direct null | INSERT INTO orders (user_id) VALUES (NULL)
direct 1,2 | INSERT INTO orders (user_id, n) VALUES (1, 5), (2, 6)
direct 1 | INSERT INTO orders (user_id, at) VALUES (1, now())
direct 1 | INSERT INTO orders (user_id, n) VALUES (1, (SELECT max(size) FROM countries))
direct 1 | INSERT INTO orders (user_id, n) VALUES (1, (SELECT max(x) FROM items WHERE user_id = 1))
no | INSERT INTO orders (user_id, n) VALUES (1, (SELECT max(x) FROM items))
direct 1 | INSERT INTO orders (user_id) SELECT 1
direct $1 | INSERT INTO orders (id, user_id) SELECT 5, $1::int8
direct 1 | INSERT INTO orders (user_id, note) SELECT 1, code FROM countries
direct 1 | INSERT INTO orders (user_id) SELECT user_id FROM items WHERE user_id = 1
direct 1 | INSERT INTO orders (id, user_id) SELECT id, user_id FROM items WHERE user_id = 1 LIMIT 5
direct 1 | INSERT INTO orders (user_id, n) SELECT 1, x FROM items WHERE user_id = 1
sum | INSERT INTO orders (user_id) SELECT user_id FROM items
sum | INSERT INTO orders (user_id, n) SELECT user_id, count(*) FROM items GROUP BY user_id
no | INSERT INTO orders (user_id, n) SELECT user_id, x FROM items LIMIT 5
no | INSERT INTO orders (user_id) SELECT x FROM items
no | INSERT INTO orders (user_id) SELECT x FROM items WHERE user_id = 1
no | INSERT INTO orders (user_id) SELECT user_id + 1 FROM items WHERE user_id = 1
no | INSERT INTO orders (user_id, n) SELECT 1, x FROM items
no | INSERT INTO orders (user_id) SELECT size FROM countries
no | INSERT INTO orders (user_id) SELECT user_id FROM plain WHERE user_id = 1
no | INSERT INTO orders (user_id, note) SELECT i.user_id, c.code FROM countries c LEFT JOIN items i ON i.user_id = 1
no | INSERT INTO orders (user_id) SELECT 1 UNION ALL SELECT 2
no | INSERT INTO orders (user_id) SELECT user_id FROM (SELECT user_id FROM items UNION ALL SELECT x FROM items) i WHERE user_id = 1
refused | INSERT INTO orders (id) VALUES (1)
refused | INSERT INTO orders DEFAULT VALUES
refused | INSERT INTO orders (user_id) VALUES (DEFAULT)
refused | INSERT INTO orders (id, user_id) VALUES (1, 1), (2, DEFAULT)
refused | INSERT INTO orders VALUES (5)
refused | INSERT INTO orders (id) SELECT 1
refused | INSERT INTO orders (user_id) VALUES (1 + 1)
refused | INSERT INTO orders (user_id) VALUES (1.5)
refused | INSERT INTO orders (user_id) VALUES (abs(1))
refused | INSERT INTO orders (user_id) VALUES ((SELECT 1))
refused | INSERT INTO orders (user_id) VALUES ($1::numeric)
refused | INSERT INTO orders (user_id) VALUES (1), (1 + 1)
refused | INSERT INTO orders (nothing, user_id) VALUES (1, 1)
refused | INSERT INTO names (name) VALUES (5)
direct abc | INSERT INTO names (name) VALUES ('abc')
direct abc | INSERT INTO codes (name) VALUES ('abc')
direct abc | INSERT INTO tags (name) VALUES ('abc')
direct abcdefghij | INSERT INTO tags (name) VALUES ('abcdefghij')
refused | INSERT INTO tags (name) VALUES ('abcdefghij ')
refused | INSERT INTO tags (name) VALUES ($1)
refused | INSERT INTO tags (name) SELECT name FROM names WHERE name = 'a'
refused | INSERT INTO names (name) VALUES ('abc'::varchar(2))
refused | INSERT INTO days (day) VALUES (current_date)
direct 2024-01-02 | INSERT INTO days (day) VALUES ('2024-01-02')
refused | INSERT INTO triggered (user_id) VALUES (1)
refused | INSERT INTO ruled (user_id) VALUES (1)
refused | INSERT INTO logs (user_id) VALUES (1)
direct 1 | INSERT INTO logs (id, user_id) VALUES (1, 1)
refused | INSERT INTO logs (id, user_id) VALUES (DEFAULT, 1)
refused | INSERT INTO logs (id, user_id) VALUES (nextval('x'), 1)
refused | INSERT INTO counted (user_id) VALUES (1)
direct 1 | INSERT INTO counted (id, user_id) VALUES (1, 1)
direct 1 | INSERT INTO identified (user_id) VALUES (1)
refused | INSERT INTO identified (user_id) OVERRIDING USER VALUE VALUES (1)
refused | INSERT INTO counted (id, user_id) OVERRIDING USER VALUE VALUES (1, 1)
direct 1 | INSERT INTO counted (id, user_id) OVERRIDING SYSTEM VALUE VALUES (1, 1)
refused | MERGE INTO identified o USING countries c ON o.user_id = 1 WHEN NOT MATCHED THEN INSERT (user_id) OVERRIDING USER VALUE VALUES (1)
refused | INSERT INTO computed (base) VALUES (1)
refused | SELECT * FROM computed WHERE user_id = 1
refused | INSERT INTO orders (user_id, n) VALUES (1, mine(3))
direct 1 | INSERT INTO orders (user_id, n) VALUES (1, fine(3))`,
  );

  check(
    'ON CONFLICT',
    `
direct 1 | INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (id) DO NOTHING
direct 1 | INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET name = excluded.name
direct 1 | INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (name, id) DO UPDATE SET name = 'b' WHERE users.age > 3
direct 1 | INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET id = excluded.id, name = excluded.name
direct 1 | INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET id = users.id
direct 1 | INSERT INTO users (id) VALUES (1) ON CONFLICT DO NOTHING
refused | INSERT INTO users (id) VALUES (1) ON CONFLICT (id COLLATE "C") DO NOTHING
sum | INSERT INTO orders (user_id) SELECT user_id FROM items ON CONFLICT DO NOTHING
refused | INSERT INTO labels (user_id) VALUES (1) ON CONFLICT DO NOTHING
sum | INSERT INTO orders (user_id) SELECT user_id FROM items ON CONFLICT (id, user_id) DO NOTHING
direct 1 | INSERT INTO users (id) VALUES (1) ON CONFLICT ON CONSTRAINT users_pkey DO NOTHING
direct 1,2 | INSERT INTO users (id) VALUES (1), (2) ON CONFLICT (id) DO NOTHING
refused | INSERT INTO items (id, user_id) VALUES (1, 1) ON CONFLICT (id) DO NOTHING
refused | INSERT INTO items (id, user_id) VALUES (1, 1) ON CONFLICT DO NOTHING
refused | INSERT INTO items (id, user_id) VALUES (1, 1) ON CONFLICT ON CONSTRAINT items_pkey DO NOTHING
refused | INSERT INTO items (id, user_id) VALUES (1, 1) ON CONFLICT ((user_id + 0)) DO NOTHING
refused | INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (name) DO NOTHING
refused | INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET id = 5
refused | INSERT INTO users (id, age) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET id = excluded.age
refused | INSERT INTO users (id, age) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET (id, age) = (5, 6)
no | INSERT INTO users (id, age) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET age = (SELECT count(*) FROM orders)
direct 1 | INSERT INTO users (id, age) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET age = (SELECT count(*) FROM orders WHERE user_id = users.id)
direct 1 | INSERT INTO users (id, age) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET age = (SELECT count(*) FROM orders WHERE user_id = excluded.id)`,
  );

  check(
    'UPDATE and DELETE',
    `
direct 1 | UPDATE orders SET total = 1 WHERE user_id = 1
direct 1 | UPDATE orders SET total = 1, user_id = user_id WHERE user_id = 1
direct 1 | UPDATE orders o SET user_id = o.user_id WHERE user_id = 1 RETURNING *
direct 1 | UPDATE orders o SET n = i.x FROM items i WHERE i.user_id = o.user_id AND o.user_id = 1
direct 1 | UPDATE orders SET n = (SELECT max(x) FROM items i WHERE i.user_id = orders.user_id) WHERE user_id = 1
direct 1 | DELETE FROM orders WHERE user_id = 1
direct 1 | DELETE FROM orders o USING users u WHERE u.id = o.user_id AND u.id = 1
direct 1 | DELETE FROM orders WHERE user_id IN (SELECT id FROM users WHERE id = 1)
direct 1 | UPDATE orders SET at = now() WHERE user_id = 1
sum | UPDATE orders SET total = 1
sum | UPDATE orders SET total = 1 WHERE at < now()
sum | UPDATE orders o SET n = c.size FROM countries c WHERE c.code = o.note
sum | UPDATE orders o SET n = i.x FROM items i WHERE i.user_id = o.user_id
sum | DELETE FROM orders WHERE n = 3 RETURNING id
sum | DELETE FROM orders o WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = o.user_id)
sum | DELETE FROM orders o USING users u WHERE u.id = o.user_id
no | UPDATE orders SET at = now()
no | DELETE FROM orders WHERE ctid = '(0,1)'
direct 1 | DELETE FROM orders WHERE user_id = 1 AND ctid = '(0,1)'
no | UPDATE orders SET at = 'now'
no | UPDATE orders SET at = 'today'::date
sum | UPDATE orders SET at = '2024-01-01 00:00:00Z'
sum | UPDATE orders SET n = 1 WHERE at < 'now'::timestamptz
no | UPDATE orders o SET n = i.x FROM items i WHERE i.order_id = o.id
no | UPDATE orders SET n = (SELECT max(x) FROM items)
no | DELETE FROM orders WHERE id IN (SELECT order_id FROM items)
no | DELETE FROM orders WHERE id IN (SELECT id FROM orders LIMIT 10)
no | DELETE FROM orders WHERE user_id = 1 AND id IN (SELECT order_id FROM items)
no | DELETE FROM orders o USING users u WHERE u.age = o.n AND u.id = 1
direct 1 > 2 | UPDATE orders SET user_id = 2 WHERE user_id = 1
direct 1 > 1 | UPDATE orders SET user_id = 1 WHERE user_id = 1
refused | UPDATE orders SET user_id = DEFAULT WHERE user_id = 1
direct 1 > each | UPDATE orders SET user_id = n WHERE user_id = 1
direct 1 > each | UPDATE orders SET user_id = user_id + 0 WHERE user_id = 1
direct 1 > each | UPDATE orders o SET user_id = i.user_id FROM items i WHERE i.user_id = o.user_id AND o.user_id = 1
direct 1 > each | UPDATE orders SET (user_id, n) = (SELECT 1, 2) WHERE user_id = 1
direct 1 > each | UPDATE orders SET (user_id, n) = (user_id, 2) WHERE user_id = 1
refused | UPDATE triggered SET id = 1 WHERE user_id = 1
refused | UPDATE plain SET b = o.note FROM orders o WHERE o.id = a
refused | UPDATE plain SET b = (SELECT max(note) FROM orders)
refused | DELETE FROM plain WHERE a IN (SELECT id FROM orders WHERE user_id = 1)
refused | DELETE FROM orders WHERE CURRENT OF c
refused | UPDATE distant SET a = 1
refused | UPDATE pg_class SET relname = 'x'`,
  );

  check(
    'MERGE',
    `
direct 1 | MERGE INTO orders o USING items i ON o.user_id = i.user_id AND i.user_id = 1 WHEN MATCHED THEN UPDATE SET n = i.x
direct 1 | MERGE INTO orders o USING (SELECT * FROM items WHERE user_id = 1) i ON o.user_id = i.user_id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (user_id, n) VALUES (i.user_id, i.x)
direct 1 | MERGE INTO orders o USING countries c ON o.user_id = 1 AND o.note = c.code WHEN MATCHED THEN UPDATE SET n = c.size
direct 1 | MERGE INTO orders o USING countries c ON o.user_id = 1 AND o.note = c.code WHEN NOT MATCHED THEN INSERT (user_id) VALUES (1)
direct 1 & 2 | MERGE INTO orders o USING countries c ON o.user_id = 1 AND o.note = c.code WHEN NOT MATCHED THEN INSERT (user_id) VALUES (2)
sum | MERGE INTO orders o USING items i ON o.user_id = i.user_id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (user_id) VALUES (i.user_id)
sum | MERGE INTO orders o USING countries c ON o.note = c.code WHEN MATCHED THEN DELETE
no | MERGE INTO orders o USING countries c ON o.note = c.code WHEN NOT MATCHED THEN INSERT (user_id) VALUES (1)
no | MERGE INTO orders o USING items i ON o.user_id = i.user_id AND i.user_id = 1 WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED BY TARGET THEN INSERT (user_id) VALUES (i.user_id)
sum | MERGE INTO orders o USING items i ON o.user_id = i.user_id AND i.user_id = 1 WHEN NOT MATCHED BY SOURCE THEN DELETE
sum | MERGE INTO orders o USING items i ON o.user_id = i.user_id AND o.user_id = 1 WHEN NOT MATCHED THEN INSERT (user_id) VALUES (i.user_id)
no | MERGE INTO orders o USING items i ON o.id = i.order_id WHEN MATCHED THEN DELETE
refused | MERGE INTO orders o USING items i ON o.user_id = i.user_id WHEN NOT MATCHED THEN INSERT (id) VALUES (i.id)
refused | MERGE INTO orders o USING items i ON o.user_id = i.user_id WHEN MATCHED THEN UPDATE SET user_id = 3
refused | MERGE INTO orders o USING items i ON o.user_id = i.user_id WHEN NOT MATCHED THEN INSERT (user_id) VALUES (i.x)
refused | MERGE INTO plain p USING orders o ON o.id = p.a WHEN MATCHED THEN DELETE`,
  );

  check(
    'omnisharded tables',
    `
any | SELECT 1
any | SELECT * FROM countries c JOIN plain p ON p.b = c.code
any | SELECT now(), random(), gen_random_uuid()
any | SELECT * FROM pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
any | SELECT * FROM information_schema.tables
any | VALUES (1), (2)
any | SELECT fine(1), app.fine(2)
any | SELECT set_config('a.b', 'c', false), current_setting('a.b')
refused | SELECT mine(1)
refused | SELECT app.mine(1)
refused | SELECT 1 @@@@ 2
any | SELECT 1 <=> 2
refused | SELECT query_to_xml('SELECT 1', true, true, '')
first | SELECT pg_advisory_lock(1)
first | SELECT nextval('numbers')
first | SELECT * FROM numbers
first | SELECT * FROM pg_stat_activity
first | SELECT pg_terminate_backend(1)
first | SELECT * FROM countries FOR UPDATE
first | SELECT pg_notify('a', 'b')
refused | SELECT pg_advisory_xact_lock(1), * FROM orders WHERE user_id = 1
refused | SELECT nextval('numbers') FROM orders WHERE user_id = 1
refused | SELECT * FROM orders o JOIN countries c ON c.code = o.note WHERE o.user_id = 1 FOR UPDATE
direct 1 | SELECT * FROM orders o JOIN countries c ON c.code = o.note WHERE o.user_id = 1 FOR UPDATE OF o
refused | SELECT * FROM orders o JOIN countries c ON c.code = o.note WHERE o.user_id = 1 FOR UPDATE OF c
every | INSERT INTO countries (code) VALUES ('x'), ($1)
every | INSERT INTO plain VALUES (1)
every | INSERT INTO plain (a) SELECT size FROM countries
every | UPDATE countries SET name = upper($1) WHERE code = 'x'
every | DELETE FROM countries WHERE code = 'x' RETURNING *
every | INSERT INTO countries (code) VALUES ('x') ON CONFLICT (code) DO UPDATE SET name = excluded.name
every | UPDATE plain SET b = (SELECT max(name) FROM countries)
refused | INSERT INTO countries (code, at) VALUES ('x', now())
refused | INSERT INTO countries (code, at) VALUES ('x', CURRENT_TIMESTAMP)
refused | INSERT INTO countries (code, at) VALUES ('x', 'now')
refused | INSERT INTO countries (code, at) VALUES ('x', 'now'::timestamptz)
refused | DELETE FROM countries WHERE at < 'now'
every | DELETE FROM countries WHERE at < '2024-01-01'
refused | INSERT INTO plain (a) VALUES (random() * 5)
refused | INSERT INTO plain (b) VALUES (gen_random_uuid())
refused | INSERT INTO plain (b) VALUES (mine())
refused | INSERT INTO rates (code) VALUES ('x')
refused | INSERT INTO rates (id, code) VALUES (1, 'x')
every | INSERT INTO rates (id, code, at) VALUES (1, 'x', '2024-01-01')
refused | INSERT INTO rates (id, code, at) VALUES (1, 'x', DEFAULT)
refused | UPDATE rates SET at = DEFAULT
refused | UPDATE countries SET name = name WHERE at < now()
refused | DELETE FROM countries WHERE code IN (SELECT code FROM countries LIMIT 1)
refused | UPDATE plain SET a = c.size FROM countries c WHERE c.code = b
refused | INSERT INTO plain (b) SELECT string_agg(code, ',') FROM countries
refused | INSERT INTO plain (a) SELECT row_number() OVER () FROM countries
refused | INSERT INTO plain (a) SELECT size FROM countries ORDER BY size LIMIT 3
refused | INSERT INTO countries (code) SELECT b FROM plain ON CONFLICT DO NOTHING
refused | INSERT INTO plain (a) SELECT nextval('numbers')
refused | INSERT INTO plain (a) SELECT n FROM orders
refused | INSERT INTO plain (a) SELECT n FROM orders WHERE user_id = 1
refused | INSERT INTO plain (b) VALUES (current_database())
refused | UPDATE plain SET a = 'countries'::regclass::oid
refused | INSERT INTO plain (b) SELECT relname FROM pg_class
refused | INSERT INTO plain (b) VALUES ((SELECT table_name FROM information_schema.tables WHERE false))
refused | UPDATE plain SET b = (ARRAY(SELECT code FROM countries))[1]
refused | DELETE FROM plain WHERE ctid = '(0,1)'
refused | UPDATE plain SET a = 1 WHERE plain.xmin::text = '5'
refused | INSERT INTO domains (a) VALUES (1)
every | INSERT INTO domains (a, b) VALUES (1, 'x')`,
  );

  check(
    'other statements',
    `
any | BEGIN
any | COMMIT
any | SET statement_timeout = 5
any | SHOW search_path
any | FETCH 5 FROM c
any | DISCARD ALL
first | LISTEN a
first | NOTIFY a
every | TRUNCATE orders, countries
every | LOCK TABLE orders
every | CREATE TABLE public.x (a int DEFAULT random())
every | CREATE INDEX ON orders (n)
every | ALTER TABLE orders ADD COLUMN z int DEFAULT 5
every | VACUUM orders
every | ANALYZE
every | DROP TABLE orders
every | GRANT SELECT ON orders TO me
every | CREATE VIEW public.v AS SELECT now()
refused | ALTER TABLE orders ADD COLUMN z float DEFAULT random()
refused | ALTER TABLE orders ADD COLUMN z timestamptz DEFAULT now()
refused | ALTER TABLE countries ADD COLUMN z bigserial
refused | ALTER TABLE countries ADD COLUMN z int GENERATED ALWAYS AS IDENTITY
refused | CREATE TEMP TABLE x (a int)
refused | CREATE TABLE x AS SELECT * FROM orders WHERE user_id = 1
refused | CREATE TABLE pg_temp.x (a int)
refused | SELECT * INTO x FROM orders WHERE user_id = 1
refused | CREATE MATERIALIZED VIEW x AS SELECT 1
refused | DO 'BEGIN END'
refused | CALL mine()
any | EXECUTE p (1, -2, 'x'::text, ARRAY[1, 2])
refused | EXECUTE p (now())
direct 1 | EXPLAIN SELECT * FROM orders WHERE user_id = 1
direct 1 | EXPLAIN (ANALYZE) UPDATE orders SET n = 1 WHERE user_id = 1
no | EXPLAIN SELECT * FROM orders
any | EXPLAIN INSERT INTO countries (code) VALUES ('x')
every | EXPLAIN ANALYZE INSERT INTO countries (code) VALUES ('x')
direct 1 | DECLARE c CURSOR FOR SELECT * FROM orders WHERE user_id = 1
merge | DECLARE c CURSOR FOR SELECT * FROM orders
any | PREPARE p AS SELECT * FROM orders WHERE user_id = $1
merge | COPY orders TO STDOUT
merge | COPY (SELECT * FROM orders) TO STDOUT (FORMAT csv)
no | COPY orders TO STDOUT (FORMAT csv, HEADER)
no | COPY orders TO STDOUT (FORMAT binary)
no | COPY (SELECT * FROM orders ORDER BY id) TO STDOUT
no | COPY (SELECT count(*) FROM orders) TO STDOUT
direct 1 | COPY (SELECT * FROM orders WHERE user_id = 1) TO STDOUT (FORMAT binary)
any | COPY countries TO STDOUT
copy | COPY orders FROM STDIN
copy | COPY orders (user_id, n) FROM STDIN
copy | COPY orders FROM STDIN WITH CSV HEADER QUOTE AS '''' FORCE NOT NULL user_id
copy | COPY orders FROM STDIN (FORMAT binary, FREEZE)
copy | COPY orders FROM STDIN (ON_ERROR stop, LOG_VERBOSITY verbose, HEADER match)
refused | COPY orders (n) FROM STDIN
refused | COPY orders FROM STDIN (ON_ERROR ignore)
refused | COPY orders FROM STDIN (REJECT_LIMIT 3)
refused | COPY orders FROM STDIN (DELIMITER 'ä')
refused | COPY orders FROM STDIN (FORMAT csv, ESCAPE E'\\n')
refused | COPY orders FROM STDIN (NULL 'ä')
refused | COPY orders FROM STDIN (HEADER 2)
refused | COPY orders FROM STDIN (FORMAT avro)
refused | COPY orders FROM STDIN (ENCRYPTED)
no | COPY orders FROM STDIN WHERE n > (SELECT count(*) FROM items)
copy | COPY tags FROM STDIN
every | COPY countries FROM STDIN
refused | COPY rates (code) FROM STDIN
refused | COPY orders TO '/tmp/x'
refused | COPY orders FROM PROGRAM 'x'`,
  );

  check(
    'foreign keys that change other rows',
    `
refused | DELETE FROM owners WHERE user_id = 1
direct 1 | DELETE FROM payers WHERE user_id = 1
sum | DELETE FROM payers
direct 1 | UPDATE payers SET x = 1 WHERE user_id = 1
refused | UPDATE owners SET id = 5 WHERE user_id = 1
every | DELETE FROM kinds WHERE code = 1
every | UPDATE kinds SET x = 1
refused | UPDATE kinds SET code = 2 WHERE code = 1
refused | INSERT INTO kinds (code) VALUES (1) ON CONFLICT (code) DO UPDATE SET code = 2
refused | MERGE INTO owners o USING items i ON o.user_id = i.user_id AND i.user_id = 1 WHEN MATCHED THEN DELETE
direct 1 | DELETE FROM pets WHERE user_id = 1`,
  );

  check(
    'schemas of one shard',
    `
direct shard 1 | SELECT * FROM eu.bills
direct shard 1 | SELECT * FROM eu.bill_view v JOIN countries c ON true
direct shard 1 | INSERT INTO eu.bills (at) VALUES (now()) RETURNING id
direct shard 1 | UPDATE eu.bills SET id = 5 FROM countries c
direct shard 1 | DELETE FROM eu.bills WHERE id IN (SELECT id FROM eu.bills LIMIT 1)
direct shard 1 | SELECT * FROM eu.bills FOR UPDATE
direct 1 & shard 1 | SELECT * FROM eu.bills b JOIN orders o ON o.id = b.id WHERE o.user_id = 1
direct shard 1 & shard 2 | SELECT * FROM eu.bills, us.ports
no | SELECT * FROM eu.bills b JOIN orders o ON o.id = b.id
refused | INSERT INTO plain (a) SELECT id FROM eu.bills
refused | SELECT pg_advisory_lock(1) FROM eu.bills
direct shard 1 | TRUNCATE eu.bills
direct shard 1 | CREATE TABLE eu.other (a int DEFAULT random())
direct shard 1 | ALTER TABLE eu.bills ADD COLUMN z int
direct shard 1 | DROP TABLE eu.bills
direct shard 1 | CREATE SCHEMA eu
every | CREATE SCHEMA other
every | CREATE TABLE public.other (a int)
every | DROP TABLE orders
refused | CREATE TABLE other (a int)
refused | DROP TABLE eu.bills, us.ports
refused | DROP TABLE eu.bills, orders
direct shard 1 | DROP SCHEMA eu
direct shard 1 | GRANT USAGE ON SCHEMA eu TO me
direct shard 1 | CREATE FUNCTION eu.f() RETURNS int LANGUAGE sql AS 'SELECT 1'
direct shard 1 | CREATE TYPE eu.mood AS ENUM ('a')
direct shard 1 | VACUUM eu.bills
every | CREATE ROLE someone
every | CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'
refused | CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'
refused | ALTER TABLE eu.bills SET SCHEMA us
refused | ALTER TABLE orders SET SCHEMA eu
refused | ALTER SCHEMA eu RENAME TO us
refused | DROP FUNCTION eu.f()
refused | DROP SCHEMA eu, us
refused | VACUUM eu.bills, orders
direct shard 1 | COPY eu.bills FROM STDIN
direct shard 1 | COPY eu.bills TO STDOUT (FORMAT binary)`,
  );

  check(
    'texts of several statements',
    `
direct 1 | SELECT * FROM orders WHERE user_id = 1; SELECT * FROM users WHERE id = 1
direct 1 | BEGIN; UPDATE orders SET n = 1 WHERE user_id = 1; COMMIT
direct 1 & 2 | SELECT * FROM orders WHERE user_id = 1; SELECT * FROM users WHERE id = 2
any | SELECT 1; SELECT * FROM countries
first | SELECT 1; SELECT nextval('numbers')
no | SELECT * FROM orders; SELECT 1
refused | SELECT * FROM orders WHERE user_id = 1; SELECT nextval('numbers')
refused | SELECT * FROM orders WHERE user_id = 1; DELETE FROM countries
refused | DELETE FROM countries; DELETE FROM plain
refused | SELECT * FROM orders WHERE user_id = 1; SELECT mine()`,
  );
});
