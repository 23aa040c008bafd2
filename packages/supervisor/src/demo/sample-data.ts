/**
 * The demo's data: a small shop and a bank for the load, the same on every start. Each server's database `shard` is one shard
 * of the database `postgres` of the proxy.
 */

/** Raise when anything below changes: older data directories are then made again. */
export const SAMPLE_DATA_VERSION = 3;

export const ACCOUNT_COUNT = 96_000;
export const TELLER_COUNT = 480;
/** Three times as many as the load has clients, so that they do not all wait for one row. */
export const BRANCH_COUNT = 48;
export const CUSTOMER_COUNT = 3_000;
const ORDERS_PER_CUSTOMER = 8;

/** As `[[sharded_tables]]` has them: the rows of each are on the shard of this column. All other tables are whole on every shard. */
export const SHARDED_TABLES: readonly { name: string; column: string; data_type: string }[] = [
  { name: 'customers', column: 'id', data_type: 'bigint' },
  { name: 'orders', column: 'customer_id', data_type: 'bigint' },
  { name: 'branches', column: 'id', data_type: 'bigint' },
  { name: 'tellers', column: 'branch_id', data_type: 'bigint' },
  { name: 'accounts', column: 'branch_id', data_type: 'bigint' },
  { name: 'history', column: 'branch_id', data_type: 'bigint' },
];

export function branchOf(accountOrTeller: number): number {
  return 1 + (accountOrTeller % BRANCH_COUNT);
}

/**
 * Everything of one shard. Which rows that are Postgres itself says: a shard is what a partition by hash would be. Primary
 * keys have the sharding key in them: only such ones hold over all shards.
 */
export function shardSql(shard: number, shardCount: number): string {
  const isHere = (key: string): string =>
    `satisfies_hash_partition('placement'::regclass, ${shardCount}, ${shard}, ${key})`;
  return `
CREATE TEMP TABLE placement (key bigint) PARTITION BY HASH (key);
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
INSERT INTO countries VALUES ('DE', 'Germany'), ('US', 'United States'), ('JP', 'Japan'), ('BR', 'Brazil'),
  ('IN', 'India'), ('FR', 'France'), ('KE', 'Kenya'), ('CA', 'Canada');
CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL);
INSERT INTO products VALUES (1, 'keyboard', 89.00), (2, 'lamp', 34.50), (3, 'notebook', 4.20), (4, 'headphones', 129.00),
  (5, 'backpack', 59.90), (6, 'mug', 12.00);
CREATE TABLE customers (
  id bigint PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL,
  country text NOT NULL REFERENCES countries,
  credit numeric(10, 2) NOT NULL DEFAULT 0 CHECK (credit >= 0),
  created_at timestamptz NOT NULL
);
CREATE TABLE orders (
  id bigint NOT NULL,
  customer_id bigint NOT NULL REFERENCES customers,
  product_id int NOT NULL REFERENCES products,
  quantity int NOT NULL CHECK (quantity > 0),
  price numeric(10, 2) NOT NULL,
  status text NOT NULL,
  ordered_at timestamptz NOT NULL,
  PRIMARY KEY (customer_id, id)
);
INSERT INTO customers
SELECT id, first || ' ' || last, lower(first) || '.' || lower(last) || id || '@example.com',
       (ARRAY['DE', 'US', 'JP', 'BR', 'IN', 'FR', 'KE', 'CA'])[1 + id * 7 % 8], 1000,
       timestamptz '2024-01-01 00:00 UTC' + id * interval '97 minutes'
FROM generate_series(1::bigint, ${CUSTOMER_COUNT}) AS id,
     LATERAL (SELECT (ARRAY['Ada', 'Alan', 'Grace', 'Edsger', 'Barbara', 'Niklaus', 'Radia', 'Ken'])[1 + id % 8] AS first,
                     (ARRAY['Arnold', 'Berg', 'Costa', 'Diallo', 'Evans', 'Fischer', 'Gupta'])[1 + id % 7] AS last) AS names
WHERE ${isHere('id')};
INSERT INTO orders
SELECT customers.id * ${ORDERS_PER_CUSTOMER} + n, customers.id, products.id, 1 + (customers.id + n) % 4, products.price,
       (ARRAY['open', 'paid', 'shipped', 'delivered', 'delivered', 'returned'])[1 + (customers.id + n * 3) % 6],
       customers.created_at + n * interval '9 days'
FROM customers, generate_series(0, ${ORDERS_PER_CUSTOMER - 1}) AS n JOIN products ON true
WHERE products.id = 1 + (customers.id * 5 + n) % 6;
CREATE INDEX ON customers (email);
CREATE INDEX ON orders (ordered_at);
${bankSql(isHere)}
DROP TABLE placement;
ANALYZE;
`;
}

/** Tables in the manner of TPC-B, for the load. Half-filled pages keep updates in place. */
function bankSql(isHere: (key: string) => string): string {
  const branchOfId = `1 + id % ${BRANCH_COUNT}`;
  return `
CREATE TABLE branches (id bigint PRIMARY KEY, balance bigint NOT NULL DEFAULT 0) WITH (fillfactor = 10);
CREATE TABLE tellers (id bigint, branch_id bigint, balance bigint NOT NULL DEFAULT 0, PRIMARY KEY (branch_id, id)) WITH (fillfactor = 10);
CREATE TABLE accounts (id bigint, branch_id bigint, balance bigint NOT NULL DEFAULT 0, PRIMARY KEY (branch_id, id)) WITH (fillfactor = 50);
CREATE TABLE history (account_id bigint, teller_id bigint, branch_id bigint, delta int, at timestamptz);
INSERT INTO branches SELECT id FROM generate_series(1::bigint, ${BRANCH_COUNT}) AS id WHERE ${isHere('id')};
INSERT INTO tellers SELECT id, ${branchOfId} FROM generate_series(1::bigint, ${TELLER_COUNT}) AS id WHERE ${isHere(branchOfId)};
INSERT INTO accounts SELECT id, ${branchOfId} FROM generate_series(1::bigint, ${ACCOUNT_COUNT}) AS id WHERE ${isHere(branchOfId)};`;
}
