/** What the demo invites to try. A test runs every statement of it against the running demo. */

export interface TourStop {
  label: string;
  /** One after the other, on one connection. */
  statements: readonly string[];
  /** Ask the admin database. */
  isAdmin?: boolean;
  /** The last of them is refused, in these words. */
  error?: string;
  /** On one line. */
  isJoined?: boolean;
}

/** Customers 1 and 2 are on different shards. */
export const TOUR: readonly TourStop[] = [
  { label: 'one shard', statements: ['SELECT name, email FROM customers WHERE id = 42;'] },
  {
    label: 'all of them',
    statements: [
      'SELECT id, name, created_at FROM customers ORDER BY created_at DESC LIMIT 5;',
      'SELECT status, count(*), sum(quantity) FROM orders GROUP BY status;',
    ],
  },
  { label: 'and why', statements: ['EXPLAIN (PGDOG) SELECT count(*) FROM orders;'] },
  {
    label: 'both or none',
    statements: [
      'BEGIN;',
      'UPDATE customers SET credit = credit - 5 WHERE id = 1;',
      'UPDATE customers SET credit = credit + 5 WHERE id = 2;',
      'COMMIT;',
    ],
  },
  {
    label: 'by hand',
    statements: ['SET pgdog.shard = 1;', 'SELECT count(*) FROM customers;', 'RESET pgdog.shard;'],
    isJoined: true,
  },
  {
    label: 'refused',
    statements: ['UPDATE customers SET id = 5000 WHERE id = 1;'],
    error: 'the sharding key customers.id is set: the row may belong elsewhere',
  },
  { label: 'servers', statements: ['SHOW pgdog.shards;'] },
  {
    label: 'as admin',
    statements: ['SHOW SHARDED_TABLES;', 'SHOW TRANSACTIONS;', 'SHOW POOLS;', 'SHOW STATS;', 'SHOW HELP;'],
    isAdmin: true,
    isJoined: true,
  },
];
