// What [multi_tenant] lets pass and what it refuses, statement by statement. Every refusal names the table or the reason.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { loadSqlParser, readSqlBytes, type SqlParser, TenantKnowledge } from '@pgdog-cluster/core';

const COLUMN = 'tenant_id';
const VIEWS: [name: string, hasColumn: boolean, definition: string][] = [
  ['good_view', true, 'SELECT orders.tenant_id, orders.id FROM public.orders'],
  [
    'good_join_view',
    true,
    'SELECT o.tenant_id FROM public.orders o JOIN public.items i ON i.tenant_id = o.tenant_id',
  ],
  [
    'leaky_view',
    true,
    'SELECT o.tenant_id, i.name FROM public.orders o JOIN public.items i ON i.order_id = o.id',
  ],
  ['renamed_view', true, 'SELECT orders.id AS tenant_id FROM public.orders'],
  ['windowed_view', true, 'SELECT tenant_id, count(*) OVER () AS n FROM public.orders'],
  ['union_view', true, 'SELECT tenant_id FROM public.orders UNION ALL SELECT tenant_id FROM public.items'],
  [
    'crossed_union_view',
    true,
    'SELECT tenant_id, id FROM public.orders UNION ALL SELECT id, tenant_id FROM public.items',
  ],
  ['nested_view', true, 'SELECT good_view.tenant_id FROM public.good_view'],
  ['nested_leaky_view', true, 'SELECT tenant_id FROM public.leaky_view'],
  ['totals', false, 'SELECT count(*) AS n FROM public.orders'],
  ['names', false, 'SELECT name FROM public.countries'],
  [
    'mine',
    false,
    "SELECT id FROM public.orders WHERE tenant_id = current_setting('app.tenant'::text)::integer",
  ],
];

let parser: SqlParser;
let knowledge: TenantKnowledge;
before(async () => {
  parser = await loadSqlParser();
  knowledge = new TenantKnowledge(COLUMN);
  for (const name of ['orders', 'items', 'users', 'Odd.Name'])
    knowledge.take(['tenantTable', name, 'public', '']);
  for (const name of ['countries', 'rates']) knowledge.take(['tenantFree', name, 'public', '']);
  knowledge.take(['tenantTable', 'rates', 'private', '']);
  knowledge.take(['tenantFree', 'pg_class', 'pg_catalog', '']);
  knowledge.take(['tenantHidden', 'pg_stats', 'pg_catalog', '']);
  for (const [name, hasColumn, definition] of VIEWS) {
    knowledge.take([hasColumn ? 'tenantView' : 'tenantViewWithout', name, 'public', definition]);
  }
  knowledge.take(['tenantEnd', '', '', '']);
});

function verdict(sql: string): string | null {
  const bytes = Buffer.from(sql);
  const { tenant } = readSqlBytes(bytes, 0, bytes.length, parser, true, COLUMN);
  return tenant === undefined ? 'unread' : knowledge.refusal(tenant, parser);
}

