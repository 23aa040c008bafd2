-- Statements that a standby refuses, or that only the primary may answer.

INSERT INTO users (id, name) VALUES (1, 'a')

INSERT INTO public.users AS u (id, name) VALUES (1, 'a') ON CONFLICT (id) DO NOTHING

INSERT INTO users (id, name) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.id > 0

INSERT INTO users (id, name) VALUES (1, 'a') RETURNING *

INSERT INTO users (id, name) VALUES (1, 'a') RETURNING WITH (OLD AS o, NEW AS n) n.id

WITH i AS (INSERT INTO users (id, name) VALUES (1, 'a') RETURNING id) SELECT * FROM i

EXPLAIN ANALYZE INSERT INTO users (id, name) VALUES (1, 'a')

PREPARE p AS INSERT INTO users (id, name) VALUES (1, 'a')

INSERT INTO users (id, name) VALUES (2, 'b'), (3, NULL)

INSERT INTO public.users AS u (id, name) VALUES (2, 'b'), (3, NULL) ON CONFLICT (id) DO NOTHING

INSERT INTO users (id, name) VALUES (2, 'b'), (3, NULL) ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.id > 0

INSERT INTO users (id, name) VALUES (2, 'b'), (3, NULL) RETURNING *

INSERT INTO users (id, name) VALUES (2, 'b'), (3, NULL) RETURNING WITH (OLD AS o, NEW AS n) n.id

WITH i AS (INSERT INTO users (id, name) VALUES (2, 'b'), (3, NULL) RETURNING id) SELECT * FROM i

EXPLAIN ANALYZE INSERT INTO users (id, name) VALUES (2, 'b'), (3, NULL)

PREPARE p AS INSERT INTO users (id, name) VALUES (2, 'b'), (3, NULL)

INSERT INTO users (id, name) VALUES (DEFAULT, E'x\ty')

INSERT INTO public.users AS u (id, name) VALUES (DEFAULT, E'x\ty') ON CONFLICT (id) DO NOTHING

INSERT INTO users (id, name) VALUES (DEFAULT, E'x\ty') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.id > 0

INSERT INTO users (id, name) VALUES (DEFAULT, E'x\ty') RETURNING *

INSERT INTO users (id, name) VALUES (DEFAULT, E'x\ty') RETURNING WITH (OLD AS o, NEW AS n) n.id

WITH i AS (INSERT INTO users (id, name) VALUES (DEFAULT, E'x\ty') RETURNING id) SELECT * FROM i

EXPLAIN ANALYZE INSERT INTO users (id, name) VALUES (DEFAULT, E'x\ty')

PREPARE p AS INSERT INTO users (id, name) VALUES (DEFAULT, E'x\ty')

INSERT INTO users (id, name) VALUES (nextval('numbers'), $$z$$)

INSERT INTO public.users AS u (id, name) VALUES (nextval('numbers'), $$z$$) ON CONFLICT (id) DO NOTHING

INSERT INTO users (id, name) VALUES (nextval('numbers'), $$z$$) ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.id > 0

INSERT INTO users (id, name) VALUES (nextval('numbers'), $$z$$) RETURNING *

INSERT INTO users (id, name) VALUES (nextval('numbers'), $$z$$) RETURNING WITH (OLD AS o, NEW AS n) n.id

WITH i AS (INSERT INTO users (id, name) VALUES (nextval('numbers'), $$z$$) RETURNING id) SELECT * FROM i

EXPLAIN ANALYZE INSERT INTO users (id, name) VALUES (nextval('numbers'), $$z$$)

PREPARE p AS INSERT INTO users (id, name) VALUES (nextval('numbers'), $$z$$)

INSERT INTO users (id, name) VALUES ((SELECT 7), concat('a', 'b'))

INSERT INTO public.users AS u (id, name) VALUES ((SELECT 7), concat('a', 'b')) ON CONFLICT (id) DO NOTHING

INSERT INTO users (id, name) VALUES ((SELECT 7), concat('a', 'b')) ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.id > 0

