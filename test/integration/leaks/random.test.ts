/**
 * Clients at random: each writes its own number into every kind of state, and must never read another's, nor lose its own.
 * The seed is printed; SEED=n runs it again, PGDOG_TEST_LEAK_SECONDS=n longer.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { startPostgres, type TestPostgres } from '../../support/embedded-postgres.js';
import { B, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient } from '../../support/raw-client.js';
import { clientOf, sleep, sqlstateOf, startWireProxy } from '../../support/wire.js';

const seed = Number(process.env['SEED'] ?? randomInt(1_000_000_000));
const seconds = Number(process.env['PGDOG_TEST_LEAK_SECONDS'] ?? 1.2);
const CLIENTS = 10;

/** mulberry32: small, and the same everywhere. */
function randomSource(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    initSql: `
      ${Array.from({ length: CLIENTS }, (_, n) => `CREATE ROLE role_${n}; CREATE SCHEMA path_${n};`).join('\n')}
      CREATE SEQUENCE counter;
      GRANT ALL ON SEQUENCE counter TO PUBLIC;
      CREATE FUNCTION set_me(n text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN PERFORM set_config('app.me', n, false); END $$;`,
  });
});
after(() => server.stop());

/** One client and what it must see: its own number, or nothing. */
class Walker {
  readonly number: number;
  readonly random: () => number;
  readonly proxy: TestProxy;
  client: RawClient;
  /** Expected answers by the statement that asks. */
  readonly expected = new Map<string, string>();
  steps = 0;

  constructor(number: number, proxy: TestProxy, client: RawClient) {
    this.number = number;
    this.proxy = proxy;
    this.client = client;
    this.random = randomSource(seed + number);
    this.forget();
  }

  /** As on a new connection. */
  forget(): void {
    for (const [ask, value] of NOTHING) this.expected.set(ask, value);
  }

  async step(): Promise<void> {
    this.steps++;
    const action = ACTIONS[Math.floor(this.random() * ACTIONS.length)];
    await action?.(this);
    for (const [ask, value] of this.expected) {
      if (this.random() < 0.5) continue;
      const { rows, error } = await this.client.query(ask);
      assert.equal(error?.['C'] ?? rows[0]?.[0], value, `client ${this.number}, ${ask}, seed ${seed}`);
    }
  }

  async do(sql: string, ask: string, value: string): Promise<void> {
    const result = await this.client.query(sql);
    assert.equal(
      sqlstateOf(result),
      '',
      `client ${this.number}, ${sql}: ${result.error?.['M']}, seed ${seed}`,
    );
    this.expected.set(ask, value);
  }
}

const ME = "SELECT coalesce(nullif(current_setting('app.me', true), ''), 'nobody')";
const WHO = 'SELECT current_user';
const PATH = "SELECT current_setting('search_path')";
const MEM = 'SHOW work_mem';
const TEMP = "SELECT CASE WHEN to_regclass('pg_temp.mine') IS NULL THEN 'none' ELSE 'mine' END";
const LOCKS =
  "SELECT coalesce(string_agg(objid::text, ',' ORDER BY objid), 'none') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
const CHANNELS = "SELECT coalesce(string_agg(c, ','), 'none') FROM pg_listening_channels() AS c";
const CURSORS = "SELECT coalesce(string_agg(name, ','), 'none') FROM pg_cursors WHERE is_holdable";
const STATEMENT = 'EXECUTE mine';

const NOTHING: [ask: string, value: string][] = [
  [ME, 'nobody'],
  [WHO, 'postgres'],
  [PATH, '"$user", public'],
  [MEM, '4MB'],
  [TEMP, 'none'],
  [LOCKS, 'none'],
  [CHANNELS, 'none'],
  [CURSORS, 'none'],
  [STATEMENT, '26000'],
];

type Action = (walker: Walker) => Promise<unknown>;

