-- Statements that read. Every one must run on a standby with schema.sql.

SELECT id AS x FROM orders

SELECT amount AS x FROM orders

SELECT quantity * 2 AS x FROM orders

SELECT price - 1.5 AS x FROM orders

SELECT -id AS x FROM orders

SELECT +id AS x FROM orders

SELECT id % 3 AS x FROM orders

SELECT id ^ 2 AS x FROM orders

SELECT |/ price AS x FROM orders

SELECT @ amount AS x FROM orders

SELECT id & 7 AS x FROM orders

SELECT id | 8 AS x FROM orders

SELECT id # 3 AS x FROM orders

SELECT ~ id AS x FROM orders

SELECT id << 2 AS x FROM orders

SELECT id >> 1 AS x FROM orders

SELECT abs(amount) AS x FROM orders

SELECT round(price, 1) AS x FROM orders

SELECT ceil(price) AS x FROM orders

SELECT floor(price)::int AS x FROM orders

SELECT greatest(id, quantity, 3) AS x FROM orders

SELECT least(id, 5) AS x FROM orders

SELECT coalesce(amount, 0) AS x FROM orders

SELECT nullif(id, 3) AS x FROM orders

SELECT mod(id, 2) AS x FROM orders

SELECT power(id, 2) AS x FROM orders

SELECT sqrt(abs(amount)) AS x FROM orders

SELECT trunc(price) AS x FROM orders

SELECT div(id, 2) AS x FROM orders

SELECT width_bucket(amount, 0, 100, 5) AS x FROM orders

SELECT sign(amount) AS x FROM orders

SELECT log(10 + id) AS x FROM orders

SELECT exp(0.1) AS x FROM orders

SELECT pi() AS x FROM orders

SELECT random() AS x FROM orders

SELECT gcd(id, 6) AS x FROM orders

SELECT 0x1F + id AS x FROM orders

SELECT 1_000 + id AS x FROM orders

SELECT 0b101 + id AS x FROM orders

SELECT 0o17 + id AS x FROM orders

SELECT .5 + price AS x FROM orders

SELECT 1e3 * price AS x FROM orders

SELECT 1.e2 AS x FROM orders

SELECT (id)::bigint AS x FROM orders

SELECT cast(id as numeric(10, 2)) AS x FROM orders

SELECT id::text::int AS x FROM orders

SELECT case when id > 2 then 1 else 0 end AS x FROM orders

SELECT case id when 1 then 10 when 2 then 20 end AS x FROM orders

SELECT (select count(*) from items) AS x FROM orders

SELECT (select max(i.price) from items i where i.id = orders.id) AS x FROM orders

SELECT extract(epoch from created) AS x FROM orders

SELECT date_part('year', created) AS x FROM orders

SELECT id FROM orders WHERE id = 1

SELECT id FROM orders WHERE id <> 1

SELECT id FROM orders WHERE id != 2

SELECT id FROM orders WHERE id < 10

SELECT id FROM orders WHERE id<=10

SELECT id FROM orders WHERE id >= 1

SELECT id FROM orders WHERE id>-1

SELECT id FROM orders WHERE id BETWEEN 1 AND 5

SELECT id FROM orders WHERE id NOT BETWEEN 2 AND 3

SELECT id FROM orders WHERE id BETWEEN SYMMETRIC 5 AND 1

SELECT id FROM orders WHERE id IN (1, 2, 3)

SELECT id FROM orders WHERE id NOT IN (4, -5)

SELECT id FROM orders WHERE id = ANY (ARRAY[1, 2, 3])

SELECT id FROM orders WHERE id = ANY ('{1,2,3}'::int[])

SELECT id FROM orders WHERE id <> ALL (ARRAY[7, 8])

SELECT id FROM orders WHERE id = SOME (SELECT id FROM items)

SELECT id FROM orders WHERE id IN (SELECT order_id FROM items)

SELECT id FROM orders WHERE EXISTS (SELECT FROM items i WHERE i.order_id = orders.id)

SELECT id FROM orders WHERE NOT EXISTS (SELECT 1 FROM items WHERE false)

SELECT id FROM orders WHERE note LIKE 'a%'

SELECT id FROM orders WHERE note NOT LIKE '%\_%'

SELECT id FROM orders WHERE note ILIKE 'A%' ESCAPE '!'

SELECT id FROM orders WHERE note SIMILAR TO 'a(b|c)*'

SELECT id FROM orders WHERE note ~ '^a'

SELECT id FROM orders WHERE note ~* 'A'

SELECT id FROM orders WHERE note !~ 'x'

SELECT id FROM orders WHERE note !~~ 'x%'

SELECT id FROM orders WHERE note IS NULL

SELECT id FROM orders WHERE note IS NOT NULL

SELECT id FROM orders WHERE note ISNULL

SELECT id FROM orders WHERE note NOTNULL

SELECT id FROM orders WHERE (id > 1) IS TRUE

SELECT id FROM orders WHERE (id > 1) IS NOT FALSE

SELECT id FROM orders WHERE (id = NULL) IS UNKNOWN

SELECT id FROM orders WHERE id IS DISTINCT FROM 3

SELECT id FROM orders WHERE id IS NOT DISTINCT FROM 3

SELECT id FROM orders WHERE (id, quantity) = (1, 2)

SELECT id FROM orders WHERE (id, quantity) < (3, 4)

SELECT id FROM orders WHERE (created, created) OVERLAPS (now(), interval '1 day')

SELECT id FROM orders WHERE created > now() - interval '1 day'

SELECT id FROM orders WHERE created AT TIME ZONE 'UTC' < now()

SELECT id FROM orders WHERE created::date = current_date

SELECT id FROM orders WHERE NOT (id = 1 OR id = 2) AND quantity > 0

SELECT id FROM orders WHERE note = 'it''s'

SELECT id FROM orders WHERE note = E'a\nb'

SELECT id FROM orders WHERE note = $$dollar$$

SELECT id FROM orders WHERE note = $tag$ it's $x$ $tag$

SELECT id FROM orders WHERE note = U&'d\0061t\+000061'

SELECT id FROM orders WHERE note = U&'d!0061' UESCAPE '!'

SELECT id FROM orders WHERE note = N'national'

SELECT id FROM orders WHERE note = 'two'
 'lines'

SELECT id FROM orders WHERE note = 'a' || 'b' || id

SELECT id FROM orders WHERE flags = B'101'::bit(3)

SELECT id FROM orders WHERE flags <> X'5'::bit(3)

SELECT id FROM orders WHERE tags @> ARRAY['a']

SELECT id FROM orders WHERE tags && '{a,b}'

SELECT id FROM orders WHERE tags[1] = 'a'

SELECT id FROM orders WHERE tags[1:2] IS NOT NULL

SELECT id FROM orders WHERE array_length(tags, 1) > 1

SELECT id FROM orders WHERE data @> '{"a": 1}'

SELECT id FROM orders WHERE data ->> 'a' = '1'

SELECT id FROM orders WHERE data -> 'b' -> 0 IS NULL

SELECT id FROM orders WHERE data #>> '{a,b}' = 'x'

SELECT id FROM orders WHERE data ? 'a'

SELECT id FROM orders WHERE data ?| ARRAY['a', 'b']

SELECT id FROM orders WHERE data ?& '{a}'

SELECT id FROM orders WHERE data @? '$.a'

SELECT id FROM orders WHERE data @@ '$.a > 1'

SELECT id FROM orders WHERE jsonb_path_exists(data, '$.a[*] ? (@ > 1)')

SELECT id FROM orders WHERE period @> now()

SELECT id FROM orders WHERE lower(period) < now()

SELECT id FROM orders WHERE xmax::text = '0'

SELECT id FROM orders WHERE ctid IS NOT NULL

SELECT id FROM orders WHERE tableoid::regclass = 'orders'::regclass

SELECT id FROM orders WHERE orders IS NOT NULL

SELECT id FROM orders WHERE orders.* IS NOT NULL

select count(*) from public.orders as "Orders"
  where id = 1

select count(*) from public.orders as "Orders"
  where id != 2

select count(*) from public.orders as "Orders"
  where id<=10