INSERT INTO users (id, name) VALUES ((SELECT 7), concat('a', 'b')) RETURNING *

INSERT INTO users (id, name) VALUES ((SELECT 7), concat('a', 'b')) RETURNING WITH (OLD AS o, NEW AS n) n.id

WITH i AS (INSERT INTO users (id, name) VALUES ((SELECT 7), concat('a', 'b')) RETURNING id) SELECT * FROM i

EXPLAIN ANALYZE INSERT INTO users (id, name) VALUES ((SELECT 7), concat('a', 'b'))

PREPARE p AS INSERT INTO users (id, name) VALUES ((SELECT 7), concat('a', 'b'))

INSERT INTO users (id, name) VALUES (-5, U&'\0061')

INSERT INTO public.users AS u (id, name) VALUES (-5, U&'\0061') ON CONFLICT (id) DO NOTHING

INSERT INTO users (id, name) VALUES (-5, U&'\0061') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.id > 0

INSERT INTO users (id, name) VALUES (-5, U&'\0061') RETURNING *

INSERT INTO users (id, name) VALUES (-5, U&'\0061') RETURNING WITH (OLD AS o, NEW AS n) n.id

WITH i AS (INSERT INTO users (id, name) VALUES (-5, U&'\0061') RETURNING id) SELECT * FROM i

EXPLAIN ANALYZE INSERT INTO users (id, name) VALUES (-5, U&'\0061')

PREPARE p AS INSERT INTO users (id, name) VALUES (-5, U&'\0061')

INSERT INTO users DEFAULT VALUES

INSERT INTO users TABLE users

INSERT INTO users (id) OVERRIDING SYSTEM VALUE SELECT 1

INSERT INTO users SELECT id, note FROM orders

INSERT INTO users (id) WITH q AS (SELECT 9) TABLE q

WITH q AS (SELECT 9 AS x) INSERT INTO users (id) SELECT x FROM q

INSERT INTO orders (tags[1], data) VALUES ('a', '{}')

INSERT INTO users ("id", "name") SELECT generate_series(100, 110), 'n' ON CONFLICT ON CONSTRAINT users_pkey DO NOTHING

DELETE FROM orders WHERE id = 1

UPDATE orders SET quantity = quantity + 1 WHERE id = 1

DELETE FROM orders WHERE id <> 1

UPDATE orders SET quantity = quantity + 1 WHERE id <> 1

DELETE FROM orders WHERE id != 2

UPDATE orders SET quantity = quantity + 1 WHERE id != 2

DELETE FROM orders WHERE id < 10

UPDATE orders SET quantity = quantity + 1 WHERE id < 10

DELETE FROM orders WHERE id<=10

UPDATE orders SET quantity = quantity + 1 WHERE id<=10

DELETE FROM orders WHERE id >= 1

UPDATE orders SET quantity = quantity + 1 WHERE id >= 1

DELETE FROM orders WHERE id>-1

UPDATE orders SET quantity = quantity + 1 WHERE id>-1

DELETE FROM orders WHERE id BETWEEN 1 AND 5

UPDATE orders SET quantity = quantity + 1 WHERE id BETWEEN 1 AND 5

DELETE FROM orders WHERE id NOT BETWEEN 2 AND 3

UPDATE orders SET quantity = quantity + 1 WHERE id NOT BETWEEN 2 AND 3

DELETE FROM orders WHERE id BETWEEN SYMMETRIC 5 AND 1

UPDATE orders SET quantity = quantity + 1 WHERE id BETWEEN SYMMETRIC 5 AND 1

DELETE FROM orders WHERE id IN (1, 2, 3)

UPDATE orders SET quantity = quantity + 1 WHERE id IN (1, 2, 3)

DELETE FROM orders WHERE id NOT IN (4, -5)

UPDATE orders SET quantity = quantity + 1 WHERE id NOT IN (4, -5)

DELETE FROM orders WHERE id = ANY (ARRAY[1, 2, 3])

UPDATE orders SET quantity = quantity + 1 WHERE id = ANY (ARRAY[1, 2, 3])