const PASSES = `
SELECT 1
SELECT * FROM countries
SELECT * FROM pg_class, pg_catalog.pg_class p
SELECT * FROM public.rates
SELECT * FROM orders WHERE tenant_id = 1
SELECT * FROM orders WHERE 1 = tenant_id AND id = 5
SELECT * FROM orders WHERE tenant_id = $1 AND (id = 5 OR id = 6) AND NOT (id = 7)
SELECT * FROM orders WHERE (tenant_id = $1::bigint) AND total > 5
SELECT * FROM orders WHERE tenant_id = CAST($1 AS uuid)
SELECT * FROM orders WHERE tenant_id = 'a'::text::uuid
SELECT * FROM orders WHERE tenant_id = NULL
SELECT * FROM orders WHERE tenant_id IN ($1)
SELECT * FROM orders WHERE (tenant_id, id) = ($1, $2)
SELECT * FROM orders WHERE orders.tenant_id = 1
SELECT * FROM public.orders WHERE public.orders.tenant_id = 1
SELECT * FROM public.orders o WHERE o."tenant_id" = 1
SELECT * FROM orders WHERE tenant_id OPERATOR(pg_catalog.=) 1
SELECT * FROM orders WHERE tenant_id = current_setting('app.tenant')::int
SELECT * FROM "Odd.Name" WHERE tenant_id = 1
SELECT * FROM orders TABLESAMPLE bernoulli(10) WHERE tenant_id = 1
SELECT * FROM orders o JOIN items i ON i.order_id = o.id WHERE o.tenant_id = 1 AND i.tenant_id = 1
SELECT * FROM orders o JOIN items i ON i.tenant_id = o.tenant_id WHERE o.tenant_id = 1
SELECT * FROM orders o, items i, users u WHERE u.tenant_id = i.tenant_id AND i.tenant_id = o.tenant_id AND o.tenant_id = $1
SELECT * FROM orders o JOIN items i USING (tenant_id) WHERE tenant_id = 1
SELECT * FROM orders o JOIN items i USING (tenant_id, id) JOIN users u USING (tenant_id) WHERE u.tenant_id = 1
SELECT * FROM orders NATURAL JOIN items WHERE tenant_id = 1
WITH orders AS (SELECT 1 AS tenant_id) SELECT * FROM public.orders WHERE orders.tenant_id = 1
SELECT * FROM orders o LEFT JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.id WHERE o.tenant_id = 1
SELECT * FROM orders o LEFT JOIN items i ON i.tenant_id = 1 WHERE o.tenant_id = 1
SELECT * FROM orders o LEFT JOIN items i USING (tenant_id) WHERE o.tenant_id = 1
SELECT * FROM orders o RIGHT JOIN items i ON o.tenant_id = i.tenant_id WHERE i.tenant_id = 1
SELECT * FROM orders o FULL JOIN items i USING (tenant_id) WHERE tenant_id = 1
SELECT * FROM orders o FULL JOIN items i ON i.id = o.id WHERE o.tenant_id = 1 AND i.tenant_id = 1
SELECT * FROM orders o JOIN countries c ON c.id = o.country WHERE tenant_id = 1
SELECT * FROM (orders o JOIN items i ON i.tenant_id = o.tenant_id) AS j JOIN countries c ON true WHERE j.tenant_id = 1 AND false
SELECT * FROM (SELECT * FROM orders) q WHERE q.tenant_id = 1
SELECT count(*) FROM (SELECT * FROM orders WHERE tenant_id = $1 LIMIT 5) q
SELECT * FROM (SELECT id, tenant_id FROM orders) q JOIN items i ON i.tenant_id = q.tenant_id WHERE q.tenant_id = 1
SELECT * FROM (SELECT id, tenant_id FROM orders WHERE tenant_id = 1) q JOIN items i ON i.tenant_id = q.tenant_id
SELECT * FROM (SELECT tenant_id FROM orders UNION ALL SELECT tenant_id FROM items) q WHERE q.tenant_id = 1
SELECT * FROM orders o WHERE tenant_id = 1 AND EXISTS (SELECT FROM items i WHERE i.tenant_id = o.tenant_id)
SELECT (SELECT count(*) FROM items WHERE items.tenant_id = o.tenant_id) FROM orders o WHERE o.tenant_id = 1
SELECT * FROM orders o, LATERAL (SELECT * FROM items i WHERE i.tenant_id = o.tenant_id) x WHERE o.tenant_id = 1
WITH o AS (SELECT * FROM orders WHERE tenant_id = 1) SELECT * FROM o
WITH o AS (SELECT * FROM orders) SELECT * FROM o WHERE tenant_id = 1
WITH o AS (SELECT tenant_id FROM orders WHERE tenant_id = 1) SELECT * FROM o JOIN items i ON i.tenant_id = o.tenant_id
WITH a AS (SELECT * FROM orders), b AS (SELECT * FROM a) SELECT * FROM b WHERE tenant_id = 1
WITH RECURSIVE t AS (SELECT * FROM orders WHERE tenant_id = 1 UNION ALL SELECT o.* FROM orders o JOIN t ON o.parent = t.id AND o.tenant_id = 1) SELECT * FROM t
WITH gone AS (DELETE FROM orders WHERE tenant_id = 1 RETURNING *) INSERT INTO items (tenant_id, id) SELECT tenant_id, id FROM gone
SELECT * FROM orders WHERE tenant_id = 1 UNION SELECT * FROM items WHERE tenant_id = 1
SELECT * FROM generate_series(1, 3) AS n, orders WHERE tenant_id = n.n AND orders.tenant_id = 1
VALUES (1), (2)
UPDATE orders SET total = 1 WHERE tenant_id = 1
UPDATE orders o SET total = i.total FROM items i WHERE i.tenant_id = o.tenant_id AND o.tenant_id = $1
DELETE FROM orders WHERE id = 5 AND tenant_id = $2
DELETE FROM orders o USING items i WHERE o.tenant_id = 1 AND i.tenant_id = 1
INSERT INTO orders (id, tenant_id) VALUES (1, 2), (3, 4)
INSERT INTO orders (tenant_id, id) SELECT tenant_id, id FROM items WHERE tenant_id = 1
INSERT INTO countries VALUES (1)
INSERT INTO orders (tenant_id, id) VALUES (1, 2) ON CONFLICT DO NOTHING
INSERT INTO orders (tenant_id, id) VALUES (1, 2) ON CONFLICT (tenant_id, id) DO UPDATE SET total = 1
INSERT INTO orders AS o (tenant_id, id) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET total = 1 WHERE o.tenant_id = excluded.tenant_id
MERGE INTO orders o USING (VALUES (1)) v(id) ON o.tenant_id = 1 AND o.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (tenant_id, id) VALUES (1, 2)
MERGE INTO orders o USING (SELECT * FROM items WHERE tenant_id = 1) i ON o.tenant_id = i.tenant_id AND o.id = i.id WHEN MATCHED THEN UPDATE SET total = 2
COPY orders (tenant_id, id) FROM STDIN
COPY countries TO STDOUT
COPY (SELECT * FROM orders WHERE tenant_id = 1) TO STDOUT
EXPLAIN ANALYZE SELECT * FROM orders WHERE tenant_id = 1
PREPARE p AS SELECT * FROM orders WHERE tenant_id = $1
EXECUTE p (1)
DECLARE c CURSOR FOR SELECT * FROM orders WHERE tenant_id = 1
FETCH ALL FROM c
CREATE TABLE copy AS SELECT * FROM orders WHERE tenant_id = 1
SELECT * INTO other FROM orders WHERE tenant_id = 1
CREATE TABLE things (id int)
CREATE VIEW v AS SELECT * FROM orders
CREATE INDEX ON orders (id)
ALTER TABLE orders ADD COLUMN x int
DROP TABLE orders
BEGIN
SET x.y = 1
TRUNCATE countries
LOCK TABLE orders
VACUUM orders
SELECT * FROM good_view WHERE tenant_id = 1
SELECT * FROM good_join_view v WHERE v.tenant_id = 1
SELECT * FROM union_view WHERE tenant_id = 1
SELECT * FROM nested_view WHERE tenant_id = 1
SELECT * FROM names
SELECT * FROM mine
SELECT * FROM pg_temp.scratch
SELECT * FROM orders WHERE tenant_id = 1; SELECT * FROM items WHERE tenant_id = 1
`;