const ACTIONS: Action[] = [
  (w) => w.do(`SET app.me = '${w.number}'`, ME, `${w.number}`),
  (w) => w.do(`SELECT public.set_me('${w.number} f')`, ME, `${w.number} f`),
  (w) =>
    w.do(`DO $$ BEGIN PERFORM set_config('app.me', '${w.number} d', false); END $$`, ME, `${w.number} d`),
  async (w) => {
    w.client.send(
      P('', 'SELECT set_config($1, $2, false)'),
      B('', '', { values: ['app.me', `${w.number} b`] }),
      ...[E('', w.random() < 0.5 ? 1 : 0), S()],
    );
    assert.equal(sqlstateOf(await w.client.readUntilReady()), '');
    w.expected.set(ME, `${w.number} b`);
  },
  (w) => w.do(`SET work_mem = '${w.number + 10}MB'`, MEM, `${w.number + 10}MB`),
  (w) => w.do('RESET work_mem', MEM, '4MB'),
  (w) => w.do(`SET ROLE role_${w.number}`, WHO, `role_${w.number}`),
  (w) => w.do('RESET ROLE', WHO, 'postgres'),
  (w) => w.do(`SET search_path = path_${w.number}`, PATH, `path_${w.number}`),
  (w) => w.do('CREATE TEMP TABLE IF NOT EXISTS mine (x int)', TEMP, 'mine'),
  async (w) => {
    // Its owner may be any of the client's roles.
    await w.do('RESET ROLE', WHO, 'postgres');
    await w.do('DROP TABLE IF EXISTS pg_temp.mine', TEMP, 'none');
  },
  async (w) => {
    // Its own connection of before may not have been cleaned yet.
    const { rows } = await w.client.query(
      `SELECT pg_advisory_unlock_all(), pg_try_advisory_lock(${w.number})`,
    );
    w.expected.set(LOCKS, rows[0]?.[1] === 't' ? `${w.number}` : 'none');
  },
  (w) => w.do('SELECT pg_advisory_unlock_all()', LOCKS, 'none'),
  (w) => w.do(`LISTEN channel_${w.number}`, CHANNELS, `channel_${w.number}`),
  (w) => w.do('UNLISTEN *', CHANNELS, 'none'),
  async (w) => {
    await w.client.query('CLOSE ALL');
    await w.do(`DECLARE cursor_${w.number} CURSOR WITH HOLD FOR SELECT 1`, CURSORS, `cursor_${w.number}`);
  },
  (w) => w.do('CLOSE ALL', CURSORS, 'none'),
  async (w) => {
    await w.client.query('DEALLOCATE ALL');
    await w.do(`PREPARE mine AS SELECT '${w.number}'`, STATEMENT, `${w.number}`);
  },
  // What is taken back is not there.
  async (w) => {
    await w.client.query('BEGIN');
    await w.client.query(`SET app.me = '${w.number} lost'; SET work_mem = '99MB'; SET ROLE role_${w.number}`);
    if (w.random() < 0.5) await w.client.query('SELECT 1/0');
    await w.client.query('ROLLBACK');
  },
  async (w) => {
    w.client.send(Q("SET work_mem = '98MB'; SELECT 1/0"));
    await w.client.readUntilReady();
  },
  async (w) => {
    await w.client.query('DISCARD ALL');
    w.forget();
  },
  // Somebody else's number is never the last value here.
  async (w) => {
    const { rows } = await w.client.query("SELECT nextval('public.counter')");
    const { rows: seen, error } = await w.client.query('SELECT lastval()');
    if (error === null) assert.equal(seen[0]?.[0], rows[0]?.[0], `client ${w.number}, lastval, seed ${seed}`);
    else assert.equal(error['C'], '55000');
  },
  ...['end', 'destroy', 'reset', 'running', 'batch'].map(
    (manner): Action =>
      async (w) => {
        if (manner === 'running') w.client.send(Q('SELECT pg_sleep(0.01)'));
        if (manner === 'batch') w.client.send(P('', "SET app.me = 'ghost'"), B('', ''), E(''));
        if (manner === 'end') await w.client.end();
        else w.client.destroy(manner === 'reset');
        if (w.random() < 0.5) await sleep(1);
        w.client = await clientOf(w.proxy);
        w.forget();
      },
  ),
];

const STEPS_MIN = 3;

forEachDriver('clients at random', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, {
      workers: 2,
      // Room for all to be pinned, and no more servers than needed: they go from hand to hand.
      database: { pool_size: Math.max(8, CLIENTS), max_db_connections: CLIENTS },
      general: { auth_type: 'trust', rollback_timeout: 5000 },
    });
  });
  after(() => proxy.stop());

  it(`never see each other's state (seed ${seed})`, async (t) => {
    t.diagnostic(`SEED=${seed}`);
    const walkers = await Promise.all(
      Array.from({ length: CLIENTS }, async (_, number) => new Walker(number, proxy, await clientOf(proxy))),
    );
    const ends = performance.now() + seconds * 1000;
    await Promise.all(
      walkers.map(async (walker) => {
        // However slow the machine is, each of them does something.
        while (performance.now() < ends || walker.steps < STEPS_MIN) await walker.step();
      }),
    );
    await Promise.all(walkers.map((walker) => walker.client.end()));
  });
});
