/**
 * Where leaks are looked for: databases that are equal and apart, each behind a pool of one server connection, so that
 * the next client surely gets it, and several can be tried at a time.
 */

import type { TestDriver } from './drivers.js';
import { startPostgres, type TestPostgres } from './embedded-postgres.js';
import { databaseOf, startProxy, type TestProxy } from './proxy.js';
import type { RawClient } from './raw-client.js';
import type { TomlTable } from './toml-text.js';
import { clientOf, eventually, run } from './wire.js';

export const LANES = Array.from({ length: 8 }, (_, index) => `lane${index}`);

const FUNCTIONS = `
  CREATE SEQUENCE counter;
  CREATE TABLE sink (x text);
  CREATE TABLE numbered (id serial);
  CREATE TABLE two_columns (x int, y int);
  GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
  GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
  CREATE FUNCTION leak_setting() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '77MB', false) $$;
  CREATE FUNCTION leak_user(id int) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('app.user_id', id::text, false); END $$;
  CREATE FUNCTION leak_with_clause() RETURNS void LANGUAGE plpgsql SET work_mem = '9MB' AS
    $$ BEGIN PERFORM set_config('app.user_id', '4711', false); END $$;
  CREATE FUNCTION leak_altered() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('app.user_id', '4711', false); END $$;
  ALTER FUNCTION leak_altered() SET search_path = public;
  CREATE FUNCTION leak_indirectly() RETURNS void LANGUAGE sql AS $$ SELECT leak_setting() $$;
  CREATE FUNCTION leak_text(text text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE text; END $$;
  CREATE FUNCTION leak_lock() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(4711); END $$;
  CREATE FUNCTION leak_temp() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE mine (x int); END $$;
  CREATE FUNCTION leak_step(state int, x int) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN SET work_mem = '77MB'; RETURN x; END $$;
  CREATE AGGREGATE leak_sum(int) (SFUNC = leak_step, STYPE = int, INITCOND = '0');
  CREATE FUNCTION leak_default(x text DEFAULT leak_setting()) RETURNS text LANGUAGE sql AS $$ SELECT x $$;
  CREATE PROCEDURE leak_by_call() LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '77MB'; END $$;`;

/** One Postgres with the lanes in it; `moreSql` is run in each. */
export async function startLanes(moreSql = ''): Promise<TestPostgres> {
  const server = await startPostgres({
    users: [{ name: 'alice' }, { name: 'bob' }],
    settings: { max_prepared_transactions: '10' },
  });
  const [first = '', ...others] = LANES;
  await server.query(`CREATE DATABASE ${first}`);
  const client = await clientOf(server, { database: first });
  await run(client, FUNCTIONS + moreSql);
  await client.end();
  for (const lane of others) await server.query(`CREATE DATABASE ${lane} TEMPLATE ${first}`);
  return server;
}

export async function startLaneProxy(
  server: TestPostgres,
  ioDriver: TestDriver,
  workers: number,
  general: TomlTable = {},
): Promise<TestProxy> {
  const proxy = await startProxy({
    workers,
    ioDriver,
    users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
    // One server connection each, which workers lend to each other: small pools would be gathered in one of them.
    databases: LANES.map((name) => ({
      ...databaseOf(server),
      name,
      pool_size: 4 * workers,
      max_db_connections: 1,
    })),
    general: {
      // Hundreds of log-ins: their cost is other tests' affair.
      auth_type: 'trust',
      min_pool_size: 0,
      rollback_timeout: 2000,
      log_connections: false,
      log_disconnections: false,
      ...general,
    },
  });
  // Each lane connects once, in its own time: short time-outs are not meant for that.
  try {
    for (const lane of LANES) await eventually(`a login to ${lane}`, () => canLogIn(proxy, lane));
  } catch (error) {
    proxy.kill();
    throw error;
  }
  return proxy;
}

async function canLogIn(proxy: TestProxy, lane: string): Promise<boolean> {
  const client = await laneClient(proxy, lane).catch(() => null);
  await client?.end();
  return client !== null;
}

/** Lends the lanes out, one user at a time each. */
export class LanePool {
  readonly #free = [...LANES];
  readonly #waiting: ((lane: string) => void)[] = [];

  async use(body: (lane: string) => Promise<void>): Promise<void> {
    const lane = this.#free.pop() ?? (await new Promise<string>((resolve) => this.#waiting.push(resolve)));
    try {
      await body(lane);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(lane);
      else next(lane);
    }
  }
}

export const laneClient = (to: { port: number }, lane: string): Promise<RawClient> =>
  clientOf(to, { database: lane });

/** On a busy machine a log-in may take longer than a short query_timeout or checkout_timeout, and is as good a second time. */
export async function patientClient(to: { port: number }, lane: string): Promise<RawClient> {
  for (let round = 0; ; round++) {
    try {
      return await laneClient(to, lane);
    } catch (error) {
      if (round === 4 || !/57014|58000/.test(String(error))) throw error;
    }
  }
}