select count(*) from public.orders as "Orders"
  where id>-1

select count(*) from public.orders as "Orders"
  where id NOT BETWEEN 2 AND 3

select count(*) from public.orders as "Orders"
  where id IN (1, 2, 3)

select count(*) from public.orders as "Orders"
  where id = ANY (ARRAY[1, 2, 3])

select count(*) from public.orders as "Orders"
  where id <> ALL (ARRAY[7, 8])

select count(*) from public.orders as "Orders"
  where id IN (SELECT order_id FROM items)

select count(*) from public.orders as "Orders"
  where NOT EXISTS (SELECT 1 FROM items WHERE false)

select count(*) from public.orders as "Orders"
  where note NOT LIKE '%\_%'

select count(*) from public.orders as "Orders"
  where note SIMILAR TO 'a(b|c)*'

select count(*) from public.orders as "Orders"
  where note ~* 'A'

select count(*) from public.orders as "Orders"
  where note !~~ 'x%'

select count(*) from public.orders as "Orders"
  where note IS NOT NULL

select count(*) from public.orders as "Orders"
  where note NOTNULL

select count(*) from public.orders as "Orders"
  where (id > 1) IS NOT FALSE

select count(*) from public.orders as "Orders"
  where id IS DISTINCT FROM 3

select count(*) from public.orders as "Orders"
  where (id, quantity) = (1, 2)

select count(*) from public.orders as "Orders"
  where (created, created) OVERLAPS (now(), interval '1 day')

select count(*) from public.orders as "Orders"
  where created AT TIME ZONE 'UTC' < now()

select count(*) from public.orders as "Orders"
  where NOT (id = 1 OR id = 2) AND quantity > 0

select count(*) from public.orders as "Orders"
  where note = E'a\nb'

select count(*) from public.orders as "Orders"
  where note = $tag$ it's $x$ $tag$

select count(*) from public.orders as "Orders"
  where note = U&'d!0061' UESCAPE '!'

select count(*) from public.orders as "Orders"
  where note = 'two'
 'lines'

select count(*) from public.orders as "Orders"
  where flags = B'101'::bit(3)

select count(*) from public.orders as "Orders"
  where tags @> ARRAY['a']

select count(*) from public.orders as "Orders"
  where tags[1] = 'a'

select count(*) from public.orders as "Orders"
  where array_length(tags, 1) > 1

select count(*) from public.orders as "Orders"
  where data ->> 'a' = '1'

select count(*) from public.orders as "Orders"
  where data #>> '{a,b}' = 'x'

select count(*) from public.orders as "Orders"
  where data ?| ARRAY['a', 'b']

select count(*) from public.orders as "Orders"
  where data @? '$.a'

select count(*) from public.orders as "Orders"
  where jsonb_path_exists(data, '$.a[*] ? (@ > 1)')

select count(*) from public.orders as "Orders"
  where lower(period) < now()

select count(*) from public.orders as "Orders"
  where ctid IS NOT NULL

select count(*) from public.orders as "Orders"
  where "Orders" IS NOT NULL

SELECT id, note FROM orders ORDER BY id

/* tail */ SELECT o.id, o.note -- why
FROM orders o ORDER BY o.id

SELECT id, note FROM orders ORDER BY id DESC NULLS LAST, note

/* tail */ SELECT o.id, o.note -- why
FROM orders o ORDER BY o.id DESC NULLS LAST, note

SELECT id, note FROM orders ORDER BY 1 USING <

/* tail */ SELECT o.id, o.note -- why
FROM orders o ORDER BY 1 USING <

SELECT id, note FROM orders LIMIT 5

/* tail */ SELECT o.id, o.note -- why
FROM orders o LIMIT 5

SELECT id, note FROM orders LIMIT ALL

/* tail */ SELECT o.id, o.note -- why
FROM orders o LIMIT ALL

SELECT id, note FROM orders LIMIT 1 + 1 OFFSET 2

/* tail */ SELECT o.id, o.note -- why
FROM orders o LIMIT 1 + 1 OFFSET 2

SELECT id, note FROM orders OFFSET 1 ROW FETCH FIRST 2 ROWS ONLY

/* tail */ SELECT o.id, o.note -- why
FROM orders o OFFSET 1 ROW FETCH FIRST 2 ROWS ONLY

SELECT id, note FROM orders ORDER BY id FETCH NEXT ROW WITH TIES

/* tail */ SELECT o.id, o.note -- why
FROM orders o ORDER BY o.id FETCH NEXT ROW WITH TIES

SELECT id, note FROM orders ORDER BY random()

/* tail */ SELECT o.id, o.note -- why
FROM orders o ORDER BY random()

SELECT id, note FROM orders ORDER BY note COLLATE "C"

/* tail */ SELECT o.id, o.note -- why
FROM orders o ORDER BY note COLLATE "C"

SELECT id, note FROM orders GROUP BY id, note

/* tail */ SELECT o.id, o.note -- why
FROM orders o GROUP BY o.id, note

SELECT id, note FROM orders LIMIT (SELECT 3)

/* tail */ SELECT o.id, o.note -- why
FROM orders o LIMIT (SELECT 3)

SELECT count(*) FROM orders o JOIN items i ON i.order_id = o.id

SELECT o.id FROM orders o JOIN items i ON i.order_id = o.id WHERE o.id < 100

SELECT i.* FROM orders o JOIN items i ON i.order_id = o.id

SELECT count(*) FROM orders o LEFT JOIN items i ON i.order_id = o.id AND i.price > 1

SELECT o.id FROM orders o LEFT JOIN items i ON i.order_id = o.id AND i.price > 1 WHERE o.id < 100

SELECT i.* FROM orders o LEFT JOIN items i ON i.order_id = o.id AND i.price > 1

SELECT count(*) FROM orders o RIGHT OUTER JOIN items i ON true

SELECT o.id FROM orders o RIGHT OUTER JOIN items i ON true WHERE o.id < 100

SELECT i.* FROM orders o RIGHT OUTER JOIN items i ON true

SELECT count(*) FROM orders o FULL JOIN items i ON i.order_id = o.id

SELECT o.id FROM orders o FULL JOIN items i ON i.order_id = o.id WHERE o.id < 100

SELECT i.* FROM orders o FULL JOIN items i ON i.order_id = o.id

SELECT count(*) FROM orders o CROSS JOIN items i

SELECT o.id FROM orders o CROSS JOIN items i WHERE o.id < 100

SELECT i.* FROM orders o CROSS JOIN items i

SELECT count(*) FROM orders o INNER JOIN items i USING (id)

SELECT o.id FROM orders o INNER JOIN items i USING (id) WHERE o.id < 100

SELECT i.* FROM orders o INNER JOIN items i USING (id)

SELECT count(*) FROM orders o NATURAL JOIN items i

SELECT o.id FROM orders o NATURAL JOIN items i WHERE o.id < 100

SELECT i.* FROM orders o NATURAL JOIN items i

SELECT count(*) FROM orders o NATURAL LEFT JOIN items i

SELECT o.id FROM orders o NATURAL LEFT JOIN items i WHERE o.id < 100

SELECT i.* FROM orders o NATURAL LEFT JOIN items i

SELECT count(*) FROM orders o JOIN LATERAL (SELECT * FROM items x WHERE x.order_id = o.id) i ON true

SELECT o.id FROM orders o JOIN LATERAL (SELECT * FROM items x WHERE x.order_id = o.id) i ON true WHERE o.id < 100

SELECT i.* FROM orders o JOIN LATERAL (SELECT * FROM items x WHERE x.order_id = o.id) i ON true

SELECT count(*) FROM orders o , items i

SELECT o.id FROM orders o , items i WHERE o.id < 100

SELECT i.* FROM orders o , items i

SELECT count(*) FROM orders o , LATERAL (SELECT * FROM items x WHERE x.id = o.id) i

SELECT o.id FROM orders o , LATERAL (SELECT * FROM items x WHERE x.id = o.id) i WHERE o.id < 100

SELECT i.* FROM orders o , LATERAL (SELECT * FROM items x WHERE x.id = o.id) i

SELECT count(*) FROM orders o JOIN (items i JOIN users u ON u.id = i.id) ON true

