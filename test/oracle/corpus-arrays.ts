/** INSERTs whose rows stand in arrays, as drivers write many rows at once; and rows that are locked on several shards. */
import { type OracleCase, p, type Step, script, sorted, writes } from './oracle-case.js';

const SHARDED = [
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502,503}'::bigint[], '{a,b,c,d}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM UNNEST(('{500,501,502}'::int8[])::bigint[], ('{a,b,c}')::text[]) RETURNING id, name",
  "INSERT INTO customer (name, id) SELECT * FROM unnest(ARRAY['a','b','c'], ARRAY[500, 501, 502]) RETURNING *",
  "INSERT INTO customer (id, name) SELECT * FROM unnest(ARRAY[500, '501', 502]::bigint[], ARRAY['a','b','c'])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest(ARRAY[-500, -501, 502], ARRAY['a','b','c']) RETURNING id",
  "INSERT INTO customer SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) RETURNING visits",
  "INSERT INTO customer SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[], '{x,y,z}'::text[], '{p,q,r}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500}'::bigint[], '{a}'::text[]) RETURNING id",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{}'::bigint[], '{}'::text[]) RETURNING id",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501}'::bigint[], '{a,b,c,d}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502,503}'::bigint[], '{a,b,c,d,e}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,NULL,502}'::bigint[], '{a,b,c}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest(ARRAY[500,NULL,502], ARRAY['a','b','c'])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest(NULL::bigint[], '{a}'::text[])",
  'INSERT INTO customer (id, name) SELECT * FROM unnest(NULL::bigint[], NULL::text[])',
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,500}'::bigint[], '{a,b}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,7,501}'::bigint[], '{a,b,c}'::text[])",
  "INSERT INTO customer (id, name, visits) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[], '{1,-1,1}'::int[])",
  `INSERT INTO customer (id, name) SELECT * FROM unnest('{ 500 , "501",502 }'::bigint[], '{"a,b","c\\"d\\\\",NULL}'::text[])`,
  `INSERT INTO customer (id, name) SELECT * FROM unnest('{ 500 , "501",502 }'::bigint[], '{"a,b","c\\"d\\\\","NULL"}'::text[]) RETURNING name`,
  "INSERT INTO customer (id, name) SELECT * FROM unnest('[2:4]={500,501,502}'::bigint[], '{a,b,c}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{{500,501},{502,503}}'::bigint[], '{a,b,c,d}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,x}'::bigint[], '{a,b}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501'::bigint[], '{a,b}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,}'::bigint[], '{a,b}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) AS x",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) x(id, \"on\") RETURNING id",
  "INSERT INTO customer (id, name) /* SELECT * */ SELECT /* a */ * FROM -- unnest(\n pg_catalog.unnest('{500,501,502}'::bigint[], '{a,b,c)}'::text[]) AS u (a, b) ;",
  "INSERT INTO customer (id, name) (SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]))",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) WITH ORDINALITY",
  "INSERT INTO customer (id, name, visits) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) WITH ORDINALITY",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) AS x (a, b) WHERE a > 500",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) AS x (a, b) ORDER BY a DESC",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) LIMIT 2",
  "INSERT INTO customer (id, name) SELECT DISTINCT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[])",
  "INSERT INTO customer (id, name, level) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[])",
  "INSERT INTO customer (id) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[])",
  "INSERT INTO customer (name) SELECT * FROM unnest('{a,b,c}'::text[])",
  "INSERT INTO customer (id, name) SELECT * FROM nosuch('{500,501,502}'::bigint[], '{a,b,c}'::text[])",
  "INSERT INTO customer (id, name) SELECT u.* FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) u",
  "INSERT INTO customer (id, name) SELECT x.b, x.a FROM unnest('{a,b,c}'::text[], '{500,501,502}'::bigint[]) x (a, b)",
  "INSERT INTO customer (id, name) SELECT unnest('{500,501,502}'::bigint[]), unnest('{a,b,c}'::text[])",
  "INSERT INTO customer (id, name, seen) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[], '{2024-01-01,2024-01-02,infinity}'::timestamptz[])",
  "INSERT INTO customer (id, name, seen) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[], '{now,now,now}'::timestamptz[])",
  "INSERT INTO customer (id, name, seen) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[], ARRAY[now(), now(), now()])",
  "INSERT INTO customer (id, name, doc, token) SELECT * FROM unnest('{500,501}'::bigint[], '{a,b}'::text[], ARRAY['{\"a\": [1]}', 'null']::jsonb[], '{c4ca4238-a0b9-2382-0dcc-509a6f75849b,NULL}'::uuid[]) RETURNING doc, token",
  "INSERT INTO orders (customer_id, id, qty) SELECT * FROM unnest('{1,2,3,4,5}'::int[], '{90,90,90,90,90}'::bigint[], '{1,2,3,4,5}'::smallint[]) RETURNING customer_id, total",
  "INSERT INTO orders (customer_id, id) SELECT * FROM unnest('{1,2,999}'::bigint[], '{90,90,90}'::bigint[])",
  `INSERT INTO account SELECT * FROM unnest('{new,"n w","",NULLL,"null"}'::text[], '{1,2,3,4,5}'::numeric[], '{1,2,3,4,5}'::int[]) RETURNING login`,
  "INSERT INTO account SELECT * FROM unnest(ARRAY['new', E'n\\tw', U&'\\00e4'], '{1,2,3}'::numeric[], '{1,2,3}'::int[])",
  "INSERT INTO account SELECT * FROM unnest('{new,other}'::varchar(2)[], '{1,2}'::numeric[], '{1,2}'::int[])",
  "INSERT INTO visit (token, who) SELECT * FROM unnest('{c4ca4238-a0b9-2382-0dcc-509a6f758490,C4CA4238A0B923820DCC509A6F758491,\"{c4ca4238-a0b9-2382-0dcc-509a6f758492}\"}'::uuid[], '{a,b,c}'::text[])",
  "INSERT INTO event (day, seq) SELECT * FROM unnest('{2024-02-29,20240301,infinity}'::date[], '{99,99,99}'::int[])",
  "INSERT INTO event (day, seq) SELECT * FROM unnest('{today,2024-02-29}'::date[], '{99,99}'::int[])",
  "INSERT INTO loose (k, v) SELECT * FROM unnest('{1,2,3}'::bigint[], '{1,2,3}'::int[])",
  "INSERT INTO reading SELECT * FROM unnest('{3,4,5}'::bigint[], '{2023-01-01,2025-01-01,2023-01-02}'::date[], '{1,2,3}'::numeric[])",
  "INSERT INTO parcel (k, id, m) SELECT * FROM unnest('{1,2,3}'::bigint[], '{1,2,3}'::int[], '{low,high,low}'::mood[])",
  "INSERT INTO parcel (k, id, pr) SELECT * FROM unnest('{1,2,3}'::bigint[], '{1,2,3}'::int[], ARRAY[ROW(1,'a'),ROW(2,'b'),ROW(3,'c')]::pair[])",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,7,501}'::bigint[], '{a,b,c}'::text[]) ON CONFLICT DO NOTHING RETURNING id",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,7,501}'::bigint[], '{a,b,c}'::text[]) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name",
  "INSERT INTO customer (id, name) SELECT * FROM unnest('{500,500,501}'::bigint[], '{a,b,c}'::text[]) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
  "WITH x AS (INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[]) RETURNING id) SELECT count(*) FROM x",
  "WITH x AS (SELECT 1) INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501,502}'::bigint[], '{a,b,c}'::text[])",
  "EXPLAIN (COSTS OFF) INSERT INTO customer (id, name) SELECT * FROM unnest('{500,501}'::bigint[], '{a,b}'::text[])",
];