DELETE FROM orders WHERE id = ANY ('{1,2,3}'::int[])

UPDATE orders SET quantity = quantity + 1 WHERE id = ANY ('{1,2,3}'::int[])

DELETE FROM orders WHERE id <> ALL (ARRAY[7, 8])

UPDATE orders SET quantity = quantity + 1 WHERE id <> ALL (ARRAY[7, 8])

DELETE FROM orders WHERE id = SOME (SELECT id FROM items)

UPDATE orders SET quantity = quantity + 1 WHERE id = SOME (SELECT id FROM items)

DELETE FROM orders WHERE id IN (SELECT order_id FROM items)

UPDATE orders SET quantity = quantity + 1 WHERE id IN (SELECT order_id FROM items)

DELETE FROM orders WHERE EXISTS (SELECT FROM items i WHERE i.order_id = orders.id)

UPDATE orders SET quantity = quantity + 1 WHERE EXISTS (SELECT FROM items i WHERE i.order_id = orders.id)

DELETE FROM orders WHERE NOT EXISTS (SELECT 1 FROM items WHERE false)

UPDATE orders SET quantity = quantity + 1 WHERE NOT EXISTS (SELECT 1 FROM items WHERE false)

DELETE FROM orders WHERE note LIKE 'a%'

UPDATE orders SET quantity = quantity + 1 WHERE note LIKE 'a%'

DELETE FROM orders WHERE note NOT LIKE '%\_%'

UPDATE orders SET quantity = quantity + 1 WHERE note NOT LIKE '%\_%'

DELETE FROM orders WHERE note ILIKE 'A%' ESCAPE '!'

UPDATE orders SET quantity = quantity + 1 WHERE note ILIKE 'A%' ESCAPE '!'

DELETE FROM orders WHERE note SIMILAR TO 'a(b|c)*'

UPDATE orders SET quantity = quantity + 1 WHERE note SIMILAR TO 'a(b|c)*'

DELETE FROM orders WHERE note ~ '^a'

UPDATE orders SET quantity = quantity + 1 WHERE note ~ '^a'

DELETE FROM orders WHERE note ~* 'A'

UPDATE orders SET quantity = quantity + 1 WHERE note ~* 'A'

DELETE FROM orders WHERE note !~ 'x'

UPDATE orders SET quantity = quantity + 1 WHERE note !~ 'x'

DELETE FROM orders WHERE note !~~ 'x%'

UPDATE orders SET quantity = quantity + 1 WHERE note !~~ 'x%'

DELETE FROM orders WHERE note IS NULL

UPDATE orders SET quantity = quantity + 1 WHERE note IS NULL

DELETE FROM orders WHERE note IS NOT NULL

UPDATE orders SET quantity = quantity + 1 WHERE note IS NOT NULL

DELETE FROM orders WHERE note ISNULL

UPDATE orders SET quantity = quantity + 1 WHERE note ISNULL

DELETE FROM orders WHERE note NOTNULL

UPDATE orders SET quantity = quantity + 1 WHERE note NOTNULL

DELETE FROM orders WHERE (id > 1) IS TRUE

UPDATE orders SET quantity = quantity + 1 WHERE (id > 1) IS TRUE

DELETE FROM orders WHERE (id > 1) IS NOT FALSE

UPDATE orders SET quantity = quantity + 1 WHERE (id > 1) IS NOT FALSE

DELETE FROM orders WHERE (id = NULL) IS UNKNOWN

UPDATE orders SET quantity = quantity + 1 WHERE (id = NULL) IS UNKNOWN

DELETE FROM orders WHERE id IS DISTINCT FROM 3

UPDATE orders SET quantity = quantity + 1 WHERE id IS DISTINCT FROM 3

DELETE FROM orders WHERE id IS NOT DISTINCT FROM 3

UPDATE orders SET quantity = quantity + 1 WHERE id IS NOT DISTINCT FROM 3

DELETE FROM orders WHERE (id, quantity) = (1, 2)

UPDATE orders SET quantity = quantity + 1 WHERE (id, quantity) = (1, 2)