SELECT o.id FROM orders o JOIN (items i JOIN users u ON u.id = i.id) ON true WHERE o.id < 100

SELECT i.* FROM orders o JOIN (items i JOIN users u ON u.id = i.id) ON true

SELECT count(*) FROM orders o JOIN items i USING (id) AS j

SELECT o.id FROM orders o JOIN items i USING (id) AS j WHERE o.id < 100

SELECT i.* FROM orders o JOIN items i USING (id) AS j

SELECT count(*) FROM orders o , unnest(o.tags) WITH ORDINALITY AS i(tag, n)

SELECT o.id FROM orders o , unnest(o.tags) WITH ORDINALITY AS i(tag, n) WHERE o.id < 100

SELECT i.* FROM orders o , unnest(o.tags) WITH ORDINALITY AS i(tag, n)

SELECT count(*) FROM orders o , generate_series(1, 3) AS i

SELECT o.id FROM orders o , generate_series(1, 3) AS i WHERE o.id < 100

SELECT i.* FROM orders o , generate_series(1, 3) AS i

SELECT count(*) FROM orders o , jsonb_each(o.data) i

SELECT o.id FROM orders o , jsonb_each(o.data) i WHERE o.id < 100

SELECT i.* FROM orders o , jsonb_each(o.data) i

SELECT count(*) FROM orders o , ROWS FROM (generate_series(1, 2), unnest(o.tags)) AS i(a, b)

SELECT o.id FROM orders o , ROWS FROM (generate_series(1, 2), unnest(o.tags)) AS i(a, b) WHERE o.id < 100

SELECT i.* FROM orders o , ROWS FROM (generate_series(1, 2), unnest(o.tags)) AS i(a, b)

SELECT count(*) FROM orders o CROSS JOIN (VALUES (1, 'a'), (2, 'b')) AS i(n, t)

SELECT o.id FROM orders o CROSS JOIN (VALUES (1, 'a'), (2, 'b')) AS i(n, t) WHERE o.id < 100

SELECT i.* FROM orders o CROSS JOIN (VALUES (1, 'a'), (2, 'b')) AS i(n, t)

SELECT count(*) FROM orders o , jsonb_to_record(o.data) AS i(a int, b text)

SELECT o.id FROM orders o , jsonb_to_record(o.data) AS i(a int, b text) WHERE o.id < 100

SELECT i.* FROM orders o , jsonb_to_record(o.data) AS i(a int, b text)

SELECT count(*) FROM orders o , json_table(o.data, '$[*]' COLUMNS (a int PATH '$.a')) i

SELECT o.id FROM orders o , json_table(o.data, '$[*]' COLUMNS (a int PATH '$.a')) i WHERE o.id < 100

SELECT i.* FROM orders o , json_table(o.data, '$[*]' COLUMNS (a int PATH '$.a')) i

SELECT count(*) FROM orders o , xmltable('/a' PASSING '<a/>' COLUMNS x text PATH '.') i

SELECT o.id FROM orders o , xmltable('/a' PASSING '<a/>' COLUMNS x text PATH '.') i WHERE o.id < 100

SELECT i.* FROM orders o , xmltable('/a' PASSING '<a/>' COLUMNS x text PATH '.') i

SELECT count(*) FROM orders o

SELECT note, count(*) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT count(*) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT count(DISTINCT note) FROM orders o

SELECT note, count(DISTINCT note) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT count(DISTINCT note) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT sum(amount) FROM orders o

SELECT note, sum(amount) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT sum(amount) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT avg(price) FROM orders o

SELECT note, avg(price) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT avg(price) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT min(id), max(id) FROM orders o

SELECT note, min(id), max(id) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT min(id), max(id) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT array_agg(id ORDER BY id DESC) FROM orders o

SELECT note, array_agg(id ORDER BY id DESC) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT array_agg(id ORDER BY id DESC) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT string_agg(note, ', ' ORDER BY id) FROM orders o

SELECT note, string_agg(note, ', ' ORDER BY id) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT string_agg(note, ', ' ORDER BY id) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT json_agg(o) FROM orders o

SELECT note, json_agg(o) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT json_agg(o) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT jsonb_object_agg(id, note) FROM orders o

SELECT note, jsonb_object_agg(id, note) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT jsonb_object_agg(id, note) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT bool_and(id > 0) FROM orders o

SELECT note, bool_and(id > 0) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT bool_and(id > 0) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT every(id > 0) FROM orders o

SELECT note, every(id > 0) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT every(id > 0) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT count(*) FILTER (WHERE id > 1) FROM orders o

SELECT note, count(*) FILTER (WHERE id > 1) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT count(*) FILTER (WHERE id > 1) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FROM orders o

SELECT note, percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT mode() WITHIN GROUP (ORDER BY note) FROM orders o

SELECT note, mode() WITHIN GROUP (ORDER BY note) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT mode() WITHIN GROUP (ORDER BY note) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT stddev(price) FROM orders o

SELECT note, stddev(price) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT stddev(price) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT corr(price, amount) FROM orders o

SELECT note, corr(price, amount) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT corr(price, amount) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT any_value(note) FROM orders o

SELECT note, any_value(note) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT any_value(note) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT bit_or(id) FROM orders o

SELECT note, bit_or(id) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT bit_or(id) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT xmlagg(xmlelement(name n, note)) FROM orders o

SELECT note, xmlagg(xmlelement(name n, note)) FROM orders o GROUP BY note HAVING count(*) > 0 ORDER BY 1

SELECT xmlagg(xmlelement(name n, note)) FROM (SELECT * FROM orders WHERE id > 0 LIMIT 10) AS o

SELECT row_to_json(o) FROM orders o

SELECT sum(id) OVER () FROM orders o

SELECT row_number() OVER (PARTITION BY note ORDER BY id) FROM orders o

SELECT rank() OVER w FROM orders o WINDOW w AS (PARTITION BY note ORDER BY id)

SELECT lag(id, 1, 0) OVER (ORDER BY id) FROM orders o

SELECT first_value(id) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM orders o

SELECT ntile(4) OVER (ORDER BY id) FROM orders o