const REFUSED = `
SELECT * FROM orders
SELECT * FROM ONLY orders
TABLE orders
SELECT FROM unheard_of
SELECT * FROM rates
SELECT * FROM "orders"
SELECT * FROM orders -- WHERE tenant_id = 1
SELECT * FROM orders /* WHERE tenant_id = 1 */
SELECT * FROM orders WHERE 'tenant_id = 1' <> ''
SELECT * FROM orders WHERE "TENANT_ID" = 1
SELECT * FROM orders WHERE tenant_id = 1 OR true
SELECT * FROM orders WHERE tenant_id = 1 OR tenant_id = 2
SELECT * FROM orders WHERE NOT (tenant_id = 1)
SELECT * FROM orders WHERE NOT (tenant_id <> 1 AND true)
SELECT * FROM orders WHERE tenant_id <> 1
SELECT * FROM orders WHERE tenant_id > 0 AND tenant_id < 9
SELECT * FROM orders WHERE tenant_id BETWEEN 1 AND 1
SELECT * FROM orders WHERE tenant_id IS NOT NULL
SELECT * FROM orders WHERE tenant_id IN (1, 2)
SELECT * FROM orders WHERE tenant_id IN ($1, $2)
SELECT * FROM orders WHERE tenant_id NOT IN ($1)
SELECT * FROM orders WHERE tenant_id = ANY ($1)
SELECT * FROM orders WHERE tenant_id = ANY (ARRAY[1])
SELECT * FROM orders WHERE tenant_id = tenant_id
SELECT * FROM orders o WHERE o.tenant_id = o.tenant_id
SELECT * FROM orders WHERE tenant_id = id
SELECT * FROM orders WHERE tenant_id = random()
SELECT * FROM orders WHERE tenant_id = (SELECT 1)
SELECT * FROM orders WHERE tenant_id = COALESCE($1, tenant_id)
SELECT * FROM orders WHERE tenant_id = CASE WHEN true THEN tenant_id END
SELECT * FROM orders WHERE CASE WHEN tenant_id = 1 THEN true ELSE true END
SELECT * FROM orders WHERE (tenant_id = 1) IS NOT NULL
SELECT * FROM orders WHERE (tenant_id = 1) IN (true, false)
SELECT * FROM orders WHERE tenant_id::boolean = true
SELECT * FROM orders WHERE abs(tenant_id) = 1
SELECT * FROM orders WHERE tenant_id OPERATOR(public.=) 1
SELECT * FROM orders WHERE tenant_id = current_setting(name)
SELECT * FROM orders WHERE (tenant_id, id) IN ((1, 2), (3, 4))
SELECT * FROM orders WHERE (tenant_id, id) > (1, 2)
SELECT * FROM orders WHERE (orders).tenant_id = 1
SELECT * FROM orders o(tenant_id, id) WHERE o.tenant_id = 1
SELECT * FROM orders o(tenant_id, id) WHERE tenant_id = 1
SELECT * FROM (orders JOIN countries ON true) AS j(tenant_id, id) WHERE tenant_id = 1
SELECT * FROM (orders JOIN countries ON true) AS j(tenant_id, id) WHERE j.tenant_id = 1
SELECT * FROM orders HAVING tenant_id = 1
SELECT tenant_id, count(*) FROM orders GROUP BY tenant_id HAVING tenant_id = 1
SELECT * FROM orders o, items i WHERE o.tenant_id = 1
SELECT * FROM orders o, items i WHERE o.tenant_id = 1 AND i.order_id = o.id
SELECT * FROM orders o JOIN items i ON i.tenant_id = o.tenant_id
SELECT * FROM orders o JOIN items i USING (id) WHERE o.tenant_id = 1
SELECT * FROM orders o LEFT JOIN items i ON o.tenant_id = 1 AND i.tenant_id = 1
SELECT * FROM orders o LEFT JOIN items i ON o.tenant_id = 1 WHERE i.tenant_id = 1
SELECT * FROM orders o LEFT JOIN items i ON i.tenant_id = o.tenant_id WHERE i.tenant_id = 1
SELECT * FROM orders o RIGHT JOIN items i ON o.tenant_id = i.tenant_id AND i.tenant_id = 1
SELECT * FROM orders o FULL JOIN items i ON o.tenant_id = 1 AND i.tenant_id = 1
SELECT * FROM orders o FULL JOIN items i ON i.tenant_id = o.tenant_id WHERE o.tenant_id = 1
SELECT * FROM orders o FULL JOIN items i USING (tenant_id) WHERE i.tenant_id = 1
SELECT * FROM orders, (SELECT 1 AS tenant_id) orders2 WHERE orders2.tenant_id = 1
SELECT * FROM orders o, (SELECT 1 AS tenant_id) orders WHERE orders.tenant_id = 1
SELECT * FROM (SELECT *, 1 AS tenant_id FROM orders) q WHERE q.tenant_id = 1
SELECT * FROM (SELECT id AS tenant_id FROM orders) q WHERE q.tenant_id = 1
SELECT * FROM (SELECT id FROM orders) q(tenant_id) WHERE q.tenant_id = 1
SELECT * FROM (SELECT tenant_id, sum(total) OVER () FROM orders) q WHERE q.tenant_id = 1
SELECT * FROM (SELECT tenant_id, total FROM orders FOR UPDATE) q WHERE q.tenant_id = 1
SELECT * FROM (SELECT tenant_id, id FROM orders UNION ALL SELECT id, tenant_id FROM items) q WHERE q.tenant_id = 1
SELECT * FROM (SELECT * FROM orders UNION ALL SELECT * FROM items) q WHERE q.tenant_id = 1
SELECT * FROM (SELECT 1 AS tenant_id UNION ALL SELECT 2) q JOIN orders o ON o.tenant_id = q.tenant_id
SELECT * FROM (VALUES (1), (2)) q(tenant_id) JOIN orders o ON o.tenant_id = q.tenant_id
SELECT * FROM orders o JOIN generate_series(1, 9) AS g(tenant_id) ON o.tenant_id = g.tenant_id
SELECT * FROM orders WHERE EXISTS (SELECT FROM countries WHERE tenant_id = 1)
SELECT * FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.tenant_id = 1 AND o.tenant_id = 1)
SELECT * FROM orders o WHERE o.tenant_id = 1 AND EXISTS (SELECT FROM items i WHERE i.order_id = o.id)
SELECT * FROM orders o WHERE o.tenant_id = 1 AND EXISTS (SELECT FROM items i WHERE i.tenant_id = tenant_id)
SELECT (SELECT max(total) FROM orders)
SELECT ARRAY(SELECT total FROM orders)
SELECT 1 WHERE 1 IN (SELECT id FROM orders)
SELECT CASE WHEN (SELECT true FROM orders LIMIT 1) THEN 1 END
SELECT json_array(SELECT total FROM orders)
SELECT 1 ORDER BY (SELECT max(total) FROM orders)
SELECT 1 LIMIT (SELECT count(*) FROM orders)
SELECT count(*) FILTER (WHERE EXISTS (SELECT FROM orders)) FROM countries
SELECT * FROM countries, LATERAL (SELECT * FROM orders) x
SELECT * FROM orders o, LATERAL (SELECT * FROM items i WHERE i.tenant_id = o.tenant_id) x
SELECT * FROM unnest(ARRAY(SELECT total FROM orders)) t
SELECT * FROM ROWS FROM (unnest((SELECT array_agg(total) FROM orders))) t
VALUES ((SELECT max(total) FROM orders))
SELECT * FROM orders WHERE tenant_id = 1 UNION SELECT * FROM items
SELECT * FROM countries EXCEPT (SELECT * FROM orders)
WITH o AS (SELECT * FROM orders) SELECT * FROM o
WITH o AS (SELECT * FROM orders) SELECT 1
WITH o AS (SELECT * FROM orders) SELECT * FROM o a, o b WHERE a.tenant_id = 1
WITH o(tenant_id, id) AS (SELECT * FROM orders) SELECT * FROM o WHERE tenant_id = 1
WITH RECURSIVE t AS (SELECT * FROM orders UNION ALL SELECT o.* FROM orders o JOIN t ON o.parent = t.id) SELECT * FROM t WHERE tenant_id = 1
WITH RECURSIVE t AS (SELECT * FROM orders WHERE tenant_id = 1 UNION ALL SELECT o.* FROM orders o JOIN t ON o.parent = t.id) SELECT * FROM t
WITH x AS (UPDATE orders SET total = 0 RETURNING 1) SELECT 1
WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x WHERE tenant_id = 1
WITH x AS (INSERT INTO orders (id) VALUES (1) RETURNING *) SELECT * FROM x WHERE tenant_id = 1
WITH orders AS (SELECT 1 AS tenant_id) UPDATE orders SET total = 1
UPDATE orders SET total = 1
UPDATE orders SET tenant_id = 1
UPDATE orders SET total = (SELECT max(total) FROM items) WHERE tenant_id = 1
UPDATE orders o SET total = 1 FROM items i WHERE i.tenant_id = 1
UPDATE orders o SET total = 1 FROM items i WHERE o.tenant_id = 1
UPDATE orders SET total = 1 WHERE CURRENT OF c
DELETE FROM orders
DELETE FROM orders USING items WHERE items.tenant_id = 1
DELETE FROM orders WHERE tenant_id = 1 RETURNING (SELECT max(total) FROM items)
INSERT INTO orders VALUES (1, 2)
INSERT INTO orders (id) VALUES (1)
INSERT INTO orders DEFAULT VALUES
INSERT INTO orders (tenant_id, id) VALUES (1, 2), (DEFAULT, 3)
INSERT INTO orders SELECT * FROM items WHERE tenant_id = 1
INSERT INTO orders (tenant_id, id) SELECT 1, id FROM items
INSERT INTO countries SELECT name FROM orders
INSERT INTO orders (tenant_id, id) VALUES (1, (SELECT max(id) FROM items))
INSERT INTO orders (tenant_id, id) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET total = 1
INSERT INTO orders (tenant_id, id) VALUES (1, 2) ON CONFLICT ON CONSTRAINT orders_pkey DO UPDATE SET total = 1
INSERT INTO orders (tenant_id, id) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET total = 1 WHERE excluded.tenant_id = 1
INSERT INTO orders (tenant_id, id) VALUES (1, 2) ON CONFLICT (tenant_id, id) DO UPDATE SET total = (SELECT max(total) FROM items)
MERGE INTO orders o USING items i ON o.tenant_id = 1 AND i.tenant_id = 1 WHEN MATCHED THEN DELETE
MERGE INTO orders o USING (VALUES (1)) v(id) ON o.id = v.id WHEN MATCHED THEN DELETE
MERGE INTO orders o USING (VALUES (1)) v(id) ON o.tenant_id = 1 WHEN NOT MATCHED BY SOURCE THEN DELETE
MERGE INTO orders o USING (VALUES (1)) v(id) ON o.tenant_id = 1 WHEN NOT MATCHED THEN INSERT (id) VALUES (1)
MERGE INTO orders o USING (VALUES (1)) v(id) ON o.tenant_id = 1 WHEN NOT MATCHED THEN INSERT VALUES (1, 2)
COPY orders FROM STDIN
COPY orders (id) FROM STDIN
COPY orders TO STDOUT
COPY orders (tenant_id, id) TO STDOUT
COPY (SELECT * FROM orders) TO STDOUT
COPY (DELETE FROM orders RETURNING *) TO STDOUT
EXPLAIN SELECT * FROM orders
EXPLAIN ANALYZE DELETE FROM orders
PREPARE p AS SELECT * FROM orders
DECLARE c CURSOR FOR SELECT * FROM orders
CREATE TABLE copy AS SELECT * FROM orders
CREATE TABLE copy AS TABLE orders
CREATE MATERIALIZED VIEW copy AS SELECT total FROM orders
SELECT * INTO other FROM orders
TRUNCATE orders
TRUNCATE countries, orders
DO 'BEGIN PERFORM 1; END'
CALL p((SELECT max(total) FROM orders))
EXECUTE p ((SELECT max(total) FROM orders))
SELECT query_to_xml('SELECT * FROM orders', true, true, '')
SELECT pg_catalog.table_to_xml('orders', true, true, '')
SELECT * FROM ts_stat('SELECT name FROM orders')
SELECT * FROM dblink('', 'SELECT 1') AS t(x int)
SELECT * FROM pg_logical_slot_peek_changes('s', NULL, NULL)
SELECT * FROM pg_stats
SELECT * FROM pg_catalog.pg_stats WHERE tenant_id = 1
SELECT * FROM good_view
SELECT * FROM leaky_view WHERE tenant_id = 1
SELECT * FROM renamed_view WHERE tenant_id = 1
SELECT * FROM windowed_view WHERE tenant_id = 1
SELECT * FROM crossed_union_view WHERE tenant_id = 1
SELECT * FROM nested_leaky_view WHERE tenant_id = 1
SELECT * FROM totals
SELECT 1; SELECT * FROM orders
SELECT * FROM countries WHERE EXISTS (SELECT FROM orders JOIN (rates x JOIN countries y ON tenant_id = 1) ON true JOIN items USING (tenant_id))
SELEC 1
`;

