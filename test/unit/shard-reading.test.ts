// Where statements go, by rule: what is direct must be exact on its shard alone, and in doubt nothing is.
import { before, describe } from 'node:test';
import { loadSqlParser, type ReadTerms } from '@pgdog-cluster/core';
import { checkVerdicts, termsOf } from './shard-fixture.js';

let terms: ReadTerms;
before(async () => {
  terms = termsOf(await loadSqlParser());
});
const check = (title: string, lines: string): void => checkVerdicts(title, lines, () => terms);

describe('shard reading', () => {
  check(
    'a key is compared',
    `
direct 1 | SELECT * FROM orders WHERE user_id = 1
direct 1 | SELECT * FROM orders WHERE 1 = user_id AND total > 5
direct 1 | SELECT * FROM orders o WHERE o.user_id = '1'
direct 1 | SELECT * FROM public.orders WHERE public.orders.user_id = 1
direct -1 | SELECT * FROM orders WHERE user_id = -1
direct 9999999999 | SELECT * FROM orders WHERE user_id = 9999999999
direct $1 | SELECT * FROM orders WHERE user_id = $1
direct $1 | SELECT * FROM orders WHERE user_id = $1::int8
direct $1 | SELECT * FROM orders WHERE user_id = CAST($1 AS integer)
direct 42 | SELECT * FROM orders WHERE user_id = '42'::bigint
direct 42 | SELECT * FROM orders WHERE user_id = int8 '42'
direct 42 | SELECT * FROM orders WHERE user_id OPERATOR(pg_catalog.=) 42
direct 1,2,3 | SELECT * FROM orders WHERE user_id IN (1, 2, 3)
direct 1,$1 | SELECT * FROM orders WHERE user_id IN (1, $1)
direct 1,2 | SELECT * FROM orders WHERE user_id = ANY (ARRAY[1, 2])
direct 1,2 | SELECT * FROM orders WHERE user_id = ANY ('{1, 2}')
direct 1 | SELECT * FROM orders WHERE user_id = ANY ('{1,NULL}')
direct 1,2 | SELECT * FROM orders WHERE user_id = ANY ('{"1", "2" }')
direct 1,2 | SELECT * FROM orders WHERE user_id = ANY ('{1,2}'::int8[])
direct {$1} | SELECT * FROM orders WHERE user_id = ANY ($1)
direct {$1} | SELECT * FROM orders WHERE user_id = ANY ($1::bigint[])
direct {$1} | SELECT * FROM orders WHERE user_id = SOME ($1)
direct 1,2 | SELECT * FROM orders WHERE user_id = 1 OR user_id = 2
direct 1,2 | SELECT * FROM orders WHERE (user_id = 1 AND n = 2) OR (n = 3 AND user_id = 2)
direct 1,2,3 | SELECT * FROM orders WHERE user_id = 1 OR user_id IN (2, 3)
direct 1^2 | SELECT * FROM orders WHERE user_id = 1 AND user_id = 2
direct 1 | SELECT * FROM orders WHERE (user_id, n) = (1, 2)
direct 1,3 | SELECT * FROM orders WHERE (user_id, n) IN ((1, 2), (3, 4))
direct 1,2 | SELECT * FROM orders WHERE (n, user_id) IN ((7, 1), (8, 2))
direct 1 | SELECT * FROM orders WHERE user_id IS NOT DISTINCT FROM 1
direct null | SELECT * FROM orders WHERE user_id IS NULL
direct null | SELECT * FROM orders WHERE user_id IS NOT DISTINCT FROM NULL
direct null | SELECT * FROM orders WHERE user_id = NULL
direct 1 | SELECT * FROM orders WHERE user_id IN (1, NULL)
direct 1 | SELECT count(*), max(note), string_agg(note, ',') FROM orders WHERE user_id = 1 GROUP BY n HAVING avg(total) > 1
direct 1 | SELECT *, row_number() OVER (ORDER BY total) FROM orders WHERE user_id = 1 LIMIT 3
direct 1 | SELECT * FROM orders WHERE user_id = 1 FOR UPDATE
direct 1 | SELECT now(), random(), * FROM orders WHERE user_id = 1
direct 1 | SELECT * FROM ONLY orders WHERE user_id = 1`,
  );

  check(
    'a key is not compared',
    `
merge | SELECT * FROM orders WHERE user_id <> 1
merge | SELECT * FROM orders WHERE user_id > 1
merge | SELECT * FROM orders WHERE NOT (user_id = 1)
merge | SELECT * FROM orders WHERE NOT user_id <> 1
merge | SELECT * FROM orders WHERE user_id = 1 OR n = 2
merge | SELECT * FROM orders WHERE user_id = 1 OR true
merge | SELECT * FROM orders WHERE (user_id = 1) IS NOT FALSE
merge | SELECT * FROM orders WHERE CASE WHEN user_id = 1 THEN true ELSE true END
merge | SELECT * FROM orders WHERE coalesce(user_id = 1, true)
merge | SELECT * FROM orders WHERE user_id NOT IN (1, 2)
merge | SELECT * FROM orders WHERE user_id <> ALL (ARRAY[1])
merge | SELECT * FROM orders WHERE user_id = ALL (ARRAY[1])
merge | SELECT * FROM orders WHERE user_id <> ANY (ARRAY[1])
merge | SELECT * FROM orders WHERE user_id BETWEEN 1 AND 1
merge | SELECT * FROM orders WHERE user_id IS NOT NULL
merge | SELECT * FROM orders WHERE user_id IS DISTINCT FROM 1
merge | SELECT * FROM orders WHERE user_id IS NOT DISTINCT FROM $1
merge | SELECT * FROM orders WHERE user_id = 42.0
merge | SELECT * FROM orders WHERE user_id = 1e2
merge | SELECT * FROM orders WHERE user_id = 1 + 1
merge | SELECT * FROM orders WHERE user_id + 0 = 1
merge | SELECT * FROM orders WHERE user_id::text = '1'
merge | SELECT * FROM orders WHERE user_id = 1.5::int8
merge | SELECT * FROM orders WHERE user_id = $1::numeric
merge | SELECT * FROM orders WHERE user_id = $1::text::int8
merge | SELECT * FROM orders WHERE user_id = - $1
merge | SELECT * FROM orders WHERE user_id = abs(1)
merge | SELECT * FROM orders WHERE user_id = n
merge | SELECT * FROM orders WHERE id = 1
merge | SELECT * FROM orders WHERE user_id IN (1, n)
merge | SELECT * FROM orders WHERE user_id = ANY (ARRAY[]::int8[])
merge | SELECT * FROM orders WHERE user_id = ANY ('{{1},{2}}')
merge | SELECT * FROM orders WHERE (user_id, n) > (1, 2)
merge | SELECT * FROM orders WHERE (user_id, n) <> (1, 2)
merge | SELECT * FROM orders WHERE user_id = x'1'::int8
merge | SELECT * FROM orders WHERE user_id = true::int
merge | SELECT n, count(*) FILTER (WHERE user_id = 1) FROM orders GROUP BY n
no | SELECT n, count(*) FROM orders GROUP BY n HAVING max(user_id) = 1
refused | SELECT * FROM orders WHERE user_id OPERATOR(app.=) 1
merge | SELECT user_id = 1 FROM orders`,
  );

  check(
    'parameters of more than one use',
    `
direct $1 | SELECT * FROM orders o JOIN items i ON o.user_id = $1 AND i.user_id = $1
direct $1,$1 | SELECT * FROM orders WHERE user_id = $1 OR (user_id = $1 AND n = 3)
direct $1 | SELECT * FROM orders WHERE user_id = $1 AND id > $1
direct $1 | SELECT * FROM orders WHERE user_id = $1 LIMIT $1
merge | SELECT * FROM orders WHERE f = $1 AND user_id = $1
merge | SELECT * FROM orders WHERE total = $1 AND user_id = $1
merge | SELECT * FROM orders WHERE user_id = $1 AND n = $1 + 1
merge | SELECT * FROM orders WHERE user_id = $1::int8 AND f = $1
merge | SELECT * FROM orders WHERE user_id = $1 AND lower(note) = $1
direct $2 | SELECT * FROM orders WHERE f = $1 AND user_id = $2
direct $1,$2 | SELECT * FROM orders WHERE user_id IN ($1, $2)
direct $1,5 | SELECT * FROM orders WHERE user_id IN ($1, 5)
merge | SELECT * FROM orders WHERE user_id = $1 AND n IN ($1, 1.5)
merge | SELECT * FROM orders WHERE user_id = $1 AND n IN ($1, f)
any | PREPARE p (float8) AS SELECT * FROM orders WHERE user_id = $1
any | PREPARE p AS SELECT * FROM orders WHERE user_id = $1`,
  );

  check(
    'types',
    `
direct abc | SELECT * FROM names WHERE name = 'abc'
direct abc | SELECT * FROM names WHERE name = 'abc'::text
direct abc | SELECT * FROM names WHERE name = 'abc'::varchar
direct $1 | SELECT * FROM names WHERE name = $1::varchar
direct abc | SELECT * FROM tags WHERE name = 'abc'
direct abc | SELECT * FROM codes WHERE name = 'abc'
direct a,b | SELECT * FROM names WHERE name IN ('a', 'b')
merge | SELECT * FROM names WHERE name = 5::text
merge | SELECT * FROM names WHERE name = 'abc'::varchar(2)
merge | SELECT * FROM names WHERE name = 'abc'::char(2)
merge | SELECT * FROM names WHERE name = 'abc'::bpchar
merge | SELECT * FROM names WHERE name = 'abc'::name
merge | SELECT * FROM names WHERE name = 'abc' COLLATE "C"
merge | SELECT * FROM names WHERE name COLLATE "C" = 'abc'
merge | SELECT * FROM names WHERE lower(name) = 'abc'
merge | SELECT * FROM names WHERE name LIKE 'abc'
merge | SELECT * FROM names WHERE name = N'abc'
merge | SELECT * FROM names WHERE name = $1::char(3)
merge | SELECT * FROM names WHERE name = $1::varchar(3)
direct 00000000-0000-0000-0000-000000000001 | SELECT * FROM docs WHERE owner = '00000000-0000-0000-0000-000000000001'
direct $1 | SELECT * FROM docs WHERE owner = $1::uuid
merge | SELECT * FROM docs WHERE owner = $1::text
direct 2024-01-02 | SELECT * FROM days WHERE day = '2024-01-02'
direct 2024-01-02 | SELECT * FROM days WHERE day = date '2024-01-02'
merge | SELECT * FROM days WHERE day = '2024-01-02'::timestamp
merge | SELECT * FROM days WHERE day = current_date
direct 2024-01-02 00:00:00Z | SELECT * FROM moments WHERE at = '2024-01-02 00:00:00Z'
merge | SELECT * FROM moments WHERE at = '2024-01-02 00:00:00Z'::timestamptz(0)
merge | SELECT * FROM moments WHERE at = '2024-01-02 00:00:00'::timestamp
merge | SELECT * FROM moments WHERE at = now()
direct 1.50 | SELECT * FROM sums WHERE amount = 1.50
direct 2 | SELECT * FROM sums WHERE amount = 2
direct 2 | SELECT * FROM sums WHERE amount = '2'::numeric
merge | SELECT * FROM sums WHERE amount = '2'::numeric(3, 1)
merge | SELECT * FROM sums WHERE amount = '2'::float8
direct \\x01 | SELECT * FROM blobs WHERE body = '\\x01'
refused | SELECT * FROM domained WHERE user_id = 1
refused | SELECT * FROM loose WHERE name = 'a'
refused | SELECT * FROM precise WHERE amount = 1
refused | SELECT * FROM wrong_type WHERE kind = 'a'`,
  );

  check(
    'joins by the key',
    `
direct 1 | SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1
direct 1 | SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE o.user_id = 1
direct 1 | SELECT * FROM users u, orders o WHERE o.user_id = u.id AND u.id = 1
direct 1 | SELECT * FROM users u, orders o, items i WHERE o.user_id = u.id AND i.user_id = o.user_id AND i.user_id = 1
direct 1 | SELECT * FROM orders JOIN items USING (user_id) WHERE user_id = 1
direct 1 | SELECT * FROM orders JOIN items USING (user_id) WHERE items.user_id = 1
direct 1 | SELECT * FROM orders LEFT JOIN items USING (user_id) WHERE user_id = 1
direct 1 | SELECT * FROM orders o NATURAL JOIN parted p WHERE user_id = 1
direct 1 | SELECT * FROM users u JOIN (orders o JOIN items i ON i.user_id = o.user_id) ON o.user_id = u.id WHERE i.user_id = 1
direct 1 | SELECT * FROM orders AS o (a, b) WHERE b = 1
direct 1 | SELECT * FROM (users u JOIN orders o ON u.id = o.user_id) AS j (uid) WHERE j.uid = 1
direct 1 | SELECT * FROM users u JOIN orders o ON (o.user_id, o.n) = (u.id, u.age) WHERE u.id = 1
direct 1 | SELECT * FROM orders a JOIN orders b ON a.user_id = b.user_id WHERE b.user_id = 1
direct 1 & 2 | SELECT * FROM users u JOIN orders o ON u.name = o.note WHERE u.id = 1 AND o.user_id = 2
direct 1 | SELECT * FROM users u CROSS JOIN countries c WHERE u.id = 1
direct 1 | SELECT * FROM countries c LEFT JOIN users u ON u.country = c.code AND u.id = 1
direct a | SELECT * FROM names n JOIN tags t ON n.x = t.x WHERE n.name = 'a' AND t.name = 'a'
direct a | SELECT * FROM names n JOIN codes c ON n.name = c.name WHERE c.name = 'a'
merge | SELECT * FROM users u JOIN orders o ON o.user_id = u.id
merge | SELECT * FROM orders JOIN items USING (user_id)
merge | SELECT * FROM users u JOIN orders o ON o.user_id = u.id JOIN countries c ON c.code = u.country
merge | SELECT * FROM orders JOIN ratios USING (user_id) WHERE user_id = 1
direct 1 | SELECT * FROM orders JOIN ratios USING (user_id) WHERE orders.user_id = 1
no | SELECT * FROM users u JOIN orders o ON o.user_id = u.age WHERE u.id = 1
no | SELECT * FROM users u JOIN orders o ON o.id = u.id WHERE u.id = 1
no | SELECT * FROM users u JOIN orders o ON o.user_id <> u.id WHERE u.id = 1
no | SELECT * FROM users u JOIN orders o ON o.user_id = u.id OR o.n = 1 WHERE u.id = 1
no | SELECT * FROM users u JOIN orders o ON o.user_id = u.id + 1 WHERE u.id = 1
no | SELECT * FROM users u, orders o WHERE u.id = 1
no | SELECT * FROM users u JOIN regions r ON r.region = u.id WHERE u.id = 1
no | SELECT * FROM orders a JOIN orders b ON a.user_id = b.id WHERE a.user_id = 1
no | SELECT * FROM orders a, orders b WHERE a.user_id = 1 AND a.user_id = a.user_id
no | SELECT * FROM users u JOIN orders o ON NOT (o.user_id <> u.id) WHERE u.id = 1
no | SELECT * FROM users u JOIN orders o ON u.id::int8 = o.user_id WHERE u.id = 1`.replaceAll(
      'direct a |',
      'direct a |',
    ),
  );

  check(
    'outer joins',
    `
direct 1 | SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.id = 1
direct 1 | SELECT * FROM orders o RIGHT JOIN users u ON o.user_id = u.id WHERE u.id = 1
direct 1 | SELECT * FROM users u LEFT JOIN orders o ON o.user_id = 1 WHERE u.id = 1
direct 1 | SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id LEFT JOIN items i ON i.user_id = o.user_id WHERE u.id = 1
direct 1 | SELECT * FROM users u LEFT JOIN orders o ON o.n = u.age WHERE o.user_id = u.id AND u.id = 1
direct 1 | SELECT * FROM users u LEFT JOIN (orders o JOIN items i ON i.user_id = o.user_id) ON o.user_id = u.id WHERE u.id = 1
direct 1 | SELECT * FROM users u FULL JOIN orders o ON u.id = o.user_id WHERE u.id = 1 AND o.user_id = 1
merge | SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id
merge | SELECT * FROM users u LEFT JOIN orders o ON u.id = 1 AND o.user_id = u.id
merge | SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.user_id = 1
merge | SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.user_id IS NULL
no | SELECT * FROM users u LEFT JOIN orders o ON o.user_id = 1
no | SELECT * FROM users u LEFT JOIN orders o ON u.id = 1
no | SELECT * FROM users u FULL JOIN orders o ON o.user_id = u.id WHERE u.id = 1
no | SELECT * FROM users u FULL JOIN orders o USING (id) WHERE id = 1
no | SELECT * FROM users u FULL JOIN orders o ON u.id = 1 AND o.user_id = 1
no | SELECT * FROM countries c LEFT JOIN orders o ON o.note = c.code
no | SELECT * FROM orders o RIGHT JOIN countries c ON o.note = c.code
no | SELECT * FROM countries c LEFT JOIN orders o ON o.note = c.code WHERE o.user_id IS NULL
no | SELECT * FROM users u LEFT JOIN orders o ON o.n = u.age WHERE u.id = 1 AND o.user_id IS NULL
no | SELECT * FROM countries c LEFT JOIN orders o ON true WHERE o.user_id IS NOT DISTINCT FROM NULL`,
  );
});
