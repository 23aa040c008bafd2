/** The server's side of the story, over a direct connection: how many backends, and what they were left with. */
import pg from 'pg';
import * as frames from '../support/frames.js';
import { ChaosClient, type ChaosTarget } from './chaos-client.js';
import { ChaosFailure } from './reply-machine.js';
import { SETTINGS, type SettingName } from './session-model.js';

const SAMPLE_EVERY_MS = 50;

/** What the clients use; idempotent. */
export const CHAOS_SCHEMA = `
  CREATE UNLOGGED TABLE IF NOT EXISTS public.chaos_rows (token text);
  CREATE UNLOGGED TABLE IF NOT EXISTS public.chaos_copy (token text, n int);
  CREATE SCHEMA IF NOT EXISTS chaos_1;
  CREATE SCHEMA IF NOT EXISTS chaos_2;
  DROP TABLE IF EXISTS public.whoami, chaos_1.whoami, chaos_2.whoami;
  CREATE TABLE public.whoami AS SELECT 'public'::text AS name;
  CREATE TABLE chaos_1.whoami AS SELECT 'chaos_1'::text AS name;
  CREATE TABLE chaos_2.whoami AS SELECT 'chaos_2'::text AS name;
  DO $$ BEGIN CREATE ROLE chaos_role SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
  CREATE OR REPLACE FUNCTION public.chaos_hide(token text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('app.hidden', token, false); END $$;
  TRUNCATE public.chaos_rows, public.chaos_copy`;

/** Backends of the proxy, by the name it cannot have: ours is the only other client of this database. */
const BACKENDS = `FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database()
  AND pid <> pg_backend_pid()`;

interface Backend {
  pid: number;
  state: string;
  query: string;
}

export class ServerWatch {
  connectionsMax = 0;
  samples = 0;
  /** Samples above the limit, each with what was there. */
  readonly excesses: string[] = [];
  #client: pg.Client;
  #limit: number;
  #isStopping = false;
  #loop: Promise<void> = Promise.resolve();

  private constructor(client: pg.Client, limit: number) {
    this.#client = client;
    this.#limit = limit;
  }

  static async open(target: ChaosTarget, limit: number): Promise<ServerWatch> {
    const client = new pg.Client({ ...target });
    client.on('error', () => undefined);
    await client.connect();
    return new ServerWatch(client, limit);
  }

  async rows<Row>(sql: string, values: unknown[] = []): Promise<Row[]> {
    const result: unknown = await this.#client.query(sql, values);
    return (result as { rows: Row[] }).rows;
  }

  async prepareSchema(): Promise<void> {
    await this.#client.query(CHAOS_SCHEMA);
  }

  /** What a fresh session of this database and user sees. */
  async defaults(): Promise<Map<SettingName, string>> {
    const list = SETTINGS.map((name) => `coalesce(current_setting('${name}', true), '') AS "${name}"`);
    const [row = {}] = await this.rows<Record<string, string>>(`SELECT ${list.join(', ')}`);
    return new Map(SETTINGS.map((name) => [name, row[name] ?? '']));
  }

  start(): void {
    this.#loop = this.#sample();
  }

