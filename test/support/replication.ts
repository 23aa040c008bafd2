/** What the tests of replication connections share: a server that can stream, its clients, and what must be left: nothing. */
import assert from 'node:assert/strict';
import { afterEach } from 'node:test';
import { startPostgres, type TestPostgres } from './embedded-postgres.js';
import { d, Q } from './frames.js';
import type { TestProxy } from './proxy.js';
import type { RawClient } from './raw-client.js';
import { type ClientOptions, clientOf, eventually } from './wire.js';

/** With logical decoding, a table `item`, and a login role `plain` that may not replicate. */
export function startReplicationServer(): Promise<TestPostgres> {
  return startPostgres({
    settings: { wal_level: 'logical', max_wal_senders: '12', max_replication_slots: '12' },
    users: [{ name: 'plain', password: 'plain' }],
    initSql: 'CREATE TABLE item (name text)',
  });
}

/** A test that fails must not leave its clients to the next one. */
const opened: RawClient[] = [];
afterEach(() => {
  for (const client of opened.splice(0)) client.destroy();
});

export async function trackedClientOf(to: { port: number }, options: ClientOptions = {}): Promise<RawClient> {
  const client = await clientOf(to, options);
  opened.push(client);
  return client;
}

export const logical = (to: { port: number }, options: ClientOptions = {}): Promise<RawClient> =>
  trackedClientOf(to, { ...options, parameters: { replication: 'database', ...options.parameters } });

export const physical = (to: { port: number }, options: ClientOptions = {}): Promise<RawClient> =>
  trackedClientOf(to, { ...options, parameters: { replication: 'true', ...options.parameters } });

export const openStreams = async (server: TestPostgres): Promise<number> =>
  Number((await server.query<{ n: string }>('SELECT count(*) AS n FROM pg_stat_replication'))[0]?.n);

/** Server connections of the proxy as its admin sees them. */
export const serverRows = (proxy: TestProxy) => proxy.adminQuery<{ state: string }>('SHOW SERVERS');

export async function nothingLeft(server: TestPostgres, proxy: TestProxy): Promise<void> {
  await eventually('no walsender', async () => (await openStreams(server)) === 0);
  await eventually('no dedicated server connection', async () =>
    (await serverRows(proxy)).every(({ state }) => state === 'idle'),
  );
  const clients = await proxy.adminQuery<{ replication: string }>('SHOW CLIENTS');
  assert.ok(clients.every(({ replication }) => replication === 'none'));
}

/** Begins to stream from a temporary logical slot. Returns the slot's consistent point. */
export async function startStream(client: RawClient, slot: string): Promise<string> {
  const made = await client.query(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY LOGICAL test_decoding`);
  assert.equal(made.error, null, made.error?.['M']);
  const lsn = made.rows[0]?.[1] ?? '';
  client.send(Q(`START_REPLICATION SLOT ${slot} LOGICAL ${lsn}`));
  assert.equal((await client.readFrame()).type, 'W');
  return lsn;
}

/** Text of the next decoded change; keepalives are passed over. */
export async function nextChange(client: RawClient): Promise<string> {
  for (;;) {
    const { type, body } = await client.readFrame(15_000);
    assert.equal(type, 'd');
    if (body[0] === 0x77) return body.toString('utf8', 25);
    assert.equal(body[0], 0x6b);
  }
}

/** Standby status update: everything up to `lsn` is flushed; asks for an answer at once. */
export function status(lsn: bigint, wantsReply = true): Buffer {
  const body = Buffer.alloc(34);
  body[0] = 0x72;
  for (const at of [1, 9, 17]) body.writeBigUInt64BE(lsn, at);
  body[33] = wantsReply ? 1 : 0;
  return d(body);
}

export async function untilChange(client: RawClient, wanted: string): Promise<void> {
  while (!(await nextChange(client)).includes(wanted));
}
