/** A proxy over a replication cluster, with clocks fast enough for tests, and what tests ask: where did it run? */
import pg from 'pg';
import type { TestDriver } from './drivers.js';
import { type StartProxyOptions, startProxy, type TestProxy } from './proxy.js';
import type { RawClient } from './raw-client.js';
import type { ReplicationCluster } from './replication-cluster.js';
import type { TomlTable } from './toml-text.js';
import { clientOf, clientsOfAllWorkers, eventually, firstValue, WIRE_USER } from './wire.js';

/** Silence of a host for so long is a failed check, of which two in a row are believed. The proxy allows for times when it stood still itself. */
export const SILENCE_TIMEOUT_MS = 500;
/** Bound on what it does not allow for: a log-in takes its time where others have the machine. */
const ANSWER_TIMEOUT_MS = 4 * SILENCE_TIMEOUT_MS;

const QUICK: TomlTable = {
  min_pool_size: 0,
  log_connections: false,
  log_disconnections: false,
  connect_timeout: ANSWER_TIMEOUT_MS,
  connect_attempts: 1,
  healthcheck_timeout: ANSWER_TIMEOUT_MS,
  idle_healthcheck_interval: 200,
  idle_healthcheck_delay: 0,
  ban_timeout: 500,
  lsn_check_delay: 0,
  lsn_check_interval: 100,
  lsn_check_timeout: SILENCE_TIMEOUT_MS,
  checkout_timeout: 15_000,
};

export interface RoutedOptions extends Omit<StartProxyOptions, 'databases'> {
  roles?: 'fixed' | 'auto';
  through?: 'direct' | 'relay';
  /** Settings of every [[databases]] entry. */
  database?: TomlTable;
  /** Settings of the entry of one host, by its name. */
  perHost?: Record<string, TomlTable>;
}

export function startRoutedProxy(
  cluster: ReplicationCluster,
  ioDriver: TestDriver,
  options: RoutedOptions = {},
): Promise<TestProxy> {
  const { roles = 'fixed', through = 'direct', database, perHost = {}, general, ...rest } = options;
  const databases = cluster
    .databases(roles, through, { pool_size: 6, ...database })
    .map((entry, index) => ({ ...entry, ...perHost[cluster.hosts[index].name] }));
  return startProxy({
    workers: 2,
    ioDriver,
    users: [WIRE_USER],
    databases,
    ...rest,
    general: { ...QUICK, ...general },
  });
}

/** A read that says which host served it. */
export const WHERE = "SELECT current_setting('cluster_name')";

export const whereOf = (client: RawClient): Promise<string | null> => firstValue(client, WHERE);

/** How many of `count` reads each host served, over `clientCount` clients at a time. */
export async function spreadOf(
  proxy: { port: number },
  count: number,
  clientCount = 4,
): Promise<Record<string, number>> {
  const served: Record<string, number> = {};
  let left = count;
  const clients = await Promise.all(Array.from({ length: clientCount }, () => clientOf(proxy)));
  try {
    const work = async (client: RawClient): Promise<void> => {
      while (left-- > 0) {
        const name = String(await whereOf(client));
        served[name] = (served[name] ?? 0) + 1;
      }
    };
    await Promise.all(clients.map(work));
    return served;
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/**
 * Every standby serves clients of every worker. Until each host has been asked once, nobody knows which may serve; and until a
 * worker has read the catalog, which its first statement has it do, a function may do anything and goes to the primary.
 */
export async function untilStandbysServe(
  proxy: { port: number },
  { standbys }: ReplicationCluster,
  workers = 2,
): Promise<void> {
  const clients = await clientsOfAllWorkers(proxy, workers, workers);
  for (const client of clients)
    await eventually('every standby serves every worker', async () => {
      const hosts = new Set<string | null>();
      for (let read = 0; read < 20; read++) hosts.add(await whereOf(client));
      return standbys.every(({ name }) => hosts.has(name));
    });
  await Promise.all(clients.map((client) => client.end()));
}

/** As applications connect: node-postgres, whose errors are thrown. The caller ends it. */
export async function nodeClientOf(proxy: TestProxy): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: proxy.url() });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