  async #sample(): Promise<void> {
    while (!this.#isStopping) {
      const rows = await this.#together();
      this.samples += 1;
      this.connectionsMax = Math.max(this.connectionsMax, rows.length);
      if (rows.length > this.#limit && this.excesses.length < 20)
        this.excesses.push(rows.map(({ pid, state, query }) => `${pid} ${state} ${query}`).join(' | '));
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_EVERY_MS));
    }
  }

  /**
   * Backends that are there at one time. Postgres reads its list of them slot by slot, and may be made to wait in between:
   * one that has ended and the one that was begun in its place can both be in it. Those of two readings were there together.
   */
  async #together(): Promise<Backend[]> {
    const read = (): Promise<Backend[]> =>
      this.rows(`SELECT pid, state, left(query, 60) AS query ${BACKENDS}`);
    const first = await read();
    if (first.length <= this.#limit) return first;
    const again = new Set((await read()).map(({ pid }) => pid));
    return first.filter(({ pid }) => again.has(pid));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#loop;
  }

  async end(): Promise<void> {
    await this.#client.end();
  }

  /** Nothing is under way and no lock is left within the time; else what is. */
  async settle(timeoutMs: number): Promise<string[]> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const busy = await this.rows<{ text: string }>(
        `SELECT 'backend ' || pid || ' is ' || state || ': ' || left(query, 80) AS text ${BACKENDS} AND state <> 'idle'
         UNION ALL SELECT 'advisory lock ' || objid || ' of ' || pid FROM pg_locks WHERE locktype = 'advisory'`,
      );
      if (busy.length === 0 || performance.now() > deadlineMs) return busy.map(({ text }) => text);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Rows that must be there, and rows that must not. */
  async checkRows(committed: Set<string>, absent: Set<string>): Promise<string[]> {
    const found = new Set<string>();
    for (const table of ['chaos_rows', 'chaos_copy'])
      for (const { token } of await this.rows<{ token: string }>(
        `SELECT DISTINCT token FROM public.${table}`,
      ))
        found.add(token);
    const lost = [...committed].filter((token) => !found.has(token));
    const ghosts = [...absent].filter((token) => found.has(token));
    return [
      ...lost.map((token) => `committed row ${token} is lost`),
      ...ghosts.map((token) => `row ${token} of a transaction that never committed is there`),
    ].slice(0, 20);
  }

  /** Every setting a fresh session has. */
  async freshSettings(): Promise<Map<string, string>> {
    const rows = await this.rows<{ name: string; setting: string }>(ALL_SETTINGS);
    return new Map(rows.map(({ name, setting }) => [name, setting]));
  }
}

const ALL_SETTINGS =
  "SELECT name, setting FROM pg_settings WHERE context IN ('user', 'superuser') ORDER BY name";
/** What node-postgres sets, and what says which connection it is. */
const DIFFERING = new Set(['application_name', 'client_encoding', 'DateStyle', 'extra_float_digits']);
const LEFTOVERS = `SELECT pg_backend_pid()::text,
  coalesce(current_setting('app.token', true), '') || coalesce(current_setting('app.extra', true), '')
    || coalesce(current_setting('app.hidden', true), ''),
  current_setting('role') || ' ' || current_user,
  (SELECT count(*)::text FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'),
  (SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'),
  (SELECT count(*)::text FROM pg_listening_channels()),
  (SELECT count(*)::text FROM pg_cursors WHERE is_holdable),
  current_setting('application_name')`;

async function ask(client: ChaosClient, sql: string): Promise<(string | null)[][]> {
  const request = client.request('Q', frames.Q(sql), sql);
  client.flush();
  await client.settled();
  if (request.error !== null) throw new ChaosFailure(`${request.sqlstate} ${request.error['M']} (${sql})`);
  return request.rows;
}

/** A client on each of `count` server connections at once, looking for what others left there. */
export async function inspectServers(
  target: ChaosTarget,
  count: number,
  fresh: Map<string, string>,
): Promise<string[]> {
  const problems: string[] = [];
  const clients = await Promise.all(Array.from({ length: count }, () => ChaosClient.open(target)));
  for (const client of clients) {
    const refusal = await client.login({}, 196608);
    if (refusal !== null) throw new ChaosFailure(`login refused: ${refusal['C']} ${refusal['M']}`);
  }
  await Promise.all(clients.map((client) => ask(client, 'BEGIN')));
  const pids = new Set<string>();
  for (const client of clients) {
    const [row = []] = await ask(client, LEFTOVERS);
    pids.add(row[0] ?? '');
    const got = row.slice(1).join(';');
    const wanted = ['', `none ${target.user}`, '0', '0', '0', '0', ''].join(';');
    if (got !== wanted) problems.push(`backend ${row[0]} was left with ${got} instead of ${wanted}`);
    for (const [name = '', setting] of (await ask(client, ALL_SETTINGS)) as [string, string][])
      if (!DIFFERING.has(name) && fresh.get(name) !== setting)
        problems.push(`backend ${row[0]}: ${name} is ${setting} instead of ${fresh.get(name)}`);
  }
  if (pids.size !== count) problems.push(`${count} transactions at once met ${pids.size} backends`);
  await Promise.all(clients.map((client) => ask(client, 'ROLLBACK')));
  for (const client of clients) client.vanish('terminate');
  await Promise.all(clients.map((client) => client.closed));
  return problems;
}