DELETE FROM orders WHERE (id, quantity) < (3, 4)

UPDATE orders SET quantity = quantity + 1 WHERE (id, quantity) < (3, 4)

DELETE FROM orders WHERE (created, created) OVERLAPS (now(), interval '1 day')

UPDATE orders SET quantity = quantity + 1 WHERE (created, created) OVERLAPS (now(), interval '1 day')

DELETE FROM orders WHERE created > now() - interval '1 day'

UPDATE orders SET quantity = quantity + 1 WHERE created > now() - interval '1 day'

DELETE FROM orders WHERE created AT TIME ZONE 'UTC' < now()

UPDATE orders SET quantity = quantity + 1 WHERE created AT TIME ZONE 'UTC' < now()

DELETE FROM orders WHERE created::date = current_date

UPDATE orders SET quantity = quantity + 1 WHERE created::date = current_date

DELETE FROM orders WHERE NOT (id = 1 OR id = 2) AND quantity > 0

UPDATE orders SET quantity = quantity + 1 WHERE NOT (id = 1 OR id = 2) AND quantity > 0

DELETE FROM orders WHERE note = 'it''s'

UPDATE orders SET quantity = quantity + 1 WHERE note = 'it''s'

DELETE FROM orders WHERE note = E'a\nb'

UPDATE orders SET quantity = quantity + 1 WHERE note = E'a\nb'

DELETE FROM orders WHERE note = $$dollar$$

UPDATE orders SET quantity = quantity + 1 WHERE note = $$dollar$$

DELETE FROM orders WHERE note = $tag$ it's $x$ $tag$

UPDATE orders SET quantity = quantity + 1 WHERE note = $tag$ it's $x$ $tag$

DELETE FROM orders WHERE note = U&'d\0061t\+000061'

UPDATE orders SET quantity = quantity + 1 WHERE note = U&'d\0061t\+000061'

DELETE FROM orders WHERE note = U&'d!0061' UESCAPE '!'

UPDATE orders SET quantity = quantity + 1 WHERE note = U&'d!0061' UESCAPE '!'

DELETE FROM orders WHERE note = N'national'

UPDATE orders SET quantity = quantity + 1 WHERE note = N'national'

DELETE FROM orders WHERE note = 'two'
 'lines'

UPDATE orders SET quantity = quantity + 1 WHERE note = 'two'
 'lines'

DELETE FROM orders WHERE note = 'a' || 'b' || id

UPDATE orders SET quantity = quantity + 1 WHERE note = 'a' || 'b' || id

DELETE FROM orders WHERE flags = B'101'::bit(3)

UPDATE orders SET quantity = quantity + 1 WHERE flags = B'101'::bit(3)

DELETE FROM orders WHERE flags <> X'5'::bit(3)

UPDATE orders SET quantity = quantity + 1 WHERE flags <> X'5'::bit(3)

DELETE FROM orders WHERE tags @> ARRAY['a']

UPDATE orders SET quantity = quantity + 1 WHERE tags @> ARRAY['a']

DELETE FROM orders WHERE tags && '{a,b}'

UPDATE orders SET quantity = quantity + 1 WHERE tags && '{a,b}'

DELETE FROM orders WHERE tags[1] = 'a'

UPDATE orders SET quantity = quantity + 1 WHERE tags[1] = 'a'

DELETE FROM orders WHERE tags[1:2] IS NOT NULL

UPDATE orders SET quantity = quantity + 1 WHERE tags[1:2] IS NOT NULL

DELETE FROM orders WHERE array_length(tags, 1) > 1

UPDATE orders SET quantity = quantity + 1 WHERE array_length(tags, 1) > 1

DELETE FROM orders WHERE data @> '{"a": 1}'

UPDATE orders SET quantity = quantity + 1 WHERE data @> '{"a": 1}'

SELECT id FROM orders WHERE id = 1 FOR UPDATE

WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING *) SELECT count(*) FROM d

SELECT id FROM orders WHERE id != 2 FOR UPDATE