SELECT sum(price) OVER (ORDER BY id RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM orders o

SELECT nth_value(id, 2) OVER (ORDER BY id GROUPS 2 PRECEDING) FROM orders o

SELECT cume_dist() OVER (ORDER BY id) FROM orders o

SELECT note, quantity, count(*) FROM orders GROUP BY ROLLUP (note, quantity)

SELECT note, quantity, count(*) FROM orders GROUP BY CUBE (note, quantity)

SELECT note, quantity, count(*) FROM orders GROUP BY GROUPING SETS ((note), (quantity), ())

SELECT note, quantity, count(*) FROM orders GROUP BY DISTINCT note, ROLLUP (quantity)

SELECT note, count(*) FROM orders GROUP BY ALL note

SELECT note, quantity, count(*) FROM orders GROUP BY 1, 2

SELECT lower('A')

SELECT upper(note) FROM orders

SELECT length(note) FROM orders

SELECT char_length('ä')

SELECT substring(note from 1 for 2) FROM orders

SELECT substring('abc' similar 'a#"b#"c' escape '#')

SELECT position('a' in note) FROM orders

SELECT trim(both 'x' from note) FROM orders

SELECT trim(leading from note) FROM orders

SELECT overlay('abc' placing 'x' from 2)

SELECT replace(note, 'a', 'b') FROM orders

SELECT split_part('a,b', ',', 1)

SELECT regexp_replace(note, 'a+', 'b', 'g') FROM orders

SELECT regexp_matches('abc', 'b')

SELECT regexp_split_to_table('a b', ' ')

SELECT concat('a', 1, NULL)

SELECT concat_ws(',', 'a', 'b')

SELECT format('%s %I', 'a', 'b')

SELECT lpad('a', 3)

SELECT repeat('a', 3)

SELECT reverse('abc')

SELECT md5('a')

SELECT sha256('a')

SELECT encode('abc', 'hex')

SELECT decode('00', 'hex')

SELECT to_char(now(), 'YYYY')

SELECT to_char(1.5, '9.9')

SELECT to_date('2020', 'YYYY')

SELECT to_timestamp(0)

SELECT to_number('1', '9')

SELECT age(now())

SELECT now()

SELECT current_timestamp

SELECT current_timestamp(3)

SELECT localtime

SELECT localtimestamp(0)

SELECT current_date

SELECT current_time

SELECT clock_timestamp()

SELECT statement_timestamp()

SELECT transaction_timestamp()

SELECT timeofday()

SELECT date_trunc('day', now())

SELECT date_bin('1 day', now(), now())

SELECT make_date(2020, 1, 2)

SELECT make_interval(days => 3)

SELECT make_timestamptz(2020, 1, 1, 0, 0, 0)

SELECT justify_days(interval '40 days')

SELECT extract(dow from now())

SELECT interval '1' day

SELECT interval '1-2' year to month

SELECT interval(3) '1.123 s'

SELECT date '2020-01-01'

SELECT timestamp with time zone '2020-01-01 00:00+00'

SELECT time '10:00' + interval '1 h'

SELECT now() AT TIME ZONE 'Europe/Berlin'

SELECT now() AT LOCAL

SELECT isfinite(now())

SELECT user

SELECT current_user

SELECT session_user

SELECT current_role

SELECT system_user

SELECT current_catalog

SELECT current_schema

SELECT current_schemas(true)

SELECT current_database()

SELECT version()

SELECT pg_typeof(1)

SELECT pg_column_size('a'::text)

SELECT pg_size_pretty(1000::bigint)

SELECT pg_get_userbyid(10)

SELECT pg_get_viewdef('order_view'::regclass)

SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i

SELECT has_table_privilege('orders', 'select')

SELECT has_schema_privilege('public', 'usage')

SELECT pg_table_is_visible('orders'::regclass)

SELECT obj_description('orders'::regclass)

SELECT col_description('orders'::regclass, 1)

SELECT format_type(23, NULL)

SELECT to_regclass('orders')

SELECT to_regtype('int')

SELECT 'orders'::regclass::oid

SELECT current_setting('app.tenant', true)

SELECT current_setting('search_path')

SELECT current_setting('TimeZone')

SELECT gen_random_uuid()

SELECT uuidv4()

SELECT uuidv7()

SELECT uuid_extract_version(gen_random_uuid())

SELECT array_append(ARRAY[1], 2)

SELECT array_cat(ARRAY[1], ARRAY[2])

SELECT array_position(ARRAY['a'], 'a')

SELECT array_remove(ARRAY[1, 2], 1)

SELECT array_to_string(ARRAY[1, 2], ',')

SELECT cardinality(ARRAY[1])

SELECT unnest(ARRAY[1, 2])

SELECT string_to_array('a,b', ',')

SELECT generate_series(1, 3)

SELECT generate_series(now(), now() + interval '1 day', '1 hour')

SELECT generate_subscripts(ARRAY[1, 2], 1)

SELECT ARRAY(SELECT id FROM orders)

SELECT ARRAY[[1, 2], [3, 4]]

SELECT '{1,2}'::int[]

SELECT (ARRAY[1, 2, 3])[2]

SELECT (ARRAY[1, 2, 3])[1:2]

SELECT row(1, 'a')

SELECT row(orders.*) FROM orders

SELECT (row(1, 2)::pair).a

SELECT ('(1,2)'::pair).*

SELECT int4range(1, 5)

SELECT int4range(1, 5) * int4range(3, 8)

SELECT '[1,3)'::int4range @> 2

SELECT int4multirange(int4range(1, 2))

SELECT range_merge(int4range(1, 2), int4range(5, 6))

SELECT json_build_object('a', 1)

SELECT jsonb_build_array(1, 'a')

SELECT to_jsonb(o) FROM orders o

SELECT jsonb_set('{}', '{a}', '1')

SELECT jsonb_insert('{"a": []}', '{a,0}', '1')

SELECT jsonb_path_query('{"a": [1]}', '$.a[*]')

SELECT jsonb_pretty('{}')

SELECT jsonb_strip_nulls('{"a": null}')

SELECT '{"a": 1}'::jsonb || '{"b": 2}'

SELECT '{"a": 1}'::jsonb - 'a'

SELECT json_object('a': 1, 'b': 2)

SELECT json_array(1, 2, 3)

SELECT json_objectagg(id: note) FROM orders WHERE note IS NOT NULL

SELECT json_value('{"a": 1}', '$.a' RETURNING int)

SELECT json_query('{"a": [1]}', '$.a')

SELECT json_exists('{"a": 1}', '$.a')

SELECT json_scalar(1)

SELECT json_serialize('{}')

SELECT '{}' IS JSON OBJECT

SELECT json('{"a": 1}')

SELECT xmlelement(name a, xmlattributes(1 as b), 'c')

SELECT xmlforest(1 as a)

SELECT xmlconcat('<a/>', '<b/>')

SELECT xmlpi(name php)

SELECT xmlparse(content '<a/>')

SELECT xmlserialize(content '<a/>' as text)

SELECT xmlroot(xml '<a/>', version '1.0')

SELECT xmlexists('/a' passing '<a/>')

SELECT xpath('/a', '<a/>')

SELECT '<a/>' IS DOCUMENT

SELECT to_tsvector('simple', 'a b')

SELECT to_tsquery('simple', 'a & b')

SELECT plainto_tsquery('simple', 'a b')

SELECT ts_rank(to_tsvector('simple', 'a'), to_tsquery('simple', 'a'))

SELECT ts_headline('simple', 'a b', to_tsquery('simple', 'a'))

SELECT point(1, 2)

SELECT box '((0,0),(1,1))' && box '((0,0),(1,1))'

SELECT circle '<(0,0),1>' @> point '(0,0)'

SELECT inet '10.0.0.1' << inet '10.0.0.0/8'

SELECT host('10.0.0.1')

SELECT masklen('10.0.0.0/8')

SELECT macaddr '08:00:2b:01:02:03'

SELECT b'101' | b'011'

SELECT x'1f'

SELECT bit_length('a')

SELECT set_bit(B'101', 1, 1)

SELECT num_nulls(1, NULL)

SELECT txid_visible_in_snapshot(1, '1:2:')

SELECT pg_input_is_valid('1', 'int')

SELECT normalize('a', NFC)

SELECT 'a' IS NFC NORMALIZED

SELECT collation for ('a')

SELECT grouping(note) FROM orders GROUP BY note

SELECT coalesce(NULL, 1)

SELECT greatest(1, 2)

SELECT nullif(1, 1)

SELECT treble(2)

SELECT label_of('new')

SELECT latest()

SELECT casefold('A')

SELECT array_sort(ARRAY[2, 1])

SELECT array_reverse(ARRAY[1, 2])

SELECT crc32('a')

SELECT gamma(2)

SELECT pg_sleep(0)

SELECT erf(0.5)

select distinct lower('A') as "Result"
 from orders

WITH q AS (SELECT lower('A') AS v) SELECT v FROM q

select distinct char_length('ä') as "Result"
 from orders

WITH q AS (SELECT char_length('ä') AS v) SELECT v FROM q

select distinct position('a' in note) as "Result"
 from orders

WITH q AS (SELECT position('a' in note) AS v FROM orders) SELECT v FROM q

select distinct overlay('abc' placing 'x' from 2) as "Result"
 from orders

WITH q AS (SELECT overlay('abc' placing 'x' from 2) AS v) SELECT v FROM q

select distinct regexp_replace(note, 'a+', 'b', 'g') as "Result"
 from orders

WITH q AS (SELECT regexp_replace(note, 'a+', 'b', 'g') AS v FROM orders) SELECT v FROM q

select distinct concat('a', 1, NULL) as "Result"
 from orders

WITH q AS (SELECT concat('a', 1, NULL) AS v) SELECT v FROM q

select distinct lpad('a', 3) as "Result"
 from orders

WITH q AS (SELECT lpad('a', 3) AS v) SELECT v FROM q

select distinct md5('a') as "Result"
 from orders

WITH q AS (SELECT md5('a') AS v) SELECT v FROM q

select distinct decode('00', 'hex') as "Result"
 from orders

WITH q AS (SELECT decode('00', 'hex') AS v) SELECT v FROM q

select distinct to_date('2020', 'YYYY') as "Result"
 from orders

WITH q AS (SELECT to_date('2020', 'YYYY') AS v) SELECT v FROM q

select distinct age(now()) as "Result"
 from orders

WITH q AS (SELECT age(now()) AS v) SELECT v FROM q

select distinct current_timestamp(3) as "Result"
 from orders

WITH q AS (SELECT current_timestamp(3) AS v) SELECT v FROM q

select distinct current_date as "Result"
 from orders

WITH q AS (SELECT current_date AS v) SELECT v FROM q

select distinct statement_timestamp() as "Result"
 from orders

WITH q AS (SELECT statement_timestamp() AS v) SELECT v FROM q

select distinct date_trunc('day', now()) as "Result"
 from orders

WITH q AS (SELECT date_trunc('day', now()) AS v) SELECT v FROM q

select distinct make_interval(days => 3) as "Result"
 from orders

WITH q AS (SELECT make_interval(days => 3) AS v) SELECT v FROM q

select distinct extract(dow from now()) as "Result"
 from orders

WITH q AS (SELECT extract(dow from now()) AS v) SELECT v FROM q

select distinct interval(3) '1.123 s' as "Result"
 from orders

WITH q AS (SELECT interval(3) '1.123 s' AS v) SELECT v FROM q

select distinct time '10:00' + interval '1 h' as "Result"
 from orders

WITH q AS (SELECT time '10:00' + interval '1 h' AS v) SELECT v FROM q

select distinct isfinite(now()) as "Result"
 from orders

WITH q AS (SELECT isfinite(now()) AS v) SELECT v FROM q

select distinct session_user as "Result"
 from orders

WITH q AS (SELECT session_user AS v) SELECT v FROM q

select distinct current_catalog as "Result"
 from orders

WITH q AS (SELECT current_catalog AS v) SELECT v FROM q

select distinct current_database() as "Result"
 from orders

WITH q AS (SELECT current_database() AS v) SELECT v FROM q

select distinct pg_column_size('a'::text) as "Result"
 from orders

WITH q AS (SELECT pg_column_size('a'::text) AS v) SELECT v FROM q

select distinct pg_get_viewdef('order_view'::regclass) as "Result"
 from orders

WITH q AS (SELECT pg_get_viewdef('order_view'::regclass) AS v) SELECT v FROM q

select distinct has_schema_privilege('public', 'usage') as "Result"
 from orders

WITH q AS (SELECT has_schema_privilege('public', 'usage') AS v) SELECT v FROM q

select distinct col_description('orders'::regclass, 1) as "Result"
 from orders

WITH q AS (SELECT col_description('orders'::regclass, 1) AS v) SELECT v FROM q

select distinct to_regtype('int') as "Result"
 from orders

WITH q AS (SELECT to_regtype('int') AS v) SELECT v FROM q

select distinct current_setting('search_path') as "Result"
 from orders

WITH q AS (SELECT current_setting('search_path') AS v) SELECT v FROM q

select distinct uuidv4() as "Result"
 from orders

WITH q AS (SELECT uuidv4() AS v) SELECT v FROM q

select distinct array_append(ARRAY[1], 2) as "Result"
 from orders

WITH q AS (SELECT array_append(ARRAY[1], 2) AS v) SELECT v FROM q

select distinct array_remove(ARRAY[1, 2], 1) as "Result"
 from orders

WITH q AS (SELECT array_remove(ARRAY[1, 2], 1) AS v) SELECT v FROM q

select distinct unnest(ARRAY[1, 2]) as "Result"
 from orders

WITH q AS (SELECT unnest(ARRAY[1, 2]) AS v) SELECT v FROM q

select distinct generate_series(now(), now() + interval '1 day', '1 hour') as "Result"
 from orders

WITH q AS (SELECT generate_series(now(), now() + interval '1 day', '1 hour') AS v) SELECT v FROM q

select distinct ARRAY[[1, 2], [3, 4]] as "Result"
 from orders

WITH q AS (SELECT ARRAY[[1, 2], [3, 4]] AS v) SELECT v FROM q

select distinct (ARRAY[1, 2, 3])[1:2] as "Result"
 from orders

WITH q AS (SELECT (ARRAY[1, 2, 3])[1:2] AS v) SELECT v FROM q

select distinct (row(1, 2)::pair).a as "Result"
 from orders

WITH q AS (SELECT (row(1, 2)::pair).a AS v) SELECT v FROM q

select distinct int4range(1, 5) * int4range(3, 8) as "Result"
 from orders

WITH q AS (SELECT int4range(1, 5) * int4range(3, 8) AS v) SELECT v FROM q

select distinct range_merge(int4range(1, 2), int4range(5, 6)) as "Result"
 from orders

WITH q AS (SELECT range_merge(int4range(1, 2), int4range(5, 6)) AS v) SELECT v FROM q

select all jsonb_path_query('{"a": [1]}', '$.a[*]') as "Result"
 from orders

WITH q AS (SELECT jsonb_path_query('{"a": [1]}', '$.a[*]') AS v) SELECT v FROM q

select distinct '{"a": 1}'::jsonb || '{"b": 2}' as "Result"
 from orders

WITH q AS (SELECT '{"a": 1}'::jsonb || '{"b": 2}' AS v) SELECT v FROM q

select all json_array(1, 2, 3) as "Result"
 from orders

WITH q AS (SELECT json_array(1, 2, 3) AS v) SELECT v FROM q

select all json_query('{"a": [1]}', '$.a') as "Result"
 from orders

WITH q AS (SELECT json_query('{"a": [1]}', '$.a') AS v) SELECT v FROM q

select all json_serialize('{}') as "Result"
 from orders

WITH q AS (SELECT json_serialize('{}') AS v) SELECT v FROM q

select all xmlelement(name a, xmlattributes(1 as b), 'c') as "Result"
 from orders

WITH q AS (SELECT xmlelement(name a, xmlattributes(1 as b), 'c') AS v) SELECT v FROM q

select all xmlpi(name php) as "Result"
 from orders

WITH q AS (SELECT xmlpi(name php) AS v) SELECT v FROM q

select all xmlroot(xml '<a/>', version '1.0') as "Result"
 from orders

WITH q AS (SELECT xmlroot(xml '<a/>', version '1.0') AS v) SELECT v FROM q

select distinct '<a/>' IS DOCUMENT as "Result"
 from orders

WITH q AS (SELECT '<a/>' IS DOCUMENT AS v) SELECT v FROM q

select distinct plainto_tsquery('simple', 'a b') as "Result"
 from orders

WITH q AS (SELECT plainto_tsquery('simple', 'a b') AS v) SELECT v FROM q

select all point(1, 2) as "Result"
 from orders

WITH q AS (SELECT point(1, 2) AS v) SELECT v FROM q

select distinct inet '10.0.0.1' << inet '10.0.0.0/8' as "Result"
 from orders

WITH q AS (SELECT inet '10.0.0.1' << inet '10.0.0.0/8' AS v) SELECT v FROM q

select distinct macaddr '08:00:2b:01:02:03' as "Result"
 from orders

WITH q AS (SELECT macaddr '08:00:2b:01:02:03' AS v) SELECT v FROM q

select distinct bit_length('a') as "Result"
 from orders

WITH q AS (SELECT bit_length('a') AS v) SELECT v FROM q

select distinct txid_visible_in_snapshot(1, '1:2:') as "Result"
 from orders

WITH q AS (SELECT txid_visible_in_snapshot(1, '1:2:') AS v) SELECT v FROM q

select distinct 'a' IS NFC NORMALIZED as "Result"
 from orders

WITH q AS (SELECT 'a' IS NFC NORMALIZED AS v) SELECT v FROM q

select distinct coalesce(NULL, 1) as "Result"
 from orders

WITH q AS (SELECT coalesce(NULL, 1) AS v) SELECT v FROM q

select distinct treble(2) as "Result"
 from orders

WITH q AS (SELECT treble(2) AS v) SELECT v FROM q

select distinct casefold('A') as "Result"
 from orders

WITH q AS (SELECT casefold('A') AS v) SELECT v FROM q

select distinct crc32('a') as "Result"
 from orders

WITH q AS (SELECT crc32('a') AS v) SELECT v FROM q

select distinct erf(0.5) as "Result"
 from orders

WITH q AS (SELECT erf(0.5) AS v) SELECT v FROM q

SELECT id FROM orders UNION SELECT id FROM items

(SELECT 1 LIMIT 1) UNION (SELECT 2 ORDER BY 1) ORDER BY 1

TABLE users UNION TABLE users

VALUES (1, 2), (3, 4) UNION SELECT id, quantity FROM orders

SELECT * FROM (SELECT 1 UNION SELECT 2) AS u(x) WHERE x > 0

SELECT 1 UNION SELECT 2 UNION SELECT 3

SELECT id FROM orders UNION ALL SELECT id FROM items

(SELECT 1 LIMIT 1) UNION ALL (SELECT 2 ORDER BY 1) ORDER BY 1

TABLE users UNION ALL TABLE users

VALUES (1, 2), (3, 4) UNION ALL SELECT id, quantity FROM orders

SELECT * FROM (SELECT 1 UNION ALL SELECT 2) AS u(x) WHERE x > 0

SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3

SELECT id FROM orders INTERSECT SELECT id FROM items

(SELECT 1 LIMIT 1) INTERSECT (SELECT 2 ORDER BY 1) ORDER BY 1

TABLE users INTERSECT TABLE users

VALUES (1, 2), (3, 4) INTERSECT SELECT id, quantity FROM orders

SELECT * FROM (SELECT 1 INTERSECT SELECT 2) AS u(x) WHERE x > 0

SELECT 1 INTERSECT SELECT 2 INTERSECT SELECT 3

SELECT id FROM orders INTERSECT ALL SELECT id FROM items

(SELECT 1 LIMIT 1) INTERSECT ALL (SELECT 2 ORDER BY 1) ORDER BY 1

TABLE users INTERSECT ALL TABLE users

VALUES (1, 2), (3, 4) INTERSECT ALL SELECT id, quantity FROM orders

SELECT * FROM (SELECT 1 INTERSECT ALL SELECT 2) AS u(x) WHERE x > 0

SELECT 1 INTERSECT ALL SELECT 2 INTERSECT ALL SELECT 3

SELECT id FROM orders EXCEPT SELECT id FROM items

(SELECT 1 LIMIT 1) EXCEPT (SELECT 2 ORDER BY 1) ORDER BY 1

TABLE users EXCEPT TABLE users

VALUES (1, 2), (3, 4) EXCEPT SELECT id, quantity FROM orders

SELECT * FROM (SELECT 1 EXCEPT SELECT 2) AS u(x) WHERE x > 0

SELECT 1 EXCEPT SELECT 2 EXCEPT SELECT 3

SELECT id FROM orders EXCEPT ALL SELECT id FROM items

(SELECT 1 LIMIT 1) EXCEPT ALL (SELECT 2 ORDER BY 1) ORDER BY 1

TABLE users EXCEPT ALL TABLE users

VALUES (1, 2), (3, 4) EXCEPT ALL SELECT id, quantity FROM orders

SELECT * FROM (SELECT 1 EXCEPT ALL SELECT 2) AS u(x) WHERE x > 0

SELECT 1 EXCEPT ALL SELECT 2 EXCEPT ALL SELECT 3

SELECT id FROM orders UNION DISTINCT SELECT id FROM items

(SELECT 1 LIMIT 1) UNION DISTINCT (SELECT 2 ORDER BY 1) ORDER BY 1

TABLE users UNION DISTINCT TABLE users

VALUES (1, 2), (3, 4) UNION DISTINCT SELECT id, quantity FROM orders

SELECT * FROM (SELECT 1 UNION DISTINCT SELECT 2) AS u(x) WHERE x > 0

SELECT 1 UNION DISTINCT SELECT 2 UNION DISTINCT SELECT 3

WITH a AS (SELECT 1 AS x) SELECT * FROM a

WITH a AS MATERIALIZED (SELECT * FROM orders), b AS NOT MATERIALIZED (SELECT * FROM a) SELECT * FROM b

WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t

WITH RECURSIVE tree AS (SELECT id, boss FROM staff WHERE boss IS NULL UNION SELECT s.id, s.boss FROM staff s JOIN tree ON s.boss = tree.id) SEARCH DEPTH FIRST BY id SET seq SELECT * FROM tree

WITH RECURSIVE tree AS (SELECT id, boss FROM staff UNION ALL SELECT s.id, s.boss FROM staff s JOIN tree ON s.boss = tree.id) CYCLE id SET looped USING path SELECT id FROM tree

WITH orders AS (SELECT 5 AS id) SELECT id FROM orders

WITH a AS (WITH b AS (SELECT 1 AS x) SELECT x FROM b) SELECT (WITH c AS (SELECT 2 AS y) SELECT y FROM c), x FROM a

WITH a(x, y) AS (VALUES (1, 2)) TABLE a

SELECT

SELECT 1;

SELECT 1 ; ;

-- only a comment before
SELECT 1

/* a /* nested */ comment */ SELECT 1

SELECT/**/1

SELECT 1--x

SELECT "id", "note" FROM "public"."orders"

SELECT U&"\0069d" FROM orders

SELECT id AS "Weird "" name" FROM orders

SELECT o."id"::"int4" FROM ONLY orders AS o

SELECT * FROM orders*

SELECT orders.* FROM orders

SELECT public.orders.id FROM public.orders

SELECT (o).id FROM orders o

SELECT (SELECT o) FROM orders o

SELECT ALL id FROM orders

SELECT DISTINCT ON (note) note, id FROM orders ORDER BY note, id

TABLE orders

TABLE ONLY orders

VALUES (1), (2)

VALUES (1, 'a')

SELECT * FROM orders TABLESAMPLE SYSTEM (50)

SELECT * FROM orders TABLESAMPLE bernoulli (10) REPEATABLE (3)

SELECT * FROM order_view

SELECT * FROM totals

SELECT * FROM parted

SELECT * FROM ONLY parted

SELECT * FROM information_schema.tables

SELECT * FROM pg_class LIMIT 1

SELECT * FROM pg_catalog.pg_attribute LIMIT 1

SELECT relname FROM pg_class WHERE oid = 'orders'::regclass

SELECT * FROM pg_tables LIMIT 1

SELECT * FROM pg_stats LIMIT 1

SELECT * FROM pg_views LIMIT 1

SELECT * FROM pg_indexes LIMIT 1

SELECT * FROM pg_roles

SELECT * FROM pg_extension

SELECT count(*) FROM pg_type

SELECT 1 WHERE true AND (NOT false)

SELECT 'a' "b"

SELECT 1 AS select_

SELECT NULL::int

SELECT -1, - 1, - -1, +1

SELECT 1+-1, 2*-3, 4- -4

SELECT 1<2, 3>=2, 1<>2

SELECT '5' !~~ '3'

SELECT a.x FROM (VALUES (1)) a(x)

SELECT array_agg(x) FROM generate_series(1,3) x

SELECT 'x'::char(3), 'y'::varchar(2), 'z'::bpchar

SELECT 1::numeric(5,2), 2::decimal, 3::real, 4::double precision, 5::smallint, 6::bigint

SELECT true, false, NULL, 't'::bool

SELECT bit '101', bit varying '11', character varying 'a', national character 'b'

SELECT CAST(NULL AS timestamp(3) without time zone)

SELECT ((((1))))

SELECT count(*) FROM (SELECT 1 AS a UNION ALL SELECT 2) AS s WHERE a IN (1, 2)

SELECT x FROM json_to_recordset('[{"x":1}]') AS t(x int)

SELECT * FROM unnest(ARRAY[1,2], ARRAY['a','b']) AS t(n, s)

SELECT note COLLATE "C" < 'b' FROM orders

SELECT OPERATOR(pg_catalog.-) 5

SELECT 1 OPERATOR(pg_catalog.+) 2

SELECT (1, 2) IN ((1, 2), (3, 4))

SELECT id FROM orders WHERE (id, quantity) IN (SELECT id, quantity FROM orders)

SELECT id FROM orders WHERE id > ALL (SELECT 0)

SELECT set_masklen('10.0.0.1'::inet, 8)

SELECT '2020-01-01'::date - 1

SELECT E'\x41\u0042\''

SELECT $$$$

SELECT $a$$b$$a$

SELECT ''

SELECT 'a''b'

SELECT 'a'
'b'

SELECT 'a' -- x
 'b'

EXPLAIN SELECT * FROM orders

EXPLAIN (COSTS off) SELECT 1

EXPLAIN (ANALYZE, BUFFERS, TIMING off) SELECT count(*) FROM orders

EXPLAIN ANALYZE SELECT 1

EXPLAIN VERBOSE TABLE users

EXPLAIN (FORMAT json) SELECT 1

EXPLAIN (ANALYZE off) SELECT 1

EXPLAIN (GENERIC_PLAN) SELECT id FROM orders WHERE id = $1

EXPLAIN (ANALYZE, SERIALIZE text, WAL, MEMORY) SELECT 1

EXPLAIN DECLARE c CURSOR FOR SELECT 1

COPY orders TO STDOUT

COPY orders (id, note) TO STDOUT WITH (FORMAT csv, HEADER true)

COPY (SELECT id FROM orders ORDER BY id) TO STDOUT

COPY (VALUES (1, 'a')) TO STDOUT (FORMAT binary)

COPY (WITH q AS (SELECT 1) TABLE q) TO STDOUT CSV

COPY users TO STDOUT DELIMITER ';' NULL '-'

DECLARE c CURSOR FOR SELECT * FROM orders

DECLARE c BINARY INSENSITIVE NO SCROLL CURSOR FOR TABLE users

DECLARE "C" SCROLL CURSOR WITHOUT HOLD FOR SELECT 1

DECLARE c ASENSITIVE CURSOR FOR VALUES (1)

PREPARE p AS SELECT $1::int

PREPARE p (int, text) AS SELECT * FROM orders WHERE id = $1 AND note = $2

PREPARE p AS TABLE users

PREPARE p AS VALUES (1)

SELECT id FROM orders WHERE note IS NOT NULL ORDER BY id::text

SELECT coalesce(id::text, amount::text) FROM orders

SELECT id, created FROM orders

select id , tags from orders o

SELECT id, data FROM orders

SELECT "id", "price" FROM "orders" LIMIT 3

select id , quantity from orders o

SELECT coalesce(note::text, id::text) FROM orders

SELECT "note", "amount" FROM "orders" LIMIT 6

SELECT coalesce(note::text, created::text) FROM orders

select note , tags from orders o

SELECT note, data FROM orders

SELECT coalesce(note::text, price::text) FROM orders

SELECT "note", "quantity" FROM "orders" LIMIT 3

SELECT o.amount, o.id
FROM public.orders AS o
WHERE o.id = 19

SELECT coalesce(amount::text, note::text) FROM orders

select amount , created from orders o

SELECT max(amount::text) FROM orders GROUP BY tags LIMIT 36

SELECT o.amount, o.data
FROM public.orders AS o
WHERE o.id = 7

SELECT "amount", "price" FROM "orders" LIMIT 24

select amount , quantity from orders o

select created , id from orders o

SELECT created, note FROM orders

SELECT "created", "amount" FROM "orders" LIMIT 32

SELECT coalesce(created::text, tags::text) FROM orders

SELECT created FROM orders WHERE data IS NOT NULL ORDER BY created::text

SELECT count(created), count(DISTINCT price) FROM orders WHERE id BETWEEN 24 AND 100

SELECT max(created::text) FROM orders GROUP BY quantity LIMIT 16

SELECT o.tags, o.id
FROM public.orders AS o
WHERE o.id = 45

SELECT "tags", "note" FROM "orders" LIMIT 6

SELECT max(tags::text) FROM orders GROUP BY amount LIMIT 34

SELECT count(tags), count(DISTINCT created) FROM orders WHERE id BETWEEN 22 AND 100

SELECT count(tags), count(DISTINCT data) FROM orders WHERE id BETWEEN 19 AND 100

select tags , price from orders o

SELECT coalesce(tags::text, quantity::text) FROM orders

SELECT data FROM orders WHERE id IS NOT NULL ORDER BY data::text

SELECT count(data), count(DISTINCT note) FROM orders WHERE id BETWEEN 27 AND 100

SELECT data, amount FROM orders

select data , created from orders o

SELECT data FROM orders WHERE tags IS NOT NULL ORDER BY data::text

SELECT data FROM orders WHERE price IS NOT NULL ORDER BY data::text

SELECT count(data), count(DISTINCT quantity) FROM orders WHERE id BETWEEN 38 AND 100

SELECT count(price), count(DISTINCT id) FROM orders WHERE id BETWEEN 5 AND 100

select price , note from orders o

SELECT count(price), count(DISTINCT amount) FROM orders WHERE id BETWEEN 45 AND 100

select price , created from orders o

SELECT max(price::text) FROM orders GROUP BY tags LIMIT 42

SELECT count(price), count(DISTINCT data) FROM orders WHERE id BETWEEN 19 AND 100

SELECT coalesce(price::text, quantity::text) FROM orders

SELECT quantity FROM orders WHERE id IS NOT NULL ORDER BY quantity::text

SELECT count(quantity), count(DISTINCT note) FROM orders WHERE id BETWEEN 23 AND 100

SELECT o.quantity, o.amount
FROM public.orders AS o
WHERE o.id = 40

select quantity , created from orders o

SELECT quantity, tags FROM orders

SELECT max(quantity::text) FROM orders GROUP BY data LIMIT 9

SELECT "quantity", "price" FROM "orders" LIMIT 26

SELECT id FROM orders WHERE (id) IS NOT NULL /* x */ AND true

SELECT id FROM orders WHERE (amount) IS NOT NULL /* x */ AND true

SELECT id FROM orders ORDER BY quantity * 2 NULLS FIRST

SELECT count(*) FROM orders GROUP BY price - 1.5

SELECT id FROM orders WHERE (-id) IS NOT NULL /* x */ AND true

SELECT id FROM orders WHERE (+id) IS NOT NULL /* x */ AND true

SELECT o.* FROM orders o JOIN items i ON i.id = (1) LIMIT 3

SELECT DISTINCT id ^ 2 FROM orders

SELECT count(*) FROM orders GROUP BY |/ price

SELECT id FROM orders WHERE (@ amount) IS NOT NULL /* x */ AND true

SELECT DISTINCT id | 8 FROM orders

SELECT id FROM orders WHERE (id # 3) IS NOT NULL /* x */ AND true

SELECT DISTINCT ~ id FROM orders

SELECT id FROM orders WHERE (id << 2) IS NOT NULL /* x */ AND true

SELECT count(*) FROM orders GROUP BY id >> 1

SELECT count(*) FROM orders GROUP BY abs(amount)

SELECT id FROM orders ORDER BY round(price, 1) NULLS FIRST

SELECT count(*) FROM orders GROUP BY ceil(price)

SELECT count(*) FROM orders GROUP BY floor(price)::int

SELECT count(*) FROM orders GROUP BY greatest(id, quantity, 3)

SELECT count(*) FROM orders GROUP BY least(id, 5)

SELECT id FROM orders ORDER BY coalesce(amount, 0) NULLS FIRST

SELECT id FROM orders WHERE (nullif(id, 3)) IS NOT NULL /* x */ AND true

SELECT count(*) FROM orders GROUP BY power(id, 2)

SELECT DISTINCT sqrt(abs(amount)) FROM orders

SELECT DISTINCT trunc(price) FROM orders

SELECT id FROM orders ORDER BY div(id, 2) NULLS FIRST

SELECT count(*) FROM orders GROUP BY width_bucket(amount, 0, 100, 5)

SELECT id FROM orders WHERE (sign(amount)) IS NOT NULL /* x */ AND true

SELECT DISTINCT exp(0.1) FROM orders

SELECT DISTINCT gcd(id, 6) FROM orders

SELECT count(*) FROM orders GROUP BY 0x1F + id

SELECT id FROM orders ORDER BY 0o17 + id NULLS FIRST

SELECT NULL::int, CAST(NULL AS int) AS "b", ARRAY[]::int[] AS c

select x::text
  from (values (null::int)) as v (x) -- typed int
 where x is null

SELECT NULL::bigint, CAST(NULL AS bigint) AS "b", ARRAY[]::bigint[] AS c

select x::text
  from (values (null::bigint)) as v (x) -- typed bigint
 where x is null

SELECT NULL::smallint, CAST(NULL AS smallint) AS "b", ARRAY[]::smallint[] AS c

select x::text
  from (values (null::smallint)) as v (x) -- typed smallint
 where x is null

SELECT NULL::text, CAST(NULL AS text) AS "b", ARRAY[]::text[] AS c

select x::text
  from (values (null::text)) as v (x) -- typed text
 where x is null

SELECT NULL::varchar(10), CAST(NULL AS varchar(10)) AS "b", ARRAY[]::varchar(10)[] AS c

select x::text
  from (values (null::varchar(10))) as v (x) -- typed varchar(10)
 where x is null

SELECT NULL::char, CAST(NULL AS char) AS "b", ARRAY[]::char[] AS c

select x::text
  from (values (null::char)) as v (x) -- typed char
 where x is null

SELECT NULL::numeric(10,2), CAST(NULL AS numeric(10,2)) AS "b", ARRAY[]::numeric(10,2)[] AS c

select x::text
  from (values (null::numeric(10,2))) as v (x) -- typed numeric(10,2)
 where x is null

SELECT NULL::boolean, CAST(NULL AS boolean) AS "b", ARRAY[]::boolean[] AS c

select x::text
  from (values (null::boolean)) as v (x) -- typed boolean
 where x is null

SELECT NULL::date, CAST(NULL AS date) AS "b", ARRAY[]::date[] AS c

select x::text
  from (values (null::date)) as v (x) -- typed date
 where x is null

SELECT NULL::time, CAST(NULL AS time) AS "b", ARRAY[]::time[] AS c

select x::text
  from (values (null::time)) as v (x) -- typed time
 where x is null

SELECT NULL::timestamp, CAST(NULL AS timestamp) AS "b", ARRAY[]::timestamp[] AS c

select x::text
  from (values (null::timestamp)) as v (x) -- typed timestamp
 where x is null

SELECT NULL::timestamptz(3), CAST(NULL AS timestamptz(3)) AS "b", ARRAY[]::timestamptz(3)[] AS c

select x::text
  from (values (null::timestamptz(3))) as v (x) -- typed timestamptz(3)
 where x is null

SELECT NULL::interval, CAST(NULL AS interval) AS "b", ARRAY[]::interval[] AS c

select x::text
  from (values (null::interval)) as v (x) -- typed interval
 where x is null

SELECT NULL::uuid, CAST(NULL AS uuid) AS "b", ARRAY[]::uuid[] AS c

select x::text
  from (values (null::uuid)) as v (x) -- typed uuid
 where x is null

SELECT NULL::json, CAST(NULL AS json) AS "b", ARRAY[]::json[] AS c

select x::text
  from (values (null::json)) as v (x) -- typed json
 where x is null

SELECT NULL::jsonb, CAST(NULL AS jsonb) AS "b", ARRAY[]::jsonb[] AS c

select x::text
  from (values (null::jsonb)) as v (x) -- typed jsonb
 where x is null

SELECT NULL::bytea, CAST(NULL AS bytea) AS "b", ARRAY[]::bytea[] AS c

select x::text
  from (values (null::bytea)) as v (x) -- typed bytea
 where x is null

SELECT NULL::inet, CAST(NULL AS inet) AS "b", ARRAY[]::inet[] AS c

select x::text
  from (values (null::inet)) as v (x) -- typed inet
 where x is null

SELECT NULL::int[]

select x::text
  from (values (null::int[])) as v (x) -- typed int[]
 where x is null

SELECT NULL::text[]

select x::text
  from (values (null::text[])) as v (x) -- typed text[]
 where x is null

SELECT NULL::point, CAST(NULL AS point) AS "b", ARRAY[]::point[] AS c

select x::text
  from (values (null::point)) as v (x) -- typed point
 where x is null

SELECT NULL::real, CAST(NULL AS real) AS "b", ARRAY[]::real[] AS c

select x::text
  from (values (null::real)) as v (x) -- typed real
 where x is null

SELECT NULL::double precision, CAST(NULL AS double precision) AS "b", ARRAY[]::double precision[] AS c

select x::text
  from (values (null::double precision)) as v (x) -- typed double precision
 where x is null

SELECT NULL::bit(3), CAST(NULL AS bit(3)) AS "b", ARRAY[]::bit(3)[] AS c

select x::text
  from (values (null::bit(3))) as v (x) -- typed bit(3)
 where x is null

SELECT NULL::xml, CAST(NULL AS xml) AS "b", ARRAY[]::xml[] AS c

select x::text
  from (values (null::xml)) as v (x) -- typed xml
 where x is null

SELECT NULL::tsvector, CAST(NULL AS tsvector) AS "b", ARRAY[]::tsvector[] AS c

select x::text
  from (values (null::tsvector)) as v (x) -- typed tsvector
 where x is null

SELECT NULL::int4range, CAST(NULL AS int4range) AS "b", ARRAY[]::int4range[] AS c

select x::text
  from (values (null::int4range)) as v (x) -- typed int4range
 where x is null

SELECT NULL::oid, CAST(NULL AS oid) AS "b", ARRAY[]::oid[] AS c

select x::text
  from (values (null::oid)) as v (x) -- typed oid
 where x is null

SELECT NULL::money, CAST(NULL AS money) AS "b", ARRAY[]::money[] AS c

select x::text
  from (values (null::money)) as v (x) -- typed money
 where x is null

SELECT NULL::mood, CAST(NULL AS mood) AS "b", ARRAY[]::mood[] AS c

select x::text
  from (values (null::mood)) as v (x) -- typed mood
 where x is null

SELECT NULL::pair, CAST(NULL AS pair) AS "b", ARRAY[]::pair[] AS c

select x::text
  from (values (null::pair)) as v (x) -- typed pair
 where x is null

SELECT NULL::name, CAST(NULL AS name) AS "b", ARRAY[]::name[] AS c

select x::text
  from (values (null::name)) as v (x) -- typed name
 where x is null

SELECT NULL::time with time zone, CAST(NULL AS time with time zone) AS "b", ARRAY[]::time with time zone[] AS c

select x::text
  from (values (null::time with time zone)) as v (x) -- typed time with time zone
 where x is null

SELECT NULL::character varying, CAST(NULL AS character varying) AS "b", ARRAY[]::character varying[] AS c

select x::text
  from (values (null::character varying)) as v (x) -- typed character varying
 where x is null

SELECT NULL::int4multirange, CAST(NULL AS int4multirange) AS "b", ARRAY[]::int4multirange[] AS c

select x::text
  from (values (null::int4multirange)) as v (x) -- typed int4multirange
 where x is null

SELECT NULL::pg_lsn, CAST(NULL AS pg_lsn) AS "b", ARRAY[]::pg_lsn[] AS c

select x::text
  from (values (null::pg_lsn)) as v (x) -- typed pg_lsn
 where x is null

SELECT NULL::macaddr8, CAST(NULL AS macaddr8) AS "b", ARRAY[]::macaddr8[] AS c

select x::text
  from (values (null::macaddr8)) as v (x) -- typed macaddr8
 where x is null

SELECT NULL::lseg, CAST(NULL AS lseg) AS "b", ARRAY[]::lseg[] AS c

select x::text
  from (values (null::lseg)) as v (x) -- typed lseg
 where x is null

SELECT NULL::regclass, CAST(NULL AS regclass) AS "b", ARRAY[]::regclass[] AS c

select x::text
  from (values (null::regclass)) as v (x) -- typed regclass
 where x is null

SELECT NULL::positive, CAST(NULL AS positive) AS "b", ARRAY[]::positive[] AS c

select x::text
  from (values (null::positive)) as v (x) -- typed positive
 where x is null
