/**
 * Random queries over tables of tenants, and their oracle: what the guard lets pass, with no tenant but 1 named, must show the
 * same whether the rows of all others are there or not.
 */
import assert from 'node:assert/strict';
import { loadSqlParser, readSqlBytes, TenantKnowledge, tenantQuestion } from '@pgdog-cluster/core';
import pg from 'pg';
import type { TestPostgres } from './embedded-postgres.js';

const COLUMN = 'tenant_id';
const TABLES = ['a', 'b', 'c'];
const STATEMENTS = 4000;
const PASSED_MIN = 300;

/** mulberry32: a seed replays a run. */
function generator(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    chance: (odds: number) => next() < odds,
    one: <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)],
  };
}

class Writer {
  private readonly random: ReturnType<typeof generator>;
  private aliases = 0;
  /** Names of common table expressions. */
  private commons: string[] = [];

  constructor(seed: number) {
    this.random = generator(seed);
  }

  statement(): string {
    this.commons = [];
    this.aliases = 0;
    const { random } = this;
    const clauses: string[] = [];
    for (let i = random.one([0, 0, 0, 1, 2]); i > 0; i--) {
      const name = random.one(['w1', 'w2', 'a']);
      if (this.commons.includes(name)) continue;
      clauses.push(`${name} AS (${this.select(1, [])})`);
      this.commons.push(name);
    }
    const body = this.select(0, []);
    return clauses.length === 0 ? body : `WITH ${clauses.join(', ')} ${body}`;
  }

  private select(depth: number, outer: readonly string[]): string {
    const { random } = this;
    if (depth < 2 && random.chance(0.12)) {
      const set = random.one(['UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT']);
      const arm = () =>
        `SELECT ${random.one(['tenant_id, id', 'id, tenant_id', '*'])} FROM ${this.source()} ${this.where([], depth)}`;
      return `${arm()} ${set} ${arm()}`;
    }
    const { text, names } = this.from(depth, outer);
    const where = this.where([...names, ...outer], depth);
    const targets = [
      '*',
      'count(*) AS n',
      'tenant_id, id',
      `${names[0]}.tenant_id, ${names[0]}.id`,
      `${names[0]}.*`,
      `${names.at(-1)}.tenant_id AS tenant_id, 1 AS id`,
      `${names[0]}.id AS tenant_id, ${names[0]}.tenant_id AS id`,
      '1 AS tenant_id, id',
    ];
    const windowed = `${names[0]}.tenant_id, ${names[0]}.id, count(*) OVER () AS n`;
    return `SELECT ${random.chance(0.05) ? windowed : random.one(targets)} FROM ${text} ${where}`;
  }

  private source(): string {
    return this.random.one([...TABLES, ...this.commons]);
  }

  private from(depth: number, outer: readonly string[]): { text: string; names: string[] } {
    const { random } = this;
    const names: string[] = [];
    const item = (): string => {
      const alias = `x${++this.aliases}`;
      if (depth < 2 && random.chance(0.25)) {
        const isLateral = random.chance(0.3);
        const query = this.select(depth + 1, isLateral ? [...names, ...outer] : outer);
        names.push(alias);
        return `${isLateral ? 'LATERAL ' : ''}(${query}) ${alias}`;
      }
      names.push(alias);
      return `${this.source()} ${alias}${random.chance(0.03) ? '(id, tenant_id)' : ''}`;
    };
    let text = item();
    for (let i = random.one([0, 0, 1, 1, 2]); i > 0; i--) {
      const kind = random.one([
        'JOIN',
        'JOIN',
        'LEFT JOIN',
        'RIGHT JOIN',
        'FULL JOIN',
        'CROSS JOIN',
        'NATURAL JOIN',
        ',',
      ]);
      if (kind === ',') text += `, ${item()}`;
      else if (kind === 'CROSS JOIN' || kind === 'NATURAL JOIN') text += ` ${kind} ${item()}`;
      else {
        const right = item();
        const on = random.chance(0.4)
          ? random.one(['USING (tenant_id)', 'USING (tenant_id, id)', 'USING (id)'])
          : `ON ${this.condition(names, depth)}`;
        text += ` ${kind} ${right} ${on}`;
      }
    }
    return { text, names };
  }

