// Keys through subqueries, WITH, views and partitions: what is carried in or out of them, and what is not.
import { before, describe } from 'node:test';
import { loadSqlParser, type ReadTerms } from '@pgdog-cluster/core';
import { checkVerdicts, termsOf } from './shard-fixture.js';

let terms: ReadTerms;
before(async () => {
  terms = termsOf(await loadSqlParser());
});
const check = (title: string, lines: string): void => checkVerdicts(title, lines, () => terms);

describe('shard reading of queries in queries', () => {
  check(
    'subqueries in FROM',
    `
direct 1 | SELECT * FROM (SELECT * FROM orders) o WHERE o.user_id = 1
direct 1 | SELECT * FROM (SELECT * FROM orders) o WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT user_id AS k FROM orders WHERE n > 3) o WHERE k = 1
direct 1 | SELECT * FROM (SELECT n, user_id FROM orders) o (a, b) WHERE b = 1
direct 1 | SELECT * FROM (SELECT * FROM (SELECT id, user_id FROM orders) x) y WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT user_id, sum(total) FROM orders GROUP BY user_id) o WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT user_id, sum(total) FROM orders GROUP BY 1) o WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT user_id AS k, sum(total) FROM orders GROUP BY k) o WHERE k = 1
direct 1 | SELECT * FROM (SELECT user_id, n, sum(total) FROM orders GROUP BY n, user_id HAVING count(*) > 1) o WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT DISTINCT user_id, n FROM orders) o WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT user_id, rank() OVER (PARTITION BY user_id ORDER BY n) FROM orders) o WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT user_id, rank() OVER w FROM orders WINDOW w AS (PARTITION BY n, user_id)) o WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT * FROM orders WHERE user_id = 1 LIMIT 5) o
direct 1 | SELECT * FROM users u JOIN (SELECT user_id, max(total) m FROM orders GROUP BY user_id) o ON o.user_id = u.id WHERE u.id = 1
direct 1 | SELECT * FROM users u LEFT JOIN (SELECT user_id, max(total) m FROM orders GROUP BY user_id) o ON o.user_id = u.id WHERE u.id = 1
direct 1 | SELECT * FROM users u, LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id ORDER BY total LIMIT 3) x WHERE u.id = 1
direct 1 | SELECT * FROM users u LEFT JOIN LATERAL (SELECT count(*) FROM orders o WHERE o.user_id = u.id) x ON true WHERE u.id = 1
direct 1 | SELECT * FROM (SELECT user_id FROM orders UNION ALL SELECT user_id FROM items) x WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT user_id, n FROM orders UNION SELECT user_id, x FROM items) x WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT user_id FROM orders EXCEPT SELECT user_id FROM items) x WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT user_id FROM orders INTERSECT ALL SELECT user_id FROM items) x WHERE user_id = 1
direct 1 | SELECT * FROM (SELECT o.user_id AS a, i.x FROM orders o JOIN items i USING (user_id)) x WHERE a = 1
direct 1 | SELECT user_id FROM orders WHERE user_id = 1 UNION SELECT id FROM users WHERE id = 1
merge | SELECT * FROM (SELECT user_id, n AS k FROM orders) o WHERE k = 1
merge | SELECT * FROM (SELECT n AS user_id FROM orders) o WHERE user_id = 1
merge | SELECT * FROM (SELECT user_id + 0 AS user_id FROM orders) o WHERE user_id = 1
merge | SELECT * FROM (SELECT n, user_id FROM orders) o (user_id, n) WHERE user_id = 1
no | SELECT * FROM (SELECT * FROM orders LIMIT 5) o WHERE user_id = 1
no | SELECT * FROM (SELECT * FROM orders ORDER BY n OFFSET 5) o WHERE user_id = 1
no | SELECT * FROM (SELECT DISTINCT ON (n) * FROM orders ORDER BY n) o WHERE user_id = 1
no | SELECT * FROM (SELECT user_id, rank() OVER (ORDER BY n) FROM orders) o WHERE user_id = 1
no | SELECT * FROM (SELECT user_id, rank() OVER (PARTITION BY n) FROM orders) o WHERE user_id = 1
no | SELECT * FROM (SELECT user_id, rank() OVER (PARTITION BY user_id), rank() OVER (ORDER BY n) FROM orders) o WHERE user_id = 1
no | SELECT * FROM (SELECT user_id, rank() OVER (w ORDER BY n) FROM orders WINDOW w AS (ORDER BY total)) o WHERE user_id = 1
no | SELECT * FROM (SELECT max(user_id) AS user_id FROM orders) o WHERE user_id = 1
no | SELECT * FROM (SELECT n AS user_id, count(*) FROM orders GROUP BY n) o WHERE user_id = 1
no | SELECT * FROM (SELECT user_id, count(*) FROM orders GROUP BY GROUPING SETS ((user_id), ())) o WHERE user_id = 1
no | SELECT * FROM (SELECT user_id, count(*) FROM orders GROUP BY ROLLUP (user_id)) o WHERE user_id = 1
no | SELECT * FROM (SELECT user_id FROM orders UNION ALL SELECT x FROM items) x WHERE user_id = 1
no | SELECT * FROM (SELECT user_id, n FROM orders UNION ALL SELECT x, user_id FROM items) x WHERE user_id = 1
no | SELECT * FROM (SELECT user_id FROM orders UNION ALL SELECT user_id FROM items LIMIT 4) x WHERE user_id = 1
no | SELECT * FROM (SELECT user_id FROM orders UNION ALL SELECT user_id FROM items) x
no | SELECT * FROM (SELECT user_id FROM orders FOR UPDATE) o WHERE user_id = 1
merge | SELECT user_id FROM orders WHERE user_id = 1 UNION SELECT id FROM users
no | SELECT * FROM users u, (SELECT * FROM orders o) x WHERE u.id = 1
no | SELECT * FROM users u, LATERAL (SELECT * FROM orders o WHERE o.n = u.age) x WHERE u.id = 1
no | SELECT * FROM users u JOIN (SELECT user_id FROM orders LIMIT 3) o ON o.user_id = u.id WHERE u.id = 1
no | SELECT * FROM (SELECT count(*) FROM orders) o
merge | SELECT * FROM orders o LEFT JOIN LATERAL (SELECT o.user_id AS k) x ON x.k = 1
merge | SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM (SELECT o.user_id AS k) x WHERE x.k = 1) OR n = 1
merge | SELECT *, (SELECT 1 FROM (SELECT o.user_id AS k) x WHERE x.k = 1) FROM orders o
no | SELECT * FROM orders o, LATERAL (SELECT o.user_id, count(*) FROM items i GROUP BY o.user_id) x
direct 1 | SELECT * FROM users u JOIN (SELECT user_id FROM orders WHERE user_id = 1 LIMIT 3) o ON o.user_id = u.id
no | SELECT * FROM users u LEFT JOIN (SELECT user_id FROM orders WHERE user_id = 1 LIMIT 3) o ON o.user_id = u.id`,
  );

  check(
    'names',
    `
direct 1 | SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM items WHERE user_id = o.user_id) AND o.user_id = 1
no | SELECT * FROM orders WHERE EXISTS (SELECT 1 FROM items WHERE user_id = user_id) AND user_id = 1
no | SELECT * FROM users WHERE EXISTS (SELECT 1 FROM items WHERE user_id = items.user_id) AND id = 1
no | SELECT * FROM users u WHERE u.id = 1 AND EXISTS (SELECT 1 FROM orders u WHERE u.user_id = u.id)
no | SELECT * FROM users WHERE id = 1 AND EXISTS (SELECT 1 FROM orders WHERE user_id = id)
direct 1 | SELECT * FROM users WHERE id = 1 AND EXISTS (SELECT 1 FROM orders WHERE user_id = users.id)
merge | SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM countries user_id WHERE user_id = user_id)
merge | SELECT * FROM orders o, plain p WHERE p.user_id = 1
merge | SELECT * FROM orders user_id WHERE user_id.n = 1
merge | SELECT * FROM orders, unnest(ARRAY[1]) AS u (x) WHERE u.user_id = 1
direct 1 | SELECT * FROM orders, unnest(ARRAY[1]) AS u (x) WHERE orders.user_id = 1
direct 1 | SELECT * FROM orders, generate_series(1, 3) WHERE user_id = 1
merge | SELECT * FROM orders WHERE EXISTS (SELECT 1 FROM unnest(ARRAY[1]) x WHERE user_id = 1)
merge | SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM plain WHERE user_id = 1)
no | SELECT user_id = 1 AS user_id FROM orders ORDER BY id
refused | SELECT * FROM orders o WHERE o.anything = 1
refused | SELECT (o).n FROM orders o WHERE user_id = 1
direct 1 | SELECT o FROM orders o WHERE user_id = 1
direct 1 | SELECT o.fine FROM orders o WHERE user_id = 1
direct 1 | SELECT ctid, o.tableoid FROM orders o WHERE user_id = 1`,
  );

  check(
    'queries in expressions',
    `
direct 1 | SELECT * FROM users u WHERE u.id = 1 AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)
direct 1 | SELECT (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id = 1
direct 1 | SELECT * FROM users u WHERE u.id = 1 AND u.id IN (SELECT user_id FROM orders)
direct 1 | SELECT * FROM users u WHERE u.id IN (SELECT user_id FROM orders WHERE user_id = 1)
direct 1 | SELECT * FROM users u WHERE u.id = ANY (SELECT user_id FROM orders) AND u.id = 1
direct 1 | SELECT * FROM users u WHERE (u.id, u.age) IN (SELECT user_id, n FROM orders) AND u.id = 1
direct 1 | SELECT * FROM users u WHERE u.id = (SELECT user_id FROM orders WHERE user_id = 1 LIMIT 1)
direct 1 | SELECT * FROM countries WHERE code IN (SELECT country FROM users WHERE id = 1)
direct 1 & 2 | SELECT * FROM users u WHERE u.id = 1 AND u.age = (SELECT max(n) FROM orders WHERE user_id = 2)
direct 1 | SELECT * FROM users u JOIN orders o ON o.user_id = u.id AND o.n IN (SELECT x FROM items i WHERE i.user_id = u.id) WHERE u.id = 1
direct 1 | SELECT ARRAY(SELECT n FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id = 1
direct 1 | SELECT CASE WHEN EXISTS (SELECT 1 FROM orders WHERE user_id = u.id) THEN 1 END FROM users u WHERE u.id = 1
merge | SELECT * FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)
merge | SELECT * FROM users u WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.user_id = 1)
merge | SELECT * FROM users u WHERE u.id IN (SELECT user_id FROM orders)
merge | SELECT *, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u
merge | SELECT * FROM users u WHERE u.id NOT IN (SELECT v.id FROM users v WHERE v.age > 3)
merge | SELECT * FROM users u WHERE u.id <> ALL (SELECT v.id FROM users v WHERE v.age > 3)
merge | SELECT * FROM users u WHERE (u.id, u.age) NOT IN (SELECT v.id, v.age FROM users v)
merge | SELECT u.id IN (SELECT v.id FROM users v WHERE v.age > 3) OR u.age = 1 FROM users u
direct 1 | SELECT * FROM users u WHERE u.id = 1 AND u.id NOT IN (SELECT v.id FROM users v)
no | SELECT * FROM users u WHERE u.id NOT IN (SELECT v.id FROM orders o LEFT JOIN users v ON v.id = o.user_id)
no | SELECT * FROM users u WHERE u.id NOT IN (SELECT v.age FROM users v)
no | SELECT * FROM users u WHERE u.id NOT IN (SELECT v.id FROM users v LIMIT 3)
no | SELECT * FROM users u WHERE u.id > ALL (SELECT v.id FROM users v)
no | SELECT * FROM users u WHERE u.id <> ANY (SELECT v.id FROM users v)
no | SELECT * FROM orders o WHERE o.user_id NOT IN (SELECT v.id FROM users v)
no | SELECT * FROM users u WHERE u.id = 1 AND u.id NOT IN (SELECT user_id FROM orders)
no | SELECT * FROM users u WHERE u.id = 1 AND (u.id IN (SELECT user_id FROM orders) OR u.age = 1)
no | SELECT * FROM users u WHERE u.id = 1 AND u.id IN (SELECT user_id FROM orders LIMIT 3)
no | SELECT * FROM users u WHERE u.id = 1 AND u.id IN (SELECT n FROM orders)
no | SELECT * FROM users u WHERE u.id = 1 AND u.age IN (SELECT user_id FROM orders)
no | SELECT * FROM users u WHERE u.id = 1 AND u.id > ANY (SELECT user_id FROM orders)
no | SELECT * FROM users u WHERE u.id = 1 AND u.id = ALL (SELECT user_id FROM orders)
no | SELECT u.id IN (SELECT user_id FROM orders) FROM users u WHERE u.id = 1
no | SELECT * FROM countries WHERE EXISTS (SELECT 1 FROM orders WHERE note = code)
no | SELECT * FROM countries WHERE (SELECT count(*) FROM orders) > 1
merge | SELECT (SELECT count(*) FROM orders)
no | SELECT * FROM users u WHERE u.id = 1 ORDER BY (SELECT max(n) FROM orders)
no | SELECT * FROM users u WHERE u.id = 1 LIMIT (SELECT count(*) FROM orders)
no | SELECT count(*) FROM users u WHERE u.id = 1 GROUP BY (SELECT max(n) FROM orders)
no | SELECT * FROM users u, generate_series(1, (SELECT count(*) FROM orders)) WHERE u.id = 1
no | SELECT * FROM users u WHERE u.id = 1 AND u.id = (SELECT user_id FROM orders)
refused | SELECT (SELECT max(u.age) FROM countries) FROM users u WHERE u.id = 1
no | SELECT * FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = 1)`,
  );

  check(
    'WITH',
    `
direct 1 | WITH o AS (SELECT * FROM orders) SELECT * FROM o WHERE user_id = 1
direct 1 | WITH o AS (SELECT * FROM orders WHERE user_id = 1) SELECT * FROM o
direct 1 | WITH o (a, k) AS (SELECT id, user_id FROM orders) SELECT * FROM o WHERE k = 1
direct 1 | WITH o AS MATERIALIZED (SELECT * FROM orders) SELECT * FROM o WHERE user_id = 1
direct 1 | WITH o AS (SELECT * FROM orders), p AS (SELECT * FROM o) SELECT * FROM p WHERE user_id = 1
direct 1 | WITH orders AS (SELECT * FROM orders WHERE user_id = 1) SELECT * FROM orders
direct 1 | WITH o AS (SELECT * FROM orders) SELECT * FROM o a JOIN o b ON a.user_id = b.user_id WHERE a.user_id = 1
any | WITH orders AS (SELECT 1 AS user_id) SELECT * FROM orders
direct 1 | WITH x AS (SELECT 1) SELECT * FROM orders WHERE user_id = 1
direct 1 | SELECT * FROM users u WHERE u.id = 1 AND EXISTS (WITH o AS (SELECT * FROM orders WHERE user_id = u.id) SELECT 1 FROM o)
direct 1 | WITH RECURSIVE t AS (SELECT id, user_id FROM orders WHERE user_id = 1 UNION ALL SELECT o.id, o.user_id FROM orders o JOIN t ON o.user_id = t.user_id AND o.n = t.id) SELECT * FROM t
direct 1 | WITH RECURSIVE t (i, k) AS (SELECT id, user_id FROM orders WHERE user_id = 1 UNION SELECT o.id, t.k FROM orders o, t WHERE o.user_id = t.k AND o.n = t.i) SELECT * FROM t
direct 1 | WITH RECURSIVE t AS (SELECT user_id FROM orders) SELECT * FROM t WHERE user_id = 1
direct 1 | WITH RECURSIVE t AS (SELECT id, user_id FROM orders WHERE user_id = 1 UNION ALL SELECT o.id, t.user_id FROM orders o JOIN t ON o.user_id = t.user_id) SELECT 1
any | WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t
no | WITH o AS (SELECT * FROM orders) SELECT * FROM o a, o b WHERE a.user_id = 1
no | WITH o AS (SELECT * FROM orders LIMIT 3) SELECT * FROM o WHERE user_id = 1
no | WITH o AS (SELECT * FROM orders) SELECT * FROM users WHERE id = 1
merge | WITH orders AS (SELECT 1 AS user_id) SELECT * FROM public.orders, orders WHERE orders.user_id = 1 AND false
no | WITH RECURSIVE t AS (SELECT id, user_id FROM orders WHERE user_id = 1 UNION ALL SELECT o.id, o.user_id FROM orders o JOIN t ON o.n = t.id) SELECT * FROM t
no | WITH RECURSIVE t AS (SELECT id, user_id FROM orders WHERE user_id = 1 UNION ALL SELECT o.id, o.id FROM orders o JOIN t ON o.user_id = t.user_id) SELECT * FROM t
no | WITH RECURSIVE t AS (SELECT id, user_id FROM orders UNION ALL SELECT o.id, o.user_id FROM orders o JOIN t ON o.user_id = t.user_id) SELECT * FROM t WHERE user_id = 1
no | WITH RECURSIVE t AS (SELECT id, user_id FROM orders WHERE user_id = 1 UNION ALL SELECT t.user_id, t.id FROM t) SELECT * FROM t JOIN users u ON u.id = t.user_id
no | WITH RECURSIVE t AS (SELECT 1 AS k UNION ALL SELECT o.user_id FROM orders o JOIN t ON o.user_id = t.k) SELECT * FROM t
direct 1 | WITH d AS (DELETE FROM orders WHERE user_id = 1 RETURNING *) SELECT * FROM d
direct 1 | WITH d AS (DELETE FROM orders WHERE user_id = 1 RETURNING *) INSERT INTO logs (id, user_id) SELECT id, user_id FROM d
direct 1 | WITH d AS (DELETE FROM orders WHERE user_id = 1 RETURNING user_id) SELECT * FROM d JOIN users u ON u.id = d.user_id
no | WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d WHERE user_id = 1
no | WITH d AS (DELETE FROM orders WHERE n = 1 RETURNING *) SELECT * FROM d
refused | WITH d AS (DELETE FROM countries) SELECT * FROM orders WHERE user_id = 1
refused | WITH d AS (DELETE FROM orders WHERE user_id = 1 RETURNING *) INSERT INTO countries (code) SELECT note FROM d`,
  );

  check(
    'views, partitions, children',
    `
direct 1 | SELECT * FROM order_view WHERE user_id = 1
direct 1 | SELECT * FROM joined_view WHERE uid = 1
direct 7 | SELECT * FROM one_view
direct 1 | SELECT * FROM sum_view WHERE user_id = 1
direct 1 | SELECT * FROM nested_view v JOIN users u ON u.id = v.user_id WHERE u.id = 1
any | SELECT * FROM omni_view
any | SELECT * FROM omni_totals
merge | SELECT * FROM order_view
merge | SELECT * FROM order_view WHERE total = 1
merge | SELECT * FROM order_view v (user_id, id) WHERE v.user_id = 1
no | SELECT * FROM top_view WHERE user_id = 1
refused | SELECT * FROM totals
refused | SELECT * FROM kept WHERE user_id = 1
refused | SELECT * FROM bare_view WHERE user_id = 1
refused | SELECT * FROM broken_view
refused | SELECT * FROM circle_view
refused | UPDATE order_view SET total = 1 WHERE user_id = 1
refused | INSERT INTO order_view (id, user_id) VALUES (1, 1)
direct 1 | SELECT * FROM parted WHERE user_id = 1
direct 1 | SELECT * FROM parted_1 WHERE user_id = 1
merge | SELECT * FROM parted_1 WHERE id = 1
direct 1 | SELECT * FROM parted p JOIN parted_1 q ON p.user_id = q.user_id WHERE q.user_id = 1
direct 5 | INSERT INTO parted_1 VALUES (5, 6)
direct 6 | INSERT INTO parted VALUES (5, 6)
refused | SELECT * FROM mixed_parent
direct 1 | SELECT * FROM mixed_child WHERE user_id = 1
refused | SELECT * FROM skewed
refused | SELECT * FROM nowhere
refused | SELECT * FROM nowhere, orders WHERE user_id = 1
refused | SELECT * FROM guarded WHERE user_id = 1
refused | SELECT * FROM orders TABLESAMPLE SYSTEM (10) WHERE user_id = 1`,
  );
});
