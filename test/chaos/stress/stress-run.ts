/**
 * The stress run: clients of several users and databases do what clients do on pools that are far too small, while they are cancelled,
 * vanish, and servers, workers and settings go and come. After each phase all is looked at. What is drawn follows from the seed; what
 * meets what, from timing.
 */
import { setTimeout } from 'node:timers/promises';
import type { TestDriver } from '../../support/drivers.js';
import { sleep } from '../../support/wire.js';
import { Chance } from '../chance.js';
import { ChaosFailure } from '../reply-machine.js';
import { type Action, StressClient } from './stress-client.js';
import { cancelSome, FAULTS, type Fault, someFaults, strikeOn } from './stress-faults.js';
import * as pins from './stress-pins.js';
import * as reads from './stress-reads.js';
import { drawSettings, PART, PLAIN, SHARDS, SHOP, type StressSettings, USERS } from './stress-settings.js';
import { checkQuiet, picture, residentMb, StressWatch } from './stress-watch.js';
import { type StressServers, StressWorld } from './stress-world.js';
import * as writes from './stress-writes.js';
import { BOUND_MS } from './talk.js';

export interface StressOptions {
  servers: StressServers;
  driver: TestDriver;
  seed: number;
  phases: number;
  phaseMs: number;
  /** Names of faults to choose from, and of actions: to narrow a failure down. */
  faults?: readonly string[];
  actions?: readonly string[];
  /** In place of what the seed would draw. */
  userLimit?: number | undefined;
  onPhase?: (text: string) => void;
}

export interface StressReport {
  seed: number;
  settings: StressSettings;
  actions: Record<string, number>;
  statements: number;
  doubtful: number;
  samples: number;
  faults: number;
  residentMb: number[];
  /** Empty when all is well. */
  failures: string[];
  /** What everybody was doing at the first failure. */
  picture: string;
}

const OF_ALL: readonly [number, Action][] = [
  [10, reads.readOne],
  [4, reads.readAll],
  [4, reads.countAll],
  [4, reads.readSlowly],
  [4, reads.setMine],
  [4, reads.lookAtMine],
  [3, reads.setLocally],
  [5, reads.executePrepared],
  [8, writes.insertOne],
  [4, writes.insertSplit],
  [4, writes.insertText],
  [6, writes.transfer],
  [2, writes.updateAll],
  [1, writes.define],
  [2, writes.noteOne],
];
const OF_WIRE: readonly [number, Action][] = [
  [3, reads.readPortions],
  [2, reads.copyOut],
  [4, writes.insertBatch],
  [3, writes.copyIn],
  [2, writes.leave],
];
const OF_STEADY: readonly [number, Action][] = [[4, writes.moveRow]];
const OF_PLAIN: readonly [number, Action][] = [
  [5, pins.tempTable],
  [2, pins.noTempTable],
  [3, pins.advisoryLock],
  [3, pins.lookAtLocks],
  [3, pins.listen],
  [3, pins.cursor],
];
const PLACES = [SHOP, SHOP, SHOP, SHOP, PLAIN, PLAIN, PART];
/** Above what it had after the second phase: caches are full by then. */
const GROWTH_MB_MAX = 150;
const PHASES_TO_FILL = 2;
const ORDERED_CRASH = 'crash ordered by a test';

class StressRun {
  readonly #options: StressOptions;
  readonly #world: StressWorld;
  readonly #chance: Chance;
  readonly #counts: Record<string, number> = {};
  readonly report: StressReport;

  constructor(options: StressOptions, world: StressWorld, chance: Chance) {
    this.#options = options;
    this.#world = world;
    this.#chance = chance;
    this.report = {
      seed: options.seed,
      settings: structuredClone(world.settings),
      actions: this.#counts,
      ...{ statements: 0, doubtful: 0, samples: 0, faults: 0 },
      residentMb: [],
      failures: [],
      picture: '',
    };
  }

