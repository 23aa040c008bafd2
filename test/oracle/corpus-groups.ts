/** Groups that are spread over shards: what is computed of them, asked of them by HAVING, and sorted by. */
import { anyOrder, type OracleCase, type Step, sorted } from './oracle-case.js';

/** Over groups by level (and over all rows): with values in text and in binary, by Query and by Bind. */
const COMPUTED = [
  'avg(level), avg(visits), avg(id / 1000), avg(score)',
  'avg(level * 1.5), avg(visits + level), avg(-visits), avg(score / 3)',
  'avg(level) FILTER (WHERE active), count(*) FILTER (WHERE visits > 3), sum(score) FILTER (WHERE born IS NULL)',
  'stddev(level), stddev_samp(visits), stddev_pop(visits), variance(score), var_samp(level), var_pop(score)',
  'stddev(level) FILTER (WHERE id = 7), var_pop(visits) FILTER (WHERE id = 7)',
  'sum(level) / count(*), sum(score) / count(score), sum(visits) % count(*), sum(level) * 2 - 1',
  'sum(level) + 0.5, 10 - count(*), count(*) / 7, count(*) / 7.0, -sum(score), +sum(score)',
  'coalesce(sum(visits), 0), coalesce(avg(score), 0), coalesce(max(visits), -1), coalesce(NULL, count(*))',
  'nullif(count(*), 0), nullif(sum(level), 7.5), nullif(count(*), NULL), greatest(count(*), 5), least(avg(level), 1)',
  'greatest(count(*), sum(visits), 3), least(NULL, count(*)), greatest(max(level), min(visits))',
  'count(*)::int, sum(visits)::bigint, sum(level)::int2, avg(score)::int, avg(visits)::numeric(10,2)',
  'sum(score)::numeric(12,1), round(avg(score), 2), round(avg(level), 0), round(avg(score), -1), round(avg(score))',
  'round(sum(visits), 2), abs(sum(-visits)), abs(avg(-score)), cast(count(*) AS smallint)',
  'CASE WHEN count(*) > 11 THEN 1 ELSE 0 END, CASE WHEN sum(score) IS NULL THEN 0 ELSE avg(score) END',
  'CASE count(*) WHEN 11 THEN 1 WHEN 12 THEN 2.5 END, CASE WHEN bool_or(active) THEN count(*) END',
  'count(*) > 11, sum(visits) BETWEEN 10 AND 60, count(*) IN (11, 12), avg(score) NOT IN (1, 2.5, NULL)',
  'sum(visits) IS NULL, count(*) IS NOT NULL, (count(*) > 5) IS TRUE, (sum(score) > 5) IS NOT UNKNOWN',
  'count(*) > 5 AND sum(level) < 3, NOT bool_and(active), bool_or(active) OR count(*) = 1, count(*) <> count(city)',
  'count(*) IS DISTINCT FROM 12, sum(score) IS NOT DISTINCT FROM NULL, avg(score) IS DISTINCT FROM NULL',
  "min(born) < '1991-01-01', max(seen) > '2024-04-01 00:00:00+00', max(name) = 'name 9', min(token) IS NULL",
  "max(born) = min(born), min(name) <= max(name), max(code) > 'c5', count(*) = '12', sum(score) > '100.5'",
  'bit_and(level), bit_or(visits), bit_xor(visits), bit_or(id), every(visits >= 0)',
  'count(DISTINCT visits), count(DISTINCT city), count(DISTINCT name), count(DISTINCT born), count(DISTINCT active)',
  'count(DISTINCT visits), sum(DISTINCT visits), avg(DISTINCT visits), sum(DISTINCT level), sum(DISTINCT id)',
  'count(DISTINCT id), sum(DISTINCT id), avg(DISTINCT id / 2 * 2), count(DISTINCT visits + level), count(*)',
  'count(DISTINCT visits) FILTER (WHERE active), count(DISTINCT score), count(DISTINCT rating), avg(visits)',
  'count(DISTINCT visits) * 2 + count(*), min(DISTINCT visits), max(DISTINCT name), count(DISTINCT token)',
  'count(DISTINCT nick), count(DISTINCT upper(name)), count(DISTINCT doc)',
  'min(-visits), max(visits * level), min(greatest(level, visits)), max(abs(level)), sum(visits * level)',
  'max(rating), min(rating), max(upper(name)), min(nick COLLATE "C"), max(born + 1), min(seen::date)',
  'sum(rating), avg(rating), stddev(rating), round(count(*)), avg(visits)::float8, count(*)::text',
  'sum(level) / (count(*) - 12), 5 / (sum(level) - sum(level)), sum(id)::int, (count(*) * 10000)::int2',
  'sum(score)::numeric(3,1), count(*) * 9223372036854775807, sum(visits) ^ 2, count(*) & 3',
  "avg(level) + 1, 'x', 1, NULL, true, 2.50, count(*) || 'x'",
  'sum(id) / 3, avg(id), sum(id) % 1000, avg(id) * count(*), sum(id / 1000) - sum(level)',
  'avg(seen - seen), avg(amount) FROM orders, customer WHERE false',
  'sum((SELECT 1)), avg(level + (SELECT 1)), (SELECT 1) + count(*)',
  'sum(DISTINCT score), avg(DISTINCT score), count(DISTINCT (level, visits)), string_agg(DISTINCT name, $$,$$)',
  'avg(ALL level), avg((level)), sum(ALL visits) + 1, pg_catalog.avg(level), avg(customer.level), "avg"(level)',
];