const lines = (text: string) => text.trim().split('\n');

describe('multi_tenant', () => {
  for (const sql of lines(PASSES)) it(`passes: ${sql}`, () => assert.equal(verdict(sql), null));
  for (const sql of lines(REFUSED)) it(`refuses: ${sql}`, () => assert.notEqual(verdict(sql), null));

  it('says what is wrong', () => {
    for (const [sql, text] of [
      [
        'SELECT * FROM orders o, items WHERE o.tenant_id = 1',
        '"items" must be restricted to one tenant by "tenant_id"',
      ],
      ['INSERT INTO orders (id) VALUES (1)', 'INSERT into "orders" must give the column "tenant_id"'],
      ['COPY orders FROM STDIN', 'COPY into "orders" must list the column'],
      ['TRUNCATE orders', 'TRUNCATE of "orders" would remove'],
      ['SELECT * FROM totals', '"totals" shows rows of several tenants'],
      ['DO $$ $$', 'DO runs code'],
    ]) {
      assert.ok(verdict(sql)?.includes(text), `${sql}: ${verdict(sql)}`);
    }
  });

  it("takes every table for a tenant's until the catalog has been read", () => {
    const unread = new TenantKnowledge(COLUMN);
    const bytes = Buffer.from('SELECT * FROM countries');
    const { tenant } = readSqlBytes(bytes, 0, bytes.length, parser, true, COLUMN);
    assert.match(unread.refusal(tenant!, parser) ?? '', /"countries" must be restricted/);
  });
});