  async run(): Promise<void> {
    for (let phase = 0; phase < this.#options.phases && this.report.failures.length === 0; phase++) {
      await this.#phase(this.#chance.fork(phase));
      if (this.report.failures.length > 0) return;
      this.report.residentMb.push(residentMb(this.#world));
      this.#checkGrowth();
    }
  }

  #clients(chance: Chance): StressClient[] {
    return PLACES.flatMap((database, place) =>
      USERS.map((user, index) => {
        const number = place * USERS.length + index;
        const isWire = number % 3 !== 0;
        const isSteady = database !== PART;
        const all = [
          ...OF_ALL,
          ...(isWire ? OF_WIRE : []),
          ...(isSteady ? OF_STEADY : []),
          ...(database === PLAIN ? OF_PLAIN : []),
        ];
        const { actions } = this.#options;
        const some = all.filter(([, { name }]) =>
          actions === undefined ? chance.is(60) : actions.includes(name),
        );
        return new StressClient(
          number,
          { database, user, isWire },
          chance.fork(number),
          this.#world,
          some.length === 0 ? all : some,
        );
      }),
    );
  }

  async #phase(chance: Chance): Promise<void> {
    const world = this.#world;
    const { faults: names, phaseMs } = this.#options;
    const faults: Fault[] =
      names === undefined ? someFaults(chance) : FAULTS.filter(({ name }) => names.includes(name));
    const hasCancels = names === undefined ? chance.is(70) : names.includes('cancels');
    const clients = this.#clients(chance);
    await this.#placeMovers(clients);
    world.notePlaces(true);
    world.ledger.clear();
    world.deeds.length = 0;
    world.isOpen = true;
    const watch = new StressWatch(world);
    const work = [
      ...clients.map((client) => client.run()),
      strikeOn(world, faults, chance.fork(1_000)),
      watch.run(),
      ...(hasCancels ? [cancelSome(world, clients, chance.fork(1_001))] : []),
    ];
    const isOver = Promise.all(work).then(() => 'over');
    const endMs = performance.now() + phaseMs;
    const failed = (): boolean => watch.failure !== null || clients.some(({ failure }) => failure !== null);
    while (performance.now() < endMs && !failed()) await sleep(20);
    if (failed()) await this.#draw(clients, watch);
    world.isOpen = false;
    // Everybody has a bound of their own; what takes longer than that hangs where nobody looks.
    const late = new AbortController();
    const answer = await Promise.race([isOver, afterAll(late.signal)]);
    late.abort();
    if (answer !== 'over') this.report.failures.push('the phase does not end');
    await this.#draw(clients, watch);
    this.#checkOutput();
    if (this.report.failures.length > 0) return;
    await this.#settle(clients);
    const { deeds, ledger } = world;
    this.report.samples += watch.samples;
    this.report.faults += deeds.filter((deed) => deed.endsWith('is over')).length;
    this.report.statements += ledger.size;
    this.report.doubtful += ledger.countOf('doubt');
    this.#options.onPhase?.(
      `${ledger.size} writes, ${ledger.countOf('doubt')} in doubt, ${faults.map(({ name }) => name).join(', ')}${hasCancels ? ', cancels' : ''}`,
    );
  }

  /** Notes failures, and the picture when there are some. */
  async #draw(clients: readonly StressClient[], watch: StressWatch): Promise<void> {
    const failures = clients.flatMap(({ name, failure }) =>
      failure === null ? [] : [`${name}: ${failure}`],
    );
    if (watch.failure !== null) failures.push(watch.failure);
    for (const failure of failures)
      if (!this.report.failures.includes(failure)) this.report.failures.push(failure);
    if (this.report.failures.length === 0 || this.report.picture !== '') return;
    const doing = clients.map((client) => client.describe());
    const histories = clients
      .filter(({ failure }) => failure !== null)
      .flatMap(({ name, history }) => [name, ...history.slice(-15).map((line) => `  ${line}`)]);
    this.report.picture = [...doing, ...histories, await picture(this.#world)].join('\n');
  }

  async #placeMovers(clients: readonly StressClient[]): Promise<void> {
    const { servers } = this.#world;
    for (const database of [SHOP, PLAIN]) {
      await servers.all(database, 'TRUNCATE mover, ledger, note');
      const own = clients.filter((client) => client.database === database);
      const rows = own.map(({ number }) => `(${1_000 + number * 100}, 'm${number}')`).join(', ');
      await this.#world.fillIn(database, `INSERT INTO mover (id, token) VALUES ${rows}`);
      for (const one of own) one.moverKey = 1_000 + one.number * 100;
    }
    await servers.all(PART, 'TRUNCATE ledger, note');
  }

  /** All shards are there again, and all is as it should be. */
  async #settle(clients: readonly StressClient[]): Promise<void> {
    const world = this.#world;
    world.settings.partShards = SHARDS;
    await world.reload();
    const problems = await checkQuiet(world);
    for (const database of [SHOP, PLAIN]) {
      const rows = await world.servers.all(database, 'SELECT id, token FROM mover');
      for (const client of clients.filter((one) => one.database === database)) {
        const own = rows.filter(({ token }) => token === `m${client.number}`);
        const key = Number(own[0]?.['id']);
        if (own.length !== 1 || (client.moverKey !== null && client.moverKey !== key))
          problems.push(
            `${client.name}: its row is at ${own.map(({ id }) => id)} instead of ${client.moverKey}`,
          );
      }
    }
    for (const { counts } of clients)
      for (const [name, count] of counts) this.#counts[name] = (this.#counts[name] ?? 0) + count;
    this.report.failures.push(...problems);
    if (problems.length > 0) this.report.picture = await picture(world);
  }

  /** A worker that falls is started again, and most clients are none the wiser. */
  #checkOutput(): void {
    const crashes = this.#world.proxy.output
      .split('\n')
      .filter((line) => line.includes('worker_crashed') && !line.includes(ORDERED_CRASH));
    if (crashes.length > 0) this.report.failures.push(crashes[0] ?? '');
  }

  #checkGrowth(): void {
    const { residentMb: sizes } = this.report;
    const first = sizes[PHASES_TO_FILL - 1];
    const last = sizes.at(-1) ?? 0;
    if (first !== undefined && last > first + GROWTH_MB_MAX)
      this.report.failures.push(`its memory has grown: ${sizes.join(', ')} MB`);
  }
}