const HAVINGS = [
  'count(*) > 11',
  'count(*) > 11 AND level > 1',
  'level > 1',
  'level > 1 OR count(*) > 11',
  'NOT level = 2',
  'bool_or(active)',
  'NOT bool_and(active)',
  'avg(score) > 40',
  'avg(score) BETWEEN 40 AND 60',
  'sum(visits) IN (40, 41, 42, 43, 44, 45, 46, 47, 48)',
  'sum(visits) NOT IN (1, NULL)',
  'sum(score) IS NULL',
  'sum(score) IS NOT NULL AND max(born) > $$1990-06-01$$',
  'count(DISTINCT visits) > 6',
  'count(DISTINCT id) = 12',
  'max(name) > min(name) AND max(name) < $$name 9$$',
  'max(nick) > $$a$$',
  'max(rating) > 4.5',
  'sum(visits) > 1.5 * count(*)',
  'coalesce(sum(score), 0) >= 100',
  'stddev(visits) > 2.5',
  'count(*) FILTER (WHERE active) > 3',
  'CASE WHEN level = 1 THEN count(*) > 100 ELSE true END',
  'NULL',
  'true',
  'false',
  'count(*)',
  'sum(level) / 0 > 1',
  'EXISTS (SELECT 1)',
  'count(*) > (SELECT 5)',
  'level IN (SELECT id FROM product)',
  'upper(max(name)) > $$A$$',
  'max(born) > $$today$$',
  'max(seen) < now()',
  'random() >= 0',
  'sum(score) = NULL',
  'level = NULL',
];