  private where(names: readonly string[], depth: number): string {
    return this.random.chance(0.12) ? '' : `WHERE ${this.condition(names, depth)}`;
  }

  private condition(names: readonly string[], depth: number): string {
    const { random } = this;
    const name = () => (names.length === 0 ? '' : `${random.one(names)}.`);
    const atom = (): string => {
      const kind = random.one([0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8]);
      if (kind === 0) return `${name()}tenant_id = 1`;
      if (kind === 1) return random.chance(0.5) ? 'tenant_id = 1' : '1 = tenant_id';
      if (kind === 2) return `${name()}tenant_id = ${name()}tenant_id`;
      if (kind === 3) return `${name()}id = ${name()}id`;
      if (kind === 4) return `${name()}id < 3`;
      if (kind === 5) return `(${name()}tenant_id = 1 OR ${name()}id = 2)`;
      if (kind === 6) return `NOT (${name()}tenant_id = 1)`;
      if (kind === 7) return `(${name()}tenant_id, ${name()}id) = (1, ${name()}id)`;
      if (depth >= 2) return 'true';
      return `${random.chance(0.3) ? 'NOT ' : ''}EXISTS (${this.select(depth + 1, names)})`;
    };
    const atoms = Array.from({ length: random.one([1, 2, 2, 3]) }, atom);
    return atoms.join(random.chance(0.07) ? ' OR ' : ' AND ');
  }
}

const ROWS = `
CREATE TABLE a (tenant_id int, id int); CREATE TABLE b (id int, tenant_id int); CREATE TABLE c (tenant_id int, id int);
INSERT INTO a SELECT t, n FROM generate_series(1, 3) t, generate_series(1, 4) n;
INSERT INTO b SELECT n, t FROM generate_series(1, 3) t, generate_series(2, 5) n;
INSERT INTO c SELECT t, n FROM generate_series(1, 2) t, generate_series(1, 3) n;
INSERT INTO a VALUES (NULL, 1); INSERT INTO b VALUES (2, NULL)`;
const LESS = TABLES.map((table) => `DELETE FROM ${table} WHERE tenant_id IS DISTINCT FROM 1`).join(';');

async function open(server: TestPostgres, database: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url(database) });
  await client.connect();
  return client;
}

/** Rows in one order, or the error. */
async function answer(client: pg.Client, sql: string): Promise<string> {
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return JSON.stringify(rows.map((row) => JSON.stringify(row)).sort());
  } catch (error) {
    return `error ${(error as { code?: string }).code}`;
  }
}

export async function compareRandomStatements(server: TestPostgres, seed = 20): Promise<void> {
  const parser = await loadSqlParser();
  const admin = await open(server, 'postgres');
  for (const name of ['tenants_all', 'tenants_one']) await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const [all, one] = [await open(server, 'tenants_all'), await open(server, 'tenants_one')];
  await all.query(ROWS);
  await one.query(`${ROWS}; ${LESS}`);
  const knowledge = new TenantKnowledge(COLUMN);
  const sql = `BEGIN; SET LOCAL search_path = pg_catalog, pg_temp${tenantQuestion(COLUMN)}; COMMIT`;
  const results = (await all.query({ text: sql, rowMode: 'array' })) as unknown as { rows: string[][] }[];
  for (const { rows } of results) for (const row of rows) knowledge.take(row);
  const writer = new Writer(seed);
  let passed = 0;
  for (let i = 0; i < STATEMENTS; i++) {
    const text = writer.statement();
    const bytes = Buffer.from(text);
    const { tenant } = readSqlBytes(bytes, 0, bytes.length, parser, true, COLUMN);
    if (tenant === undefined || knowledge.refusal(tenant, parser) !== null) continue;
    const shown = await answer(all, text);
    if (!shown.startsWith('error')) passed++;
    assert.equal(shown, await answer(one, text), `shows more than one tenant: ${text}`);
  }
  await all.end();
  await one.end();
  assert.ok(passed >= PASSED_MIN, `only ${passed} statements passed and ran`);
}
