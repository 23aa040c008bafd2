/** k IN (SELECT k …) and its negation, wherever they stand. */
import { anyOrder, type OracleCase, p, writes } from './oracle-case.js';

const MEMBERS = [
  'SELECT id FROM customer WHERE id NOT IN (SELECT customer_id FROM orders WHERE qty > 2)',
  'SELECT id FROM customer WHERE NOT (id IN (SELECT customer_id FROM orders WHERE qty > 2) AND level > 1)',
  'SELECT id FROM customer WHERE id IN (SELECT customer_id FROM orders WHERE qty > 3) OR level = 2',
  'SELECT id FROM customer WHERE (id, level) NOT IN (SELECT customer_id, qty FROM orders)',
  'SELECT id FROM customer WHERE (level, id) NOT IN (SELECT customer_id, qty FROM orders)',
  'SELECT k FROM loose WHERE k NOT IN (SELECT customer_id FROM orders)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT customer_id FROM orders LIMIT 3)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT customer_id FROM orders GROUP BY customer_id HAVING count(*) > 2)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT DISTINCT customer_id FROM orders)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT o.customer_id FROM orders o LEFT JOIN item i ON i.customer_id = o.customer_id WHERE i.line = 1)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT i.customer_id FROM orders o LEFT JOIN item i ON i.customer_id = o.customer_id)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT o.customer_id FROM item i LEFT JOIN orders o ON i.customer_id = o.customer_id)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT customer_id FROM orders UNION SELECT customer_id FROM item)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT customer_id FROM orders) AND id NOT IN (SELECT customer_id FROM item)',
  'SELECT count(*), max(id) FROM customer WHERE id NOT IN (SELECT customer_id FROM orders)',
  "SELECT level, count(*) FROM customer WHERE id NOT IN (SELECT customer_id FROM orders WHERE status = 'new') GROUP BY level",
  'SELECT c.id FROM customer c LEFT JOIN orders o ON o.customer_id = c.id AND o.customer_id NOT IN (SELECT customer_id FROM item)',
  'SELECT c.id FROM customer c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id NOT IN (SELECT customer_id FROM item)',
  'SELECT id FROM customer WHERE CASE WHEN id IN (SELECT customer_id FROM orders) THEN level > 1 ELSE level < 2 END',
  'SELECT id FROM product WHERE id NOT IN (SELECT product_id FROM orders)',
  'SELECT id FROM product WHERE id NOT IN (SELECT id FROM customer)',
  'SELECT id FROM customer WHERE level NOT IN (SELECT customer_id FROM orders)',
  'SELECT id FROM customer WHERE id + 0 NOT IN (SELECT customer_id FROM orders)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT customer_id + 0 FROM orders)',
  'SELECT c.id FROM (SELECT id FROM customer WHERE level > 1) c WHERE c.id NOT IN (SELECT customer_id FROM orders)',
  'SELECT id FROM customer c WHERE id NOT IN (SELECT o.customer_id FROM orders o WHERE o.qty > c.level)',
  'SELECT id FROM customer c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND c.id NOT IN (SELECT customer_id FROM item))',
  'SELECT EXISTS (SELECT 1 FROM customer WHERE id NOT IN (SELECT customer_id FROM orders))',
  'SELECT count(*) FROM (SELECT DISTINCT level FROM customer WHERE id NOT IN (SELECT customer_id FROM orders)) x',
  'SELECT id FROM rich WHERE id NOT IN (SELECT order_id FROM bought)',
  'SELECT id FROM rich WHERE id NOT IN (SELECT id FROM bought)',
  'SELECT customer_id, line FROM item WHERE customer_id NOT IN (SELECT id FROM customer WHERE level > 2)',
  'SELECT owner FROM ident WHERE owner NOT IN (SELECT customer_id FROM orders)',
  'SELECT k FROM parent_row WHERE k NOT IN (SELECT id FROM customer)',
  'SELECT id FROM customer WHERE id NOT IN (SELECT device FROM reading)',
  'SELECT device FROM reading WHERE device NOT IN (SELECT id FROM customer WHERE level > 1)',
];

export function memberCases(): OracleCase[] {
  return [
    ...anyOrder('subqueries', ...MEMBERS),
    ...anyOrder(
      'subqueries',
      p('SELECT id FROM customer WHERE id NOT IN (SELECT customer_id FROM orders WHERE qty > $1)', ['2']),
      p('SELECT id, id IN (SELECT customer_id FROM orders WHERE qty > $1) FROM customer', ['2'], {
        results: [1],
      }),
      p('SELECT id FROM customer WHERE id = $1 AND id NOT IN (SELECT customer_id FROM orders)', ['9']),
    ),
    ...writes(
      'UPDATE, DELETE, MERGE',
      'DELETE FROM item WHERE customer_id NOT IN (SELECT id FROM customer WHERE level > 1)',
      'DELETE FROM customer WHERE id NOT IN (SELECT customer_id FROM orders)',
      'UPDATE customer SET visits = 9 WHERE id NOT IN (SELECT customer_id FROM orders WHERE qty > 3) RETURNING id',
      'UPDATE orders SET note = $$late$$ WHERE customer_id IN (SELECT id FROM customer WHERE level = 1) OR qty > 4',
      'DELETE FROM orders WHERE customer_id NOT IN (SELECT k FROM loose)',
      'DELETE FROM loose WHERE k NOT IN (SELECT customer_id FROM orders)',
    ),
  ];
}