const GROUPED = [
  'SELECT level % 2, count(*) FROM customer GROUP BY level % 2',
  'SELECT count(*) FROM customer GROUP BY level % 2',
  'SELECT level % 2 + 1, avg(score) FROM customer GROUP BY level % 2',
  'SELECT level % 2 + count(*), level % 2 FROM customer GROUP BY level % 2',
  'SELECT (level + 1) * 2 AS twice, sum(visits) FROM customer GROUP BY level',
  'SELECT level::text, upper(name), count(*) FROM customer GROUP BY level, name',
  'SELECT count(*) FROM customer GROUP BY name',
  'SELECT sum(visits) FROM customer GROUP BY level, active',
  'SELECT active, sum(visits) FROM customer GROUP BY level, active',
  'SELECT level AS l, avg(score) AS a FROM customer GROUP BY l',
  'SELECT avg(score), level FROM customer GROUP BY 2',
  'SELECT -level, avg(score) FROM customer GROUP BY 1',
  'SELECT upper(name), count(*), avg(level) FROM customer GROUP BY 1',
  'SELECT upper(nick), count(*) FROM customer GROUP BY upper(nick)',
  "SELECT date_trunc('month', seen), count(*) FROM customer GROUP BY 1",
  'SELECT extract(year FROM born), count(*) FROM customer GROUP BY 1',
  'SELECT seen::date, avg(visits) FROM customer GROUP BY seen::date',
  'SELECT score * 2, count(*) FROM customer GROUP BY score * 2',
  'SELECT rating, avg(level) FROM customer GROUP BY rating',
  'SELECT level, score, count(*) FROM customer GROUP BY level',
  'SELECT level + visits, count(*) FROM customer GROUP BY level + visits',
  'SELECT level + visits + 1, count(*) FROM customer GROUP BY level + visits, 1',
  'SELECT level, avg(visits) FROM customer GROUP BY customer.level',
  'SELECT c.level, avg(o.amount), count(DISTINCT o.status) FROM customer c JOIN orders o ON o.customer_id = c.id GROUP BY c.level',
  'SELECT p.kind, avg(o.amount), sum(o.amount * o.qty) FROM orders o JOIN product p ON p.id = o.product_id GROUP BY p.kind',
  'SELECT p.id, p.name, avg(o.amount) FROM orders o JOIN product p ON p.id = o.product_id GROUP BY p.id',
  'WITH b AS (SELECT * FROM customer WHERE active) SELECT level, avg(score) FROM b GROUP BY level',
  'SELECT level, avg(score) FROM (SELECT level, score FROM customer) x GROUP BY level',
  'SELECT level, avg(score) FROM rich r JOIN customer c ON c.id = r.id GROUP BY level',
  'SELECT level, avg(amount) FROM bought b JOIN customer c ON c.id = b.id GROUP BY level',
  'SELECT DISTINCT avg(visits)::int FROM customer GROUP BY level, active',
  'SELECT DISTINCT count(*) > 5 FROM customer GROUP BY level, active',
  'SELECT DISTINCT avg(visits) FROM customer GROUP BY level',
  'SELECT level /* a -- b */, avg(score) -- c\nFROM customer -- d\nWHERE level > 0 -- e\nGROUP BY level -- f\n; -- g',
  'SELECT "level", avg("customer"."score") "the ""avg""" FROM "customer" GROUP BY "level"',
  'SELECT level, avg(score) AS "from" FROM customer WHERE name <> \'from\' AND name <> $$a;b$$ GROUP BY level',
  'SELECT avg(level) FROM customer WHERE level IS DISTINCT FROM 2',
  'SELECT level IS DISTINCT FROM 2, avg(score) FROM customer GROUP BY level',
  'SELECT ALL level, avg(score) FROM customer GROUP BY ALL level',
  'SELECT avg(level) FROM ONLY customer',
  'SELECT avg(level) AS a FROM customer c (id)',
  'SELECT count(*), avg(level) FROM customer WHERE id < -100',
  'SELECT coalesce(avg(level), 0), sum(level) IS NULL, count(DISTINCT name) FROM customer WHERE id < -100 AND id > -200',
  'SELECT 1, avg(level) FROM customer WHERE id < -100',
  'SELECT 1, count(DISTINCT level) FROM customer',
  'SELECT count(DISTINCT level), count(DISTINCT visits), count(DISTINCT id), avg(level) FROM customer',
  'SELECT avg(level) FROM customer HAVING count(*) > 5',
  'SELECT avg(level) FROM customer HAVING count(*) > 500',
  'SELECT 1 FROM customer HAVING count(*) > 5',
  'SELECT avg(nosuch) FROM customer',
  'SELECT avg(name) FROM customer',
  'SELECT avg(level), name FROM customer',
  'SELECT level, avg(level) FROM customer',
  'SELECT avg(avg(level)) FROM customer',
  'SELECT avg(level) FROM customer GROUP BY avg(level)',
  'SELECT avg(level), avg() FROM customer',
  'SELECT count(), avg(level) FROM customer',
  'SELECT avg(level) FROM customer WHERE 1 / (id - 7) > 0',
  'SELECT avg(level) FROM (SELECT level FROM customer LIMIT 3) x',
  'SELECT avg(1 / level) FROM customer',
  'SELECT avg(v), k FROM loose GROUP BY k HAVING avg(v) > 0.5',
  'SELECT t, avg(v), count(DISTINCT k) FROM loose GROUP BY t',
  'SELECT sum(id), avg(id), stddev(id) FROM customer',
  'SELECT avg(balance), stddev(balance), sum(balance) / count(*) FROM account',
  'SELECT kind, avg(balance) FROM account GROUP BY kind',
];

