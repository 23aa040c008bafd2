/** What wire tests share: a proxy over one real server, raw clients of both, and comparisons between the two. */
import assert from 'node:assert/strict';
import type { TestDriver } from './drivers.js';
import type { TestPostgres } from './embedded-postgres.js';
import { errorFields, type Frame, text } from './frames.js';
import { PATIENCE_MS } from './patience.js';
import { databaseOf, type StartProxyOptions, startProxy, type TestProxy } from './proxy.js';
import { RawClient, type RawClientOptions } from './raw-client.js';
import type { TomlTable } from './toml-text.js';

/** Users the tests log in as; the proxy refuses entries that name no database. */
export const WIRE_USER = { name: 'postgres', password: 'postgres', database: 'postgres' };

export interface WireProxyOptions extends StartProxyOptions {
  /** Settings of the one [[databases]] entry. */
  database?: TomlTable;
}

/** A quiet proxy for database postgres of `server`; one worker and two server connections unless told otherwise. */
export function startWireProxy(
  server: { host: string; port: number },
  ioDriver: TestDriver,
  options: WireProxyOptions = {},
): Promise<TestProxy> {
  const { database, general, ...rest } = options;
  return startProxy({
    workers: 1,
    ioDriver,
    users: [WIRE_USER],
    databases: [databaseOf(server, { pool_size: 2, ...database })],
    ...rest,
    general: { min_pool_size: 0, log_connections: false, log_disconnections: false, ...general },
  });
}

export type ClientOptions = Omit<Partial<RawClientOptions>, 'port'>;

/** A logged-in raw client of anything that listens: proxy or server. */
export function clientOf(to: { port: number }, options: ClientOptions = {}): Promise<RawClient> {
  return RawClient.connect({ password: 'postgres', ...options, port: to.port });
}

/**
 * Settings under which a pool has so many server connections and its clients are in all workers all the same: by its
 * size it is no small pool, whose clients would be gathered (small-pools.test.ts).
 */
export function spread(workers: number, servers: number): { database: TomlTable; general: TomlTable } {
  return { database: { pool_size: 4 * workers }, general: { max_server_conn: servers } };
}

/** Clients of every worker, at least `count`: which worker takes one is the kernel's choice. */
export async function clientsOfAllWorkers(
  to: { port: number },
  workers: number,
  count: number,
  options: ClientOptions = {},
): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  const seen = new Set<number>();
  while (clients.length < count || seen.size < workers) {
    assert.ok(clients.length < 200, `only workers ${[...seen]} take clients`);
    const client = await clientOf(to, options);
    clients.push(client);
    // The upper bits of the process id name the worker.
    seen.add(client.pid >>> 20);
  }
  return clients;
}

