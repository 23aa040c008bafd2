/** Groups that are spread over shards, where what is computed of them here could differ from what one server makes of them. */
import { anyOrder, type OracleCase, type Step, sorted } from './oracle-case.js';

const THREES = `0.${'3'.repeat(1100)}`;

const ANY = [
  // Text of a collation that does not go by bytes, within what it is compared by.
  "SELECT city, count(*) FROM customer GROUP BY city HAVING coalesce(city, '') > 'm' AND count(*) > 0",
  "SELECT city, count(*) FROM customer GROUP BY city HAVING CASE WHEN count(*) > 1 THEN city END > 'c'",
  "SELECT city, count(*) FROM customer GROUP BY city HAVING greatest(nullif(city, 'Zug'), 'c') <> 'c' AND count(*) > 0",
  'SELECT lower(city), lower(nick), count(*) FROM customer GROUP BY lower(city), lower(nick) HAVING lower(city) < lower(nick) AND count(*) > 1',
  'SELECT code, count(*) FROM customer GROUP BY code HAVING coalesce(code, name) > $$c5$$ AND count(*) > 0',
  "SELECT code, count(*) FROM customer GROUP BY code HAVING coalesce(code, '') > $$c5$$ AND count(*) > 0",
  // Names of columns and of what is shown.
  'SELECT x / 10 AS x, count(*) FROM customer, generate_series(1, 20) x GROUP BY x',
  'SELECT level % 2 AS x, avg(visits) FROM customer, generate_series(1, 3) y GROUP BY x',
  'SELECT level % 2 AS x, avg(visits) FROM customer CROSS JOIN LATERAL (SELECT id + 1) AS o GROUP BY x',
  'SELECT level % 2 AS level, avg(visits) FROM customer GROUP BY level',
  'SELECT level % 2 AS m, avg(visits) FROM customer GROUP BY m',
  'SELECT level AS x, avg(visits) FROM customer, generate_series(1, 3) y GROUP BY level',
  // Floats, whose sums depend on the order of rows.
  'SELECT stddev(rating)::numeric, avg(visits) FROM customer',
  'SELECT level, count(*) FROM customer GROUP BY level HAVING stddev(rating) > 0',
  'SELECT level, count(*) FROM customer GROUP BY level HAVING var_pop(rating) IS NULL',
  "SELECT stddev('5') FROM customer",
  'SELECT round(stddev(score), 3), var_samp(visits) > 1, stddev(id)::numeric(30,5) FROM customer',
  // What is another value each time.
  'SELECT avg(5) FILTER (WHERE random() < 0.5) FROM customer',
  'SELECT avg(DISTINCT level) FILTER (WHERE random() < 2) FROM customer',
  // Numbers of many digits.
  `SELECT ${THREES} / count(*), -${THREES} / count(*), count(*) / ${THREES} FROM customer`,
  'SELECT avg(score / 1e-1100 * 1e-1200), avg(score * 1e-1200), stddev(score * 1e-600), variance(visits * 1e-1100) FROM customer',
  'SELECT level, avg(score * 1e-1200) FROM customer GROUP BY level',
  'SELECT level, stddev(score * 1e-8191) FROM customer GROUP BY level',
  'SELECT stddev(score * 1e-9000) FROM customer',
  // Errors in groups that are not shown, or in what is never reached.
  'SELECT visits, 100 / (visits - 5) FROM customer GROUP BY visits HAVING count(*) > 300',
  'SELECT visits, 100 / (visits - 5) FROM customer GROUP BY visits HAVING count(*) > 1',
  'SELECT visits, 100 / (visits - 5) FROM customer GROUP BY visits HAVING visits <> 5',
  'SELECT visits, 100 / (visits - 5), avg(level) FROM customer GROUP BY visits',
  'SELECT visits, upper(max(name)) FROM customer GROUP BY visits HAVING count(*) > 1',
  'SELECT visits + 1, count(*) FROM customer GROUP BY visits HAVING count(*) > 1',
  'SELECT round(score / 3, 2), visits - level, -level, count(*) FROM customer GROUP BY score, visits, level HAVING count(*) > 1',
  'SELECT born + 1, count(*) FROM customer GROUP BY born HAVING count(*) > 1',
  'SELECT visits + 1, count(*) FROM customer GROUP BY visits + 1 HAVING count(*) > 1',
  'SELECT visits::text, name, count(*) FROM customer GROUP BY visits, name HAVING count(*) > 1',
  'SELECT CASE WHEN count(*) < 0 THEN 1 / 0 ELSE 5 END FROM customer',
  'SELECT level, CASE WHEN count(*) < 0 THEN 1 / 0 ELSE 5 END FROM customer GROUP BY level',
  'SELECT CASE WHEN count(*) < 0 THEN 100::int2 * 1000::int2 ELSE 5 END FROM customer',
  'SELECT coalesce(count(*), 1 / 0), avg(level) FROM customer',
  'SELECT count(*) > 0 OR 1 / 0 > 0, avg(level) FROM customer',
  "SELECT CASE WHEN count(*) < 0 THEN '2020-13-01' < max(born) ELSE true END FROM customer",
  'SELECT CASE WHEN count(*) < 0 THEN 70000::int2 ELSE 5 END FROM customer',
  "SELECT level, '12'::int - count(*), sum(score) > '100.5', count(*) = '12', bool_or(active) = 'true' FROM customer GROUP BY level",
  "SELECT count(*) > ' 12', avg(level) FROM customer",
  "SELECT count(*) / '0'::int FROM customer WHERE id < -100 AND id > -200 GROUP BY level",
  'SELECT 1 / 0 + count(*) FROM customer WHERE id < -100 AND id > -200 GROUP BY level',
  "SELECT date_trunc('month', seen), upper(city), count(*) FROM customer GROUP BY seen, city HAVING count(*) > 0",
  "SELECT CASE WHEN city IS NULL THEN 'none' ELSE city || '!' END, count(*) FROM customer GROUP BY city HAVING count(*) > 7",
  'SELECT CASE WHEN count(*) < 0 THEN abs(-5) ELSE 2 * 3 END, -(-3), 2 + 2 * count(*) FROM customer',
  // Equal to others of a collation for which equal is not the same.
  'SELECT DISTINCT nick COLLATE ci, count(*) > 0 FROM customer GROUP BY nick',
  'SELECT DISTINCT nick COLLATE ci FROM customer GROUP BY nick HAVING count(*) > 0',
  'SELECT nick COLLATE ci, count(*) FROM customer GROUP BY nick COLLATE ci',
  'SELECT DISTINCT upper(nick), count(*) > 0 FROM customer GROUP BY nick',
];

const SORTED = [
  'SELECT city FROM customer GROUP BY city ORDER BY CASE WHEN count(*) > 1 THEN city END, count(*)',
  'SELECT count(*) FROM customer GROUP BY city ORDER BY coalesce(city, max(name))',
  'SELECT code FROM customer GROUP BY code ORDER BY CASE WHEN count(*) > 1 THEN code END, code',
  'SELECT level FROM customer GROUP BY level ORDER BY stddev(rating), level',
  'SELECT level FROM customer GROUP BY level ORDER BY stddev(score), level',
];

const BOUND: Step[] = [{ sql: 'SELECT $1 / count(*) FROM customer', values: [THREES], types: [1700] }];

export function groupEdgeCases(): OracleCase[] {
  return [...anyOrder('groups at the edge', ...ANY, ...BOUND), ...sorted('groups at the edge', ...SORTED)];
}