const SORTED = [
  'SELECT level, avg(score) FROM customer GROUP BY level ORDER BY avg(score) DESC',
  'SELECT level, avg(score) AS a FROM customer GROUP BY level ORDER BY a',
  'SELECT level FROM customer GROUP BY level ORDER BY avg(score)',
  'SELECT level FROM customer GROUP BY level ORDER BY count(*) DESC, level LIMIT 2',
  'SELECT level FROM customer GROUP BY level ORDER BY sum(visits) - count(*), level DESC LIMIT 2 OFFSET 1',
  'SELECT name, count(*) FROM customer GROUP BY name ORDER BY count(*) DESC, name LIMIT 5',
  'SELECT name, count(*) FROM customer GROUP BY name HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT 5 OFFSET 2',
  'SELECT active, avg(level) FROM customer GROUP BY active, level ORDER BY level NULLS FIRST, active DESC NULLS LAST',
  'SELECT level % 2, avg(score) FROM customer GROUP BY level % 2 ORDER BY level % 2 DESC',
  'SELECT level % 2 FROM customer GROUP BY level % 2 ORDER BY -(level % 2)',
  'SELECT count(*) FROM customer GROUP BY level ORDER BY level',
  'SELECT count(*) FROM customer GROUP BY born ORDER BY born DESC NULLS LAST',
  'SELECT level, max(born) FROM customer GROUP BY level ORDER BY max(born), level',
  'SELECT level FROM customer GROUP BY level ORDER BY max(nick), level',
  'SELECT level FROM customer GROUP BY level ORDER BY max(name) DESC, level',
  'SELECT level FROM customer GROUP BY level ORDER BY max(rating)',
  'SELECT level, count(DISTINCT visits) FROM customer GROUP BY level ORDER BY count(DISTINCT visits), level',
  'SELECT level, stddev(visits) FROM customer GROUP BY level ORDER BY 2 DESC, level',
  'SELECT level, CASE WHEN count(*) > 11 THEN 1 ELSE 0 END AS c FROM customer GROUP BY level ORDER BY c, level',
  'SELECT level, bool_or(active) AND count(*) > 3 AS b FROM customer GROUP BY level ORDER BY b, level',
  'SELECT DISTINCT count(*) AS n FROM customer GROUP BY level, active ORDER BY n',
  'SELECT DISTINCT level % 2 AS m, count(*) > 3 AS n FROM customer GROUP BY level, active ORDER BY m, n DESC LIMIT 3',
  'SELECT level, avg(score) FROM customer GROUP BY level ORDER BY level LIMIT 0',
  'SELECT level, avg(score) FROM customer GROUP BY level ORDER BY level LIMIT NULL OFFSET 2',
  'SELECT level, avg(score) FROM customer GROUP BY level ORDER BY level FETCH FIRST 2 ROWS ONLY',
  'SELECT level, avg(score) FROM customer GROUP BY level ORDER BY 1 OFFSET 1 ROWS FETCH NEXT ROW ONLY',
  'SELECT level, avg(score) FROM customer GROUP BY level ORDER BY level USING >',
  'SELECT customer_id, avg(amount) AS s FROM orders GROUP BY customer_id ORDER BY s DESC, customer_id LIMIT 7',
  'SELECT customer_id FROM orders GROUP BY customer_id ORDER BY sum(amount) DESC, customer_id LIMIT 7 OFFSET 2',
  'SELECT customer_id FROM orders GROUP BY customer_id HAVING avg(qty) > 2 ORDER BY count(*) DESC, customer_id',
  'SELECT name FROM customer ORDER BY id',
  'SELECT name FROM customer ORDER BY visits DESC NULLS LAST, id LIMIT 5',
  'SELECT name FROM customer ORDER BY visits + level, id LIMIT 5 OFFSET 3',
  'SELECT name AS id FROM customer ORDER BY customer.id LIMIT 5',
  'SELECT *, level + 1 AS next FROM customer ORDER BY level * 2, -id LIMIT 6',
  'SELECT id FROM customer ORDER BY rating DESC NULLS LAST, id',
  'SELECT rating, id FROM customer ORDER BY rating, id DESC',
  'SELECT id FROM customer ORDER BY name COLLATE "C", id LIMIT 9',
  'SELECT id, nick COLLATE "C" AS n FROM customer ORDER BY n, id',
  'SELECT id FROM customer ORDER BY nick, id',
  'SELECT id FROM customer ORDER BY length(name), id',
  'SELECT id FROM customer ORDER BY active AND level > 1, id',
  'SELECT id FROM customer ORDER BY born IS NULL, born, id OFFSET 3',
  'SELECT o.id FROM customer c JOIN orders o ON o.customer_id = c.id ORDER BY c.level, c.id, o.id LIMIT 11',
  'SELECT FROM customer ORDER BY id LIMIT 3',
  'SELECT id AS "ORDER", level "limit" FROM customer ORDER BY visits, id -- end',
  'WITH c AS (SELECT * FROM customer) SELECT name FROM c ORDER BY id LIMIT 3',
  'SELECT name FROM customer WHERE id IN (1, 2, 3, 4, 5) ORDER BY id DESC',
  'SELECT id, name FROM customer ORDER BY level USING >, id USING <',
];