/** When everybody's own bound is over. */
const afterAll = (signal: AbortSignal): Promise<unknown> =>
  setTimeout(BOUND_MS + 20_000, 'late', { signal }).catch(() => 'late');

export async function runStress(options: StressOptions): Promise<StressReport> {
  const chance = new Chance(options.seed);
  const world = await StressWorld.start(
    options.servers,
    drawSettings(chance, options.userLimit),
    options.driver,
  );
  const run = new StressRun(options, world, chance);
  try {
    await run.run();
  } catch (error) {
    run.report.failures.push(error instanceof ChaosFailure ? error.message : String((error as Error).stack));
  } finally {
    world.isOpen = false;
    const code = await world.proxy.stop();
    if (code !== 0 && run.report.failures.length === 0)
      run.report.failures.push(`the proxy ended with ${code}`);
  }
  return run.report;
}

export function formatStress(report: StressReport): string {
  const { seed, statements, doubtful, samples, faults, failures } = report;
  const actions = Object.values(report.actions).reduce((sum, count) => sum + count, 0);
  const figures = `seed ${seed}: ${actions} actions, ${statements} writes, ${doubtful} in doubt, ${faults} faults, ${samples} samples, ${report.residentMb.join(' ')} MB, ${failures.length} failures`;
  if (failures.length === 0) return figures;
  return [
    figures,
    JSON.stringify(report.settings),
    ...failures.slice(0, 12).map((text) => `* ${text}`),
    report.picture,
  ].join('\n');
}
