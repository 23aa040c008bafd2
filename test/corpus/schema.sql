-- What the statements of reads.sql and writes.sql are about.

CREATE SEQUENCE numbers

CREATE TYPE mood AS ENUM ('new', 'used')

CREATE TYPE pair AS (a int, b int)

CREATE DOMAIN positive AS int CHECK (VALUE > 0)

CREATE TABLE users (id int PRIMARY KEY, name text)

CREATE TABLE orders (id int, note text, amount int, created timestamptz, tags text[], data jsonb, price numeric, quantity int,
  flags bit(3), period tstzrange)

CREATE TABLE items (id int, order_id int, price numeric)

CREATE TABLE staff (id int, boss int)

CREATE TABLE parted (id int) PARTITION BY RANGE (id)

CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10)

CREATE UNLOGGED TABLE fleeting (id int)

CREATE VIEW order_view AS SELECT id, note FROM orders WHERE lower(note) <> 'x'

CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders

CREATE ROLE reader

CREATE FOREIGN DATA WRAPPER nowhere

CREATE SERVER far FOREIGN DATA WRAPPER nowhere

CREATE FUNCTION treble(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3 * $1'

CREATE FUNCTION label_of(mood) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1::text'

CREATE FUNCTION latest() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT max(created) FROM orders'

CREATE FUNCTION bump() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('numbers') $$

CREATE FUNCTION bumped(orders) RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('numbers') $$

CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'

CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'

CREATE PROCEDURE work_off(a int) LANGUAGE sql AS 'INSERT INTO users VALUES (a)'

CREATE VIEW bumping_view AS SELECT bump() AS n

CREATE TABLE guarded_by_bump (id int)

ALTER TABLE guarded_by_bump ENABLE ROW LEVEL SECURITY

ALTER TABLE guarded_by_bump FORCE ROW LEVEL SECURITY

CREATE POLICY by_bump ON guarded_by_bump USING (bump() > 0)

INSERT INTO users VALUES (1, 'a'), (2, 'b')

INSERT INTO orders VALUES (1, 'a', 10, now(), '{a,b}', '{"a": 1}', 2.5, 3, B'101', tstzrange(now() - interval '1 day', NULL)),
  (2, 'b', 20, now(), '{c}', '{"a": 7}', 7, 1, B'001', NULL)

INSERT INTO items VALUES (1, 1, 5)