const bigint = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

const PARAMETERS: Step[] = [
  { sql: 'SELECT level, avg(score) FROM customer WHERE visits > $1 GROUP BY level', values: ['2'] },
  { sql: 'SELECT level, avg(score) FROM customer GROUP BY level HAVING count(*) > $1', values: ['11'] },
  { sql: 'SELECT level, avg(score) FROM customer GROUP BY level HAVING count(*) > $1', values: [null] },
  {
    sql: 'SELECT level, avg(score) FROM customer GROUP BY level HAVING count(*) > $1',
    values: [bigint(11n)],
    formats: [1],
  },
  {
    sql: 'SELECT level, avg(score) FROM customer GROUP BY level HAVING count(*) > $1',
    values: ['11'],
    types: [23],
  },
  {
    sql: 'SELECT level, avg(score) FROM customer GROUP BY level HAVING avg(score) BETWEEN $1 AND $2',
    values: ['40', '60.5'],
  },
  {
    sql: 'SELECT level, count(*) * $1, coalesce(sum(score), $2) FROM customer GROUP BY level',
    values: ['3', '1.50'],
    results: [1],
  },
  { sql: 'SELECT level + $1, count(*) FROM customer GROUP BY level + $1', values: ['3'] },
  { sql: 'SELECT level, $1::int, avg(visits + $2) FROM customer GROUP BY level', values: ['3', '4'] },
  { sql: 'SELECT level FROM customer GROUP BY level HAVING max(born) > $1', values: ['1991-01-01'] },
  { sql: 'SELECT level FROM customer GROUP BY level HAVING max(name) > $1', values: ['name 20'] },
  { sql: 'SELECT level FROM customer GROUP BY level HAVING level > $1', values: ['1'] },
  {
    sql: 'SELECT level, avg(score) FROM customer GROUP BY level HAVING count(*) > $1 AND level > $1',
    values: ['1'],
  },
  { sql: 'SELECT avg(score) FROM customer HAVING count(*) > $1', values: ['many'] },
  { sql: 'SELECT avg(score + $1) FROM customer', values: ['x'] },
  { sql: 'SELECT avg(level) FROM customer WHERE id = ANY ($1)', values: ['{1,2,3,4,5,6,7,8}'] },
  { sql: 'SELECT avg(level) FROM customer WHERE id = $1', values: ['7'] },
  { sql: 'SELECT level, avg(score) FROM customer GROUP BY level', results: [1, 0] },
  { sql: 'SELECT level, avg(score) FROM customer GROUP BY level', results: [0, 1] },
  { sql: 'SELECT level, avg(score) FROM customer GROUP BY level', results: [0, 1, 1] },
  { sql: 'SELECT level, avg(score) FROM customer GROUP BY level', results: [2] },
  { sql: 'SELECT level, avg(score) FROM customer GROUP BY level', values: ['1'] },
];

