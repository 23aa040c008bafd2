/** What is done to a proxy and its servers while clients are at work. Each ends what it has begun. */
import { crashWorkers } from '../../support/crash-worker.js';
import { sleep } from '../../support/wire.js';
import type { Chance } from '../chance.js';
import type { StressClient } from './stress-client.js';
import { PART, PLAIN, redraw, SHARDS, SHOP, USERS } from './stress-settings.js';
import type { StressWorld } from './stress-world.js';

export interface Fault {
  readonly name: string;
  /** Clients may lose connections by it. */
  readonly isViolent: boolean;
  readonly weight: number;
  strike(world: StressWorld, chance: Chance): Promise<void>;
}

const NAMES = USERS.map((name) => `'${name}'`).join();
const OF_CLIENTS = `backend_type = 'client backend' AND usename IN (${NAMES})`;
const shardOf = (chance: Chance): number => chance.between(0, SHARDS - 1);
const anyDatabase = (chance: Chance): string => chance.pick([SHOP, SHOP, PLAIN, PART, '']);

/** The second one whatever became of the first, and last: each comes by a connection of its own. */
async function holdAndRelease(world: StressWorld, hold: string, release: string, ms: number): Promise<void> {
  let isHeld = false;
  const held = world.proxy
    .adminQuery(hold)
    .catch(() => [])
    .then(() => {
      isHeld = true;
    });
  await Promise.race([held, sleep(ms)]);
  await sleep(ms);
  while (!isHeld) {
    await world.proxy.adminQuery(release).catch(() => []);
    await Promise.race([held, sleep(50)]);
  }
  // That there is nothing to be released is an error.
  await world.proxy.adminQuery(release).catch(() => []);
}

/** Until it is heard: the worker that is asked may be one that is going. */
async function ordered(world: StressWorld, order: string): Promise<void> {
  for (;;) {
    const isGiven = await world.proxy.adminQuery(order).then(
      () => true,
      () => false,
    );
    if (isGiven) return;
    await sleep(20);
  }
}

async function stopForAMoment(world: StressWorld, chance: Chance): Promise<void> {
  const shard = shardOf(chance);
  const server = world.servers.servers.servers[shard];
  if (server === undefined) return;
  const rows = await world.servers.on(shard, SHOP, `SELECT pid FROM pg_stat_activity WHERE ${OF_CLIENTS}`);
  const pids = [...rows.map(({ pid }) => Number(pid)), ...(chance.is(50) ? [server.pid] : [])];
  signal(pids, 'SIGSTOP');
  try {
    await sleep(chance.between(20, 1_200));
  } finally {
    signal(pids, 'SIGCONT');
  }
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids)
    try {
      process.kill(pid, name);
    } catch {
      // It has ended meanwhile.
    }
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'reload',
    isViolent: false,
    weight: 4,
    strike: async (world, chance) => {
      redraw(world.settings, chance);
      world.note(JSON.stringify(world.settings));
      await world.reload().catch((error: Error) => world.note(error.message));
    },
  },
  {
    name: 'pause',
    isViolent: false,
    weight: 2,
    strike: (world, chance) => {
      const name = anyDatabase(chance);
      return holdAndRelease(world, `PAUSE ${name}`, `RESUME ${name}`, chance.between(1, 400));
    },
  },
  {
    name: 'maintenance',
    isViolent: false,
    weight: 2,
    strike: (world, chance) => {
      const name = anyDatabase(chance);
      return holdAndRelease(
        world,
        `MAINTENANCE ON ${name}`,
        `MAINTENANCE OFF ${name}`,
        chance.between(1, 300),
      );
    },
  },
  {
    name: 'suspend',
    isViolent: false,
    weight: 1,
    strike: (world, chance) => holdAndRelease(world, 'SUSPEND', 'RESUME', chance.between(1, 200)),
  },
  {
    name: 'reconnect',
    isViolent: false,
    weight: 2,
    strike: (world, chance) => ordered(world, `RECONNECT ${anyDatabase(chance)}`),
  },
  {
    name: 'cut one server connection',
    isViolent: true,
    weight: 4,
    strike: async (world, chance) => {
      const sql = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${OF_CLIENTS} ORDER BY md5(pid::text || '${chance.between(0, 999)}') LIMIT 1`;
      await world.servers.on(shardOf(chance), SHOP, sql);
    },
  },
  {
    name: 'cut a shard',
    isViolent: true,
    weight: 2,
    strike: async (world, chance) => {
      const sql = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${OF_CLIENTS}`;
      await world.servers.on(shardOf(chance), SHOP, sql);
    },
  },
  { name: 'stop a server', isViolent: true, weight: 2, strike: stopForAMoment },
  {
    name: 'restart a server',
    isViolent: true,
    weight: 1,
    strike: async (world, chance) => {
      const shard = shardOf(chance);
      if (chance.is(50)) {
        world.servers.hasOrphans = true;
        await world.servers.servers.kill(shard);
      } else await world.servers.servers.servers[shard]?.kill('SIGINT');
      await sleep(chance.between(0, 500));
      await world.servers.servers.restart(shard);
    },
  },
  {
    name: 'kill',
    isViolent: true,
    weight: 1,
    strike: (world, chance) => {
      const name = anyDatabase(chance);
      return holdAndRelease(world, `KILL ${name}`, `RESUME ${name}`, chance.between(1, 200));
    },
  },
  {
    name: 'kill a client',
    isViolent: true,
    weight: 2,
    strike: async (world, chance) => {
      const rows = await world.proxy.adminQuery('SHOW CLIENTS').catch(() => []);
      const others = rows.filter(({ database }) => database !== 'admin');
      if (others.length === 0) return;
      await world.proxy.adminQuery(`KILL_CLIENT ${chance.pick(others)['id']}`).catch(() => undefined);
    },
  },
  {
    name: 'crash a worker',
    isViolent: true,
    weight: 1,
    strike: (world, chance) => crashWorkers(world.proxy, chance.between(0, world.settings.workers - 1)),
  },
];

/** Some of them: what all together wipe out stays to be seen. */
export function someFaults(chance: Chance): Fault[] {
  const isGentle = chance.is(40);
  return FAULTS.filter(({ isViolent }) => !(isGentle && isViolent) && chance.is(50));
}

/** Until the phase is over, one after another. */
export async function strikeOn(world: StressWorld, faults: readonly Fault[], chance: Chance): Promise<void> {
  while (world.isOpen && faults.length > 0) {
    await sleep(chance.between(10, 500));
    const fault = faults[chance.weighted(faults.map(({ weight }) => weight))] as Fault;
    world.note(fault.name);
    const strike = (): Promise<void> =>
      fault.strike(world, chance).catch((error: Error) => world.note(`${fault.name}: ${error.message}`));
    await (fault.isViolent ? world.violently(strike) : strike());
    world.note(`${fault.name} is over`);
  }
}

/** Cancels, whoever is at work. */
export async function cancelSome(
  world: StressWorld,
  clients: readonly StressClient[],
  chance: Chance,
): Promise<void> {
  while (world.isOpen) {
    await sleep(chance.between(5, 80));
    const busy = clients.filter(({ isBusy }) => isBusy);
    if (busy.length > 0) await chance.pick(busy).cancel();
  }
}