WITH d AS (DELETE FROM orders WHERE id != 2 RETURNING *) SELECT count(*) FROM d

SELECT id FROM orders WHERE id<=10 FOR UPDATE

WITH d AS (DELETE FROM orders WHERE id<=10 RETURNING *) SELECT count(*) FROM d

SELECT id FROM orders WHERE id>-1 FOR UPDATE

WITH d AS (DELETE FROM orders WHERE id>-1 RETURNING *) SELECT count(*) FROM d

SELECT id FROM orders WHERE id NOT BETWEEN 2 AND 3 FOR UPDATE

WITH d AS (DELETE FROM orders WHERE id NOT BETWEEN 2 AND 3 RETURNING *) SELECT count(*) FROM d

SELECT id FROM orders WHERE id IN (1, 2, 3) FOR UPDATE

WITH d AS (DELETE FROM orders WHERE id IN (1, 2, 3) RETURNING *) SELECT count(*) FROM d

SELECT id FROM orders WHERE id = ANY (ARRAY[1, 2, 3]) FOR UPDATE

WITH d AS (DELETE FROM orders WHERE id = ANY (ARRAY[1, 2, 3]) RETURNING *) SELECT count(*) FROM d

SELECT id FROM orders WHERE id <> ALL (ARRAY[7, 8]) FOR UPDATE

WITH d AS (DELETE FROM orders WHERE id <> ALL (ARRAY[7, 8]) RETURNING *) SELECT count(*) FROM d

SELECT id FROM orders WHERE id IN (SELECT order_id FROM items) FOR UPDATE

WITH d AS (DELETE FROM orders WHERE id IN (SELECT order_id FROM items) RETURNING *) SELECT count(*) FROM d

SELECT id FROM orders WHERE NOT EXISTS (SELECT 1 FROM items WHERE false) FOR UPDATE

WITH d AS (DELETE FROM orders WHERE NOT EXISTS (SELECT 1 FROM items WHERE false) RETURNING *) SELECT count(*) FROM d

UPDATE users SET name = DEFAULT

UPDATE users SET (id, name) = (1, 'x') WHERE id = 1

UPDATE users u SET name = o.note FROM orders o WHERE o.id = u.id RETURNING u.*

UPDATE ONLY users SET name = (SELECT max(note) FROM orders)

UPDATE orders SET tags[1] = 'z', data['a'] = '1' WHERE id = 1

UPDATE users SET name = upper(name) WHERE false

DELETE FROM users

DELETE FROM users USING orders o WHERE o.id = users.id

DELETE FROM users u USING orders WHERE u.id = 1 RETURNING old.id

WITH a AS (SELECT 1), b AS (UPDATE users SET id = id RETURNING 1) SELECT * FROM b

SELECT * FROM (SELECT * FROM orders FOR SHARE) s

SELECT id FROM orders FOR NO KEY UPDATE OF orders NOWAIT

SELECT id FROM orders FOR KEY SHARE SKIP LOCKED

SELECT o.id FROM orders o, items i FOR UPDATE OF o FOR SHARE OF i

SELECT id INTO fresh FROM orders

SELECT id INTO TEMP TABLE fresh FROM orders

SELECT 1 AS a INTO UNLOGGED fresh

CREATE TABLE fresh AS SELECT 1 AS a

CREATE TABLE IF NOT EXISTS fresh (a) AS VALUES (1) WITH NO DATA

CREATE TEMP TABLE fresh AS TABLE users

EXPLAIN ANALYZE CREATE TABLE fresh AS SELECT 1

EXPLAIN (ANALYZE) DELETE FROM users

EXPLAIN (ANALYZE, COSTS off) UPDATE users SET id = id

SELECT nextval('numbers')

SELECT setval('numbers', 5)

SELECT pg_catalog.nextval('numbers'::regclass)

SELECT lastval()

SELECT currval('numbers')

SELECT id FROM orders WHERE id = (SELECT nextval('numbers'))

SELECT pg_advisory_lock(1)

SELECT pg_advisory_xact_lock(1, 2)

SELECT pg_try_advisory_lock(1)