const PARAMETERS_SORTED: Step[] = [
  {
    sql: 'SELECT level FROM customer GROUP BY level ORDER BY avg(score) LIMIT $1 OFFSET $2',
    values: ['2', '1'],
  },
  { sql: 'SELECT name FROM customer ORDER BY id LIMIT $1 OFFSET $2', values: ['5', '3'] },
  { sql: 'SELECT name FROM customer ORDER BY id LIMIT $1 OFFSET $1', values: ['5'] },
  { sql: 'SELECT name FROM customer ORDER BY id LIMIT 4 OFFSET $1', values: ['5'] },
  { sql: 'SELECT name FROM customer ORDER BY id LIMIT 4 OFFSET 5' },
  { sql: 'SELECT name FROM customer ORDER BY id OFFSET $1', values: [bigint(40n)], formats: [1] },
  { sql: 'SELECT name FROM customer ORDER BY id LIMIT $1', values: [null] },
  { sql: 'SELECT name FROM customer ORDER BY id LIMIT $1', values: ['-1'] },
  { sql: 'SELECT name FROM customer WHERE level > $2 ORDER BY visits * $1, id', values: ['-1', '1'] },
  { sql: 'SELECT name, born, score FROM customer ORDER BY visits, id', results: [1] },
  { sql: 'SELECT born, score FROM customer ORDER BY seen, id', results: [0, 1] },
];

/** A Query; Binds that want text, and binary. */
function inAllWays(sql: string): Step[] {
  return [{ sql }, { sql, values: [] }, { sql, values: [], results: [1] }];
}

export function groupCases(): OracleCase[] {
  const cases: OracleCase[] = [];
  for (const computed of COMPUTED) {
    // One by one, so that one that is refused hides no other.
    const all = splitList(computed);
    const texts = all.length > 1 ? [computed, ...all] : all;
    for (const each of texts) {
      const from = each.includes(' FROM orders') ? '' : ' FROM customer';
      cases.push(...anyOrder('aggregates', ...inAllWays(`SELECT ${each}${from}`)));
      if (from !== '')
        cases.push(
          ...anyOrder('GROUP BY', ...inAllWays(`SELECT level, ${each} FROM customer GROUP BY level`)),
        );
    }
  }
  for (const having of HAVINGS)
    cases.push(
      ...anyOrder(
        'HAVING',
        `SELECT level, count(*) FROM customer GROUP BY level HAVING ${having}`,
        `SELECT avg(score) FROM customer GROUP BY level, active HAVING ${having}`,
        `SELECT id, avg(score) FROM customer GROUP BY id, level HAVING ${having}`,
      ),
    );
  for (const text of GROUPED) cases.push(...anyOrder('GROUP BY', ...inAllWays(text)));
  for (const text of SORTED) cases.push(...sorted('ORDER BY', ...inAllWays(text)));
  cases.push(...anyOrder('parameters', ...PARAMETERS), ...sorted('parameters', ...PARAMETERS_SORTED));
  return cases;
}

/** At commas outside of parentheses and strings. */
function splitList(list: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let from = 0;
  let isQuoted = false;
  for (let at = 0; at < list.length; at++) {
    const char = list[at];
    if (char === "'") isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === ',' && depth === 0 && !list.includes('$$')) {
      items.push(list.slice(from, at).trim());
      from = at + 1;
    }
  }
  return [...items, list.slice(from).trim()];
}
