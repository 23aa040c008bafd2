/**
 * The demo's data: a small shop and a bank for the load, the same on every start. Server 0's database `postgres`
 * has all of it; each server's database `shard` has the customers whose id modulo the number of servers is the
 * server's index, with their orders.
 */

/** Raise when anything below changes: older data directories are then made again. */
export const SAMPLE_DATA_VERSION = 1;

export const ACCOUNT_COUNT = 100_000;
export const TELLER_COUNT = 160;
/** As many as the load has clients, so that they do not all wait for one row. */
export const BRANCH_COUNT = 16;
const CUSTOMER_COUNT = 3_000;
const ORDERS_PER_CUSTOMER = 8;

/** Customers and orders; `condition` chooses the customers of one shard by their id. */
export function shopSql(condition: string): string {
  return `
CREATE TABLE customers (
  id bigint PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL UNIQUE,
  country text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE TABLE orders (
  id bigint PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customers (id),
  product text NOT NULL,
  quantity int NOT NULL CHECK (quantity > 0),
  price numeric(10, 2) NOT NULL,
  status text NOT NULL,
  ordered_at timestamptz NOT NULL
);
INSERT INTO customers
SELECT id, first || ' ' || last, lower(first) || '.' || lower(last) || id || '@example.com',
       (ARRAY['DE', 'US', 'JP', 'BR', 'IN', 'FR', 'KE', 'CA'])[1 + id * 7 % 8],
       timestamptz '2024-01-01 00:00 UTC' + id * interval '97 minutes'
FROM generate_series(1, ${CUSTOMER_COUNT}) AS id,
     LATERAL (SELECT (ARRAY['Ada', 'Alan', 'Grace', 'Edsger', 'Barbara', 'Niklaus', 'Radia', 'Ken'])[1 + id % 8] AS first,
                     (ARRAY['Arnold', 'Berg', 'Costa', 'Diallo', 'Evans', 'Fischer', 'Gupta'])[1 + id % 7] AS last) AS names
WHERE ${condition};
INSERT INTO orders
SELECT customers.id * ${ORDERS_PER_CUSTOMER} + n, customers.id,
       (ARRAY['keyboard', 'lamp', 'notebook', 'headphones', 'backpack', 'mug'])[1 + (customers.id * 5 + n) % 6],
       1 + (customers.id + n) % 4, 5 + (customers.id * 31 + n * 17) % 9500 / 100.0,
       (ARRAY['open', 'paid', 'shipped', 'delivered', 'delivered', 'returned'])[1 + (customers.id + n * 3) % 6],
       customers.created_at + n * interval '9 days'
FROM customers, generate_series(0, ${ORDERS_PER_CUSTOMER - 1}) AS n;
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (ordered_at);
ANALYZE customers, orders;
`;
}

/** Tables in the manner of TPC-B, for the load. Half-filled pages keep updates in place. */
export const BANK_SQL = `
CREATE TABLE branches (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0) WITH (fillfactor = 10);
CREATE TABLE tellers (id int PRIMARY KEY, branch_id int NOT NULL, balance bigint NOT NULL DEFAULT 0) WITH (fillfactor = 10);
CREATE TABLE accounts (id int PRIMARY KEY, branch_id int NOT NULL, balance bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);
CREATE TABLE history (account_id int, teller_id int, branch_id int, delta int, at timestamptz);
INSERT INTO branches SELECT id FROM generate_series(1, ${BRANCH_COUNT}) AS id;
INSERT INTO tellers SELECT id, 1 + id % ${BRANCH_COUNT} FROM generate_series(1, ${TELLER_COUNT}) AS id;
INSERT INTO accounts SELECT id, 1 + id % ${BRANCH_COUNT} FROM generate_series(1, ${ACCOUNT_COUNT}) AS id;
ANALYZE branches, tellers, accounts;
`;
