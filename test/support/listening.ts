/** What tests of LISTEN share: notifications as text, a proxy whose listening clients are waited for, guests that go. */
import type { TestDriver } from './drivers.js';
import type { TestPostgres } from './embedded-postgres.js';
import type { Frame } from './frames.js';
import { databaseOf, startProxy, type TestProxy } from './proxy.js';
import type { RawClient } from './raw-client.js';
import { type ClientOptions, clientOf, clientsOfAllWorkers, describeFrame, eventually } from './wire.js';

export const LISTEN_WORKERS = 2;
/** Enough for clients of all workers: those of a smaller one are gathered in one. */
const POOL_SIZE = 4 * LISTEN_WORKERS;
/** Of the supervisor's own connection, in pg_stat_activity. */
export const IS_HUB = "application_name = 'pgdog-cluster listen'";

/** Channel and payload of each NotificationResponse. */
export function notificationsIn(frames: Frame[]): string[] {
  return frames
    .filter(({ type }) => type === 'A')
    .map(({ body }) => body.toString('utf8', 4).split('\0').slice(0, 2).join('='));
}

/** The next frame, which must be a notification. */
export async function nextNotification(client: RawClient): Promise<string> {
  const frame = await client.readFrame();
  const [text] = notificationsIn([frame]);
  if (text === undefined) throw new Error(`no notification, but ${describeFrame(frame)}`);
  return text;
}

/** Databases postgres, second, and session (postgres in session mode). */
export function startListeningProxy(
  server: TestPostgres,
  ioDriver: TestDriver,
  channelSize: number,
): Promise<TestProxy> {
  return startProxy({
    workers: LISTEN_WORKERS,
    ioDriver,
    databases: [
      databaseOf(server, { name: 'postgres', pool_size: POOL_SIZE }),
      databaseOf(server, { name: 'second', pool_size: POOL_SIZE }),
      databaseOf(server, { name: 'session', database_name: 'postgres', pooler_mode: 'session' }),
    ],
    general: {
      min_pool_size: 0,
      pub_sub_channel_size: channelSize,
      log_connections: false,
      log_disconnections: false,
    },
    startTimeoutMs: 60_000,
    metrics: true,
    env: { PGDOG_TEST_HOOKS: '1' },
  });
}

/** Clients of one proxy, gone after each test, whatever happened. */
export class Guests {
  #clients: RawClient[] = [];
  readonly #proxy: () => TestProxy;

  constructor(proxy: () => TestProxy) {
    this.#proxy = proxy;
  }

  async join(options?: ClientOptions): Promise<RawClient> {
    const client = await clientOf(this.#proxy(), options);
    this.#clients.push(client);
    return client;
  }

  /** Of every worker. */
  async joinAll(count: number): Promise<RawClient[]> {
    const clients = await clientsOfAllWorkers(this.#proxy(), LISTEN_WORKERS, count);
    this.#clients.push(...clients);
    return clients;
  }

  /** So many channels are listened to, and for none of them a server connection is kept. */
  async areFree(listeners: number): Promise<void> {
    await eventually('server connections are free', async () => {
      const rows = await this.#proxy().adminQuery<Record<string, unknown>>('SHOW CLIENTS');
      return !rows.some(({ locked, database }) => database === 'postgres' && locked === true);
    });
    await eventually(`${listeners} listen`, async () => {
      const rows = await this.#proxy().adminQuery<Record<string, string>>('SHOW LISTENERS');
      return rows.reduce((sum, row) => sum + Number(row.listeners), 0) === listeners;
    });
  }

  async goAway(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    this.#clients = [];
    await this.areFree(0);
  }
}