/** Runs `body` with clients that are gone afterwards, whatever happened. */
export async function withClients<T>(
  to: { port: number },
  count: number,
  body: (...clients: RawClient[]) => Promise<T>,
): Promise<T> {
  const clients = await Promise.all(Array.from({ length: count }, () => clientOf(to)));
  try {
    return await body(...clients);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** First value of the first row; throws the error's text when there is none. */
export async function firstValue(client: RawClient, sql: string): Promise<string | null> {
  const result = await client.query(sql);
  if (result.error !== null) throw new Error(`${result.error['C']}: ${result.error['M']} (${sql})`);
  return result.rows[0]?.[0] ?? null;
}

/** Throws when the statement fails. */
export async function run(client: RawClient, ...statements: string[]): Promise<void> {
  for (const sql of statements) await firstValue(client, sql);
}

export const pidOf = (client: RawClient): Promise<string | null> =>
  firstValue(client, 'SELECT pg_backend_pid()');

/**
 * `blocker` holds, in a transaction, the server connection that `client` used last. Gives that one's process id.
 * Tried again: on a busy machine a second one may come just now, and be the last.
 */
export async function holdServerOf(client: RawClient, blocker: RawClient): Promise<string | null> {
  let held: string | null = null;
  await eventually('the blocker gets the connection used last', async () => {
    const before = await pidOf(client);
    await run(blocker, 'BEGIN');
    held = await pidOf(blocker);
    if (held !== before) await run(blocker, 'ROLLBACK');
    return held === before;
  });
  return held;
}

/**
 * Runs `body` while `blocker` holds, in a transaction, the server connection that `client` used last: with a pool
 * of two, the client is then served by the other one. Fails when it is not.
 */
export async function onAnotherServer<T>(
  client: RawClient,
  blocker: RawClient,
  body: () => Promise<T>,
): Promise<T> {
  const before = await holdServerOf(client, blocker);
  try {
    const result = await body();
    assert.notEqual(await pidOf(client), before, 'the client was not moved');
    return result;
  } finally {
    await blocker.query('ROLLBACK');
  }
}

/** SQLSTATE of a result, '' for success. */
export function sqlstateOf(result: { error: Record<string, string> | null }): string {
  return result.error?.['C'] ?? '';
}

/** Fields that say where in Postgres's source an error was raised; an error of the proxy's own has none. */
const SOURCE_FIELDS = new Set(['F', 'L', 'R']);

/** A frame as text that is the same for two connections that were told the same. */
export function describeFrame(frame: Frame): string {
  const { type, body } = frame;
  if (type === 'K') return `K ${body.length}`;
  if (type === 'E' || type === 'N') {
    const fields = Object.entries(errorFields(body)).filter(([letter]) => !SOURCE_FIELDS.has(letter));
    return `${type} ${JSON.stringify(Object.fromEntries(fields))}`;
  }
  return `${type} ${body.length > 400 ? `${body.length} bytes` : JSON.stringify(body.toString('latin1'))}`;
}

/** ParameterStatus may come at any moment and a proxy may merge them: compared as a set, at the end. */
export function describeFrames(frames: Frame[]): string[] {
  const told = frames.filter(({ type }) => type === 'S').map(describeFrame);
  return [...frames.filter(({ type }) => type !== 'S').map(describeFrame), ...told.sort()];
}

export type Script = (client: RawClient) => Promise<Frame[]>;

/** Answers of a script over a connection of its own, message by message. */
export async function record(
  to: { port: number },
  script: Script,
  options?: ClientOptions,
): Promise<string[]> {
  const client = await clientOf(to, options);
  try {
    return describeFrames(await script(client));
  } finally {
    client.destroy();
  }
}

/** The same script through the proxy and directly: the answers must be the same, message by message. */
export async function assertSameAsDirect(
  proxy: { port: number },
  server: { port: number },
  script: Script,
  options?: ClientOptions,
): Promise<void> {
  const wanted = await record(server, script, options);
  assert.deepEqual(await record(proxy, script, options), wanted);
}

/** A script that sends everything in one write and reads that many ReadyForQuery. */
export function batch(readyCount: number, ...parts: Buffer[]): Script {
  return async (client) => {
    client.send(...parts);
    return (await client.readUntilReady(readyCount)).frames;
  };
}

/** Retries until `look` gives true; fails with `what` after the time is over. */
export async function eventually(
  what: string,
  look: () => Promise<boolean>,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await look())) {
    if (performance.now() > deadlineMs) assert.fail(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * By the operator's SET, and in force in every worker when this resolves: for a time-out that is short where it is to
 * fire, and so long everywhere else that a machine which stands still for a moment makes it fire nowhere.
 */
export async function setEverywhere(proxy: TestProxy, ...settings: string[]): Promise<void> {
  for (const setting of settings) await proxy.adminQuery(`SET ${setting}`);
  const [{ epoch = '' } = {}] = await proxy.adminQuery<{ epoch: string }>('SHOW CONFIG_STATUS');
  await eventually('all workers have taken it up', async () => {
    const rows = await proxy.adminQuery<{ epoch: string }>('SHOW WORKERS');
    return rows.every((row) => Number(row.epoch) >= Number(epoch));
  });
}

/** So many clients of a database wait for a server connection. */
export function untilWaiting(proxy: TestProxy, count: number, database = 'postgres'): Promise<void> {
  return eventually(`${count} wait`, async () => {
    const rows = await proxy.adminQuery<Record<string, string>>('SHOW POOLS');
    const waiting = rows
      .filter((row) => row['database'] === database)
      .map((row) => Number(row['cl_waiting']));
    return waiting.reduce((sum, one) => sum + one, 0) === count;
  });
}

/** The proxy knows of no server connection: those that the test has ended are gone for it too. */
export function untilNoServers(proxy: TestProxy): Promise<void> {
  return eventually(
    'no server connection is left',
    async () => (await proxy.adminQuery('SHOW SERVERS')).length === 0,
  );
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Server connections of the proxy as the server sees them. */
export async function backends(server: TestPostgres): Promise<{ pid: number; state: string }[]> {
  return server.query(
    "SELECT pid, state FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
  );
}

/** A statement runs on the server: from now on a cancel request meets it. */
export function untilBusy(server: TestPostgres): Promise<void> {
  return eventually('a statement runs', async () =>
    (await backends(server)).some(({ state }) => state === 'active'),
  );
}

/** Startup packet parameters in wire form, for packets no client library would build. */
export function pairs(...words: string[]): Buffer {
  return Buffer.concat([...words.map(text), Buffer.from([0])]);
}