SELECT pg_advisory_unlock_all()

SELECT txid_current()

SELECT pg_current_xact_id()

SELECT pg_export_snapshot()

SELECT pg_notify('a', 'b')

SELECT lo_create(0)

SELECT lo_from_bytea(0, 'a')

SELECT lo_unlink(1)

SELECT lo_get(1)

SELECT pg_current_wal_lsn()

SELECT pg_is_in_recovery()

SELECT pg_last_wal_replay_lsn()

SELECT pg_switch_wal()

SELECT pg_create_restore_point('a')

SELECT pg_backend_pid()

SELECT * FROM pg_stat_activity

SELECT * FROM pg_stat_replication

SELECT * FROM pg_locks

SELECT * FROM pg_catalog.pg_settings

SELECT * FROM pg_sequences

SELECT * FROM numbers

SELECT last_value FROM numbers

SELECT pg_sequence_last_value('numbers')

SELECT current_setting('transaction_read_only')

SELECT current_setting('port')

SELECT inet_server_addr()

SELECT pg_relation_size('orders')

SELECT pg_database_size('postgres')

SELECT bump()

SELECT public.bump() FROM orders

SELECT id, bump() FROM orders

SELECT * FROM bumping_view

SELECT o.bumped FROM orders o

SELECT count(*) FROM fleeting

SELECT * FROM guarded_by_bump

VALUES (bump())

EXPLAIN ANALYZE SELECT bump()

COPY (SELECT bump()) TO STDOUT

DECLARE c CURSOR FOR SELECT bump()

PREPARE p AS SELECT bump()

SELECT query_to_xml('select 1', true, true, '')

SELECT * FROM ts_stat('select to_tsvector(''a'')')

SELECT table_to_xml('orders', true, true, '')

SELECT unknown_function(1)

MERGE INTO users u USING orders o ON o.id = u.id WHEN MATCHED THEN DELETE

MERGE INTO users u USING (VALUES (1, 'a')) AS v(id, name) ON v.id = u.id WHEN MATCHED AND u.id > 0 THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name)

MERGE INTO users USING orders ON false WHEN NOT MATCHED BY SOURCE THEN DO NOTHING WHEN NOT MATCHED BY TARGET THEN INSERT DEFAULT VALUES

MERGE INTO ONLY users u USING orders o ON true WHEN MATCHED THEN DO NOTHING RETURNING merge_action(), u.*

WITH m AS (MERGE INTO users u USING orders o ON o.id = u.id WHEN MATCHED THEN DELETE RETURNING u.id) TABLE m

TRUNCATE users

TRUNCATE TABLE ONLY users, items RESTART IDENTITY CASCADE

LOCK TABLE users

LOCK users, orders IN ACCESS SHARE MODE NOWAIT

LOCK TABLE ONLY users IN ROW EXCLUSIVE MODE

COPY users FROM STDIN

COPY users (id) FROM STDIN (FORMAT csv) WHERE id > 1

COPY users FROM '/nowhere'

COPY users TO '/tmp/never'

COPY users TO PROGRAM 'true'

COPY users FROM PROGRAM 'true'

CALL work_off(1)

CALL public.work_off(a => 1)

DO $$ BEGIN PERFORM 1; END $$

DO LANGUAGE plpgsql 'BEGIN END'

NOTIFY ch

NOTIFY ch, 'payload'

LISTEN ch

LOAD 'auto_explain'

CHECKPOINT

VACUUM

VACUUM (ANALYZE, VERBOSE) users (id)

VACUUM FULL FREEZE users

ANALYZE

ANALYZE VERBOSE users (id), orders

CLUSTER

CLUSTER users USING users_pkey

REINDEX TABLE users

REINDEX (CONCURRENTLY) INDEX users_pkey

REINDEX DATABASE postgres

REFRESH MATERIALIZED VIEW totals

REFRESH MATERIALIZED VIEW CONCURRENTLY totals WITH DATA

PREPARE TRANSACTION 'x'

COMMIT PREPARED 'x'

ROLLBACK PREPARED 'x'