const BY_ARRAYS =
  'INSERT INTO customer (id, name) SELECT * FROM unnest($1::bigint[], $2::text[]) RETURNING id, name';

/** array_send() of int8: dimensions, flags, type, length, lower bound, items. */
function int8s(...values: (bigint | null)[]): Buffer {
  const head = Buffer.alloc(20);
  head.writeInt32BE(1, 0);
  head.writeInt32BE(values.includes(null) ? 1 : 0, 4);
  head.writeInt32BE(20, 8);
  head.writeInt32BE(values.length, 12);
  head.writeInt32BE(1, 16);
  const items = values.map((value) => {
    const item = Buffer.alloc(value === null ? 4 : 12);
    item.writeInt32BE(value === null ? -1 : 8, 0);
    if (value !== null) item.writeBigInt64BE(value, 4);
    return item;
  });
  return Buffer.concat([head, ...items]);
}

const none = Buffer.concat([Buffer.alloc(8), Buffer.from([0, 0, 0, 20])]);

const BOUND: Step[] = [
  p(BY_ARRAYS, ['{500,501,502,503}', '{a,b,c,d}']),
  p(BY_ARRAYS, ['{500}', '{a}']),
  p(BY_ARRAYS, ['{}', '{}']),
  p(BY_ARRAYS, [null, '{a}']),
  p(BY_ARRAYS, ['{500,501,502}', '{a,b}']),
  p(BY_ARRAYS, ['{500,501}', '{a,b,c,d,e}']),
  p(BY_ARRAYS, ['{500,NULL,501}', '{a,b,c}']),
  p(BY_ARRAYS, ['{500,501,502}', '{"a,b","c\\"d","\\\\"}']),
  p(BY_ARRAYS, ['{500,7,501}', '{a,b,c}']),
  p(BY_ARRAYS, ['{500,x}', '{a,b}']),
  p(BY_ARRAYS, [int8s(500n, 501n, 502n), '{a,b,c}'], { formats: [1, 0] }),
  p(BY_ARRAYS, [int8s(500n, null, 502n), '{a,b,c}'], { formats: [1, 0] }),
  p(BY_ARRAYS, [none, '{}'], { formats: [1, 0] }),
  p(BY_ARRAYS, [int8s(500n, 501n, 502n).subarray(0, 40), '{a,b,c}'], { formats: [1, 0] }),
  p(BY_ARRAYS, ['{500,501,502}', '{a,b,c}'], { results: [1] }),
  p('INSERT INTO customer (name, id) SELECT * FROM unnest($2::text[], $1::bigint[]) RETURNING id', [
    '{500,501,502}',
    '{a,b,c}',
  ]),
  p('INSERT INTO customer (id, name) SELECT * FROM unnest(($1::int[])::bigint[], $2::text[]) RETURNING id', [
    '{500,501,502}',
    '{a,b,c}',
  ]),
  p(
    'INSERT INTO customer (id, name) SELECT * FROM unnest($1::bigint[], ARRAY[$2, $3, $4]) RETURNING id, name',
    ['{500,501,502}', 'a', 'b', 'c'],
  ),
  p(
    'INSERT INTO customer (id, name) SELECT * FROM unnest(ARRAY[$1, $2, $3]::bigint[], $4::text[]) RETURNING id, name',
    ['500', '501', '502', '{a,b,c}'],
  ),
  p('INSERT INTO customer (id, name) SELECT * FROM unnest($1, $2)', ['{500,501,502}', '{a,b,c}'], {
    types: [1016, 1009],
  }),
  p('INSERT INTO customer (id, name) SELECT * FROM unnest($1, $2)', ['{500,501,502}', '{a,b,c}']),
  p('INSERT INTO customer (id, name, visits) SELECT * FROM unnest($1::bigint[], $2::text[], $1::int[])', [
    '{500,501,502}',
    '{a,b,c}',
  ]),
  p('INSERT INTO account SELECT * FROM unnest($1::text[], $2::numeric[], $3::int[]) RETURNING login', [
    '{new,"n, w","q\\"",ä}',
    '{1,2,3,4}',
    '{1,2,3,4}',
  ]),
  p('INSERT INTO visit (token, who) SELECT * FROM unnest($1::uuid[], $2::text[])', [
    '{c4ca4238-a0b9-2382-0dcc-509a6f758490,c4ca4238-a0b9-2382-0dcc-509a6f758491}',
    '{a,b}',
  ]),
  p('INSERT INTO country (code, title) SELECT * FROM unnest($1::text[], $2::text[]) RETURNING code', [
    '{q1,q2}',
    '{a,b}',
  ]),
  p('INSERT INTO tally (what) SELECT * FROM unnest($1::text[]) RETURNING id, what, n', ['{q1,q2,q3}']),
  p('INSERT INTO tally (what) SELECT * FROM unnest($1::text[]) RETURNING id', ['{}']),
  p('INSERT INTO tally (what, n) SELECT * FROM unnest(ARRAY[$1, $2], $3::int[]) RETURNING id, what', [
    'q1',
    'q2',
    '{1,2}',
  ]),
  p(
    'INSERT INTO tally (n, what) SELECT * FROM unnest($1::int[], $2::text[]) RETURNING id, what',
    [int8s(), '{q1,q2}'],
    { formats: [1, 0] },
  ),
];

