/** DO of definitions alone, and what else it may be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDefiningBlock, loadSqlParser } from '@pgdog-cluster/core';

const parser = await loadSqlParser();

function isDefining(body: string, rest = ''): boolean {
  const parsed = parser.parse(`DO $do$${body}$do$${rest}`);
  assert.ok(parsed !== null && parsed !== 'unread', body);
  return isDefiningBlock(parsed[0].node, parser, (kind) => kind !== 'CreateSeqStmt');
}

const TYPE = "CREATE TYPE mood AS ENUM ('a;', 'b')";
const CAUGHT = 'EXCEPTION WHEN duplicate_object THEN null;';

test('definitions, those that may be there already, and those behind a question about a name', () => {
  for (const body of [
    `BEGIN ${TYPE}; END`,
    `begin\n -- a comment;\n ${TYPE}; ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u (id); ${CAUGHT} end;`,
    `BEGIN ${TYPE}; EXCEPTION WHEN duplicate_object OR duplicate_table THEN WHEN undefined_table THEN NULL; END;`,
    `BEGIN IF NOT EXISTS (SELECT 1 FROM pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE typname = 'mood' AND n.nspname = current_schema()) THEN ${TYPE}; END IF; END`,
    "BEGIN IF EXISTS (SELECT FROM information_schema.columns WHERE table_name = 't') THEN ALTER TABLE t DROP COLUMN a; END IF; NULL; END",
    "BEGIN IF NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = 't'::regclass AND conname = 'c') THEN ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0); END IF; END",
  ]) {
    assert.equal(isDefining(body), true, body);
    assert.equal(isDefining(body, ' LANGUAGE plpgsql'), true, body);
    assert.equal(isDefining(body, ' LANGUAGE plperl'), false, body);
  }
});

test('everything else is code', () => {
  for (const body of [
    '',
    'BEGIN END',
    'BEGIN NULL; END',
    'BEGIN END IF',
    `BEGIN ${TYPE} END`,
    `BEGIN ${TYPE}; END; SELECT 1`,
    `DECLARE x int; BEGIN ${TYPE}; END`,
    `BEGIN ${TYPE}; EXCEPTION WHEN OTHERS THEN NULL; END`,
    `BEGIN ${TYPE}; EXCEPTION WHEN unique_violation THEN NULL; END`,
    `BEGIN ${TYPE}; EXCEPTION WHEN duplicate_object OR check_violation THEN NULL; END`,
    `BEGIN ${TYPE}; EXCEPTION WHEN duplicate_object THEN RAISE NOTICE 'x'; END`,
    `BEGIN ${TYPE}; EXCEPTION END`,
    'BEGIN INSERT INTO t VALUES (1); END',
    'BEGIN PERFORM f(); END',
    "BEGIN EXECUTE 'DROP TABLE t'; END",
    'BEGIN CREATE SEQUENCE s; END',
    `BEGIN IF EXISTS (SELECT 1 FROM t) THEN ${TYPE}; END IF; END`,
    `BEGIN IF EXISTS (SELECT 1 FROM public.pg_type) THEN ${TYPE}; END IF; END`,
    `BEGIN IF EXISTS (SELECT 1 FROM tables) THEN ${TYPE}; END IF; END`,
    `BEGIN IF EXISTS (SELECT 1 FROM pg_class WHERE oid = 16384) THEN ${TYPE}; END IF; END`,
    `BEGIN IF EXISTS (SELECT 1 FROM pg_class WHERE random() > 0.5) THEN ${TYPE}; END IF; END`,
    `BEGIN IF EXISTS (SELECT 1 FROM pg_class) THEN ${TYPE}; ELSE DROP TABLE t; END IF; END`,
    `BEGIN IF EXISTS (SELECT 1 FROM pg_class) OR true THEN ${TYPE}; END IF; END`,
    `BEGIN IF EXISTS (SELECT 1 FROM pg_class) THEN IF EXISTS (SELECT 1 FROM pg_class) THEN ${TYPE}; END IF; END IF; END`,
  ]) {
    assert.equal(isDefining(body), false, body);
  }
});