const WHOLE = [
  "INSERT INTO country (code, title) SELECT * FROM unnest('{q1,q2}'::text[], '{a,b}'::text[]) RETURNING code",
  "INSERT INTO country SELECT * FROM unnest('{q1,q2}'::text[], '{a,b}'::text[])",
  "INSERT INTO tally (what) SELECT * FROM unnest('{q1,q2,q3}'::text[]) RETURNING id, what, n",
  "INSERT INTO tally (what, n) SELECT * FROM unnest(ARRAY['q1','q2'], ARRAY[1,2]) AS x (a) RETURNING id",
  "INSERT INTO tally (what) SELECT * FROM unnest('{}'::text[]) RETURNING id",
  "INSERT INTO tally (what) SELECT * FROM unnest('{q1,q1}'::text[])",
  "INSERT INTO tally (what) SELECT * FROM unnest('{q1,thing 1}'::text[]) ON CONFLICT (what) DO NOTHING RETURNING what",
  "INSERT INTO tally (what) SELECT * FROM unnest('{q1,thing 1}'::text[]) ON CONFLICT (what) DO UPDATE SET n = 99 RETURNING what, n",
  "INSERT INTO tally (id, what) SELECT * FROM unnest('{900,901}'::int[], '{q1,q2}'::text[]) RETURNING id",
  "INSERT INTO tally (id, what, n, made) SELECT * FROM unnest('{900,901}'::int[], '{q1,q2}'::text[], '{1,2}'::int[], '{now,2024-01-01}'::timestamptz[])",
  "INSERT INTO tally SELECT * FROM unnest('{900,901}'::int[], '{q1,q2}'::text[]) RETURNING id, n",
  "INSERT INTO tally (what) SELECT * FROM unnest('{q1,q2}'::text[]) ORDER BY 1",
  "INSERT INTO product (id, name) SELECT * FROM unnest('{900,901}'::int[], '{a,b}'::text[]) RETURNING *",
  "INSERT INTO product (id, name) SELECT * FROM unnest('{900,1}'::int[], '{a,b}'::text[])",
];

const LOCKED = [
  'SELECT id, name FROM customer WHERE id IN (1, 2, 3, 4, 5) ORDER BY id FOR UPDATE',
  'SELECT id FROM customer WHERE id IN (1, 2, 3, 4, 5) ORDER BY id DESC FOR NO KEY UPDATE NOWAIT',
  'SELECT id FROM customer ORDER BY id FOR SHARE SKIP LOCKED',
  'SELECT c.id, o.id FROM customer c JOIN orders o ON o.customer_id = c.id ORDER BY 1, 2 FOR UPDATE OF o',
  'SELECT id FROM customer ORDER BY name, id FOR UPDATE',
  'SELECT id FROM customer ORDER BY id LIMIT 2 FOR UPDATE',
  'SELECT count(*) FROM customer FOR UPDATE',
  'SELECT DISTINCT level FROM customer ORDER BY 1 FOR UPDATE',
  'SELECT id FROM (SELECT id FROM customer FOR UPDATE) x ORDER BY id',
  'SELECT c.id FROM customer c JOIN product p ON p.id = c.level ORDER BY 1 FOR UPDATE',
];

const exactly = (cases: readonly OracleCase[]): OracleCase[] =>
  cases.map((each) => ({ ...each, order: 'exact' }));

export function arrayCases(): OracleCase[] {
  return [
    ...exactly(writes('INSERT of rows in arrays', ...SHARDED)),
    ...exactly(writes('INSERT of rows in arrays', ...BOUND)),
    ...exactly(writes('INSERT of rows in arrays', ...WHOLE)),
    ...sorted('locked rows', ...LOCKED),
    script('locked rows', 'BEGIN', LOCKED[0], 'UPDATE customer SET visits = 9 WHERE id = 3', 'COMMIT'),
    script('locked rows', 'BEGIN', LOCKED[0], 'ROLLBACK'),
    script(
      'locked rows',
      'BEGIN',
      'DECLARE c CURSOR FOR SELECT id FROM customer ORDER BY id FOR UPDATE',
      'FETCH 2 FROM c',
      'COMMIT',
    ),
    script('locked rows', 'BEGIN READ ONLY', LOCKED[0], 'COMMIT'),
    script('INSERT of rows in arrays', 'BEGIN', SHARDED[0], WHOLE[2], BOUND[0], 'ROLLBACK'),
    script('INSERT of rows in arrays', 'BEGIN', WHOLE[2], SHARDED[0], 'COMMIT'),
  ];
}
