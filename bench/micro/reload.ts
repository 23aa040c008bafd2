/**
 * What a reload takes of the supervisor when one of ten thousand databases has changed, by what it is made of, and what a
 * worker does to take it up. Without servers and threads: nothing is connected to, everything else is as in the program.
 * CPU of the middle round of several: others share the machine, and the first ones are not compiled yet.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSharedMemory, type SharedMemory, unpackDelta } from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import { Directory } from '@pgdog-cluster/worker';
import {
  buildSnapshot,
  CapacityLimits,
  type ConfigurationOptions,
  ConfigWatch,
  newReads,
  Publication,
  prepareFiles,
  Reloads,
} from 'pgdog-cluster';
import type { MicroResult } from './time-operations.js';

const DATABASES = 10_000;
/** Every so many databases have a user of their own; one user enters all of them. */
const USERS_EVERY = 3;
const ROUNDS = 20;
const QUICK_DATABASES = 200;
const QUICK_ROUNDS = 2;
/** As long as a reload may take, ms. */
const BOUND_MS = 200;
/** Times of files say something when they are as old as this. */
const SETTLED_MS = 3100;
const LOGGER = { log: () => {}, isEnabled: () => false, close: () => Promise.resolve() };

type Layout = 'one file' | 'a file each';

function databaseToml(place: number, poolSize: number): string {
  const host = `10.0.${(place >> 5) & 255}.7`;
  return `[[databases]]\nname = "tenant_${place}"\nhost = "${host}"\ndatabase_name = "app"\npool_size = ${poolSize}\n\n`;
}

function userToml(place: number): string {
  return place % USERS_EVERY === 0
    ? `[[users]]\nname = "user_${place}"\ndatabase = "tenant_${place}"\npassword_hash = "md5${'0123456789abcdef'.repeat(2)}"\n\n`
    : '';
}

/** Writes the files, and then one of them with one database changed. */
class Files {
  readonly folder = mkdtempSync(join(tmpdir(), 'bench-reload-'));
  readonly #layout: Layout;
  readonly #count: number;

  constructor(layout: Layout, count: number) {
    this.#layout = layout;
    this.#count = count;
    const general = '[general]\nauth_type = "md5"\n\n';
    const places = Array.from({ length: count }, (_, place) => place);
    const all = '[[users]]\nname = "app"\nall_databases = true\npassword = "p"\n\n';
    if (layout === 'one file') {
      this.#write('pgdog.toml', general + places.map((place) => databaseToml(place, 5)).join(''));
      this.#write('users.toml', all + places.map(userToml).join(''));
      return;
    }
    mkdirSync(join(this.folder, 'tenants'));
    this.#write('pgdog.toml', `include = ["tenants/"]\n${general}`);
    this.#write('users.toml', all);
    for (const place of places) this.#write(this.#fileOf(place), databaseToml(place, 5) + userToml(place));
  }

  get options(): ConfigurationOptions {
    const [config, users] = ['pgdog.toml', 'users.toml'].map((name) => join(this.folder, name));
    return { config, users, listen: [], databaseUrls: [], isSessionMode: false };
  }

  change(round: number): void {
    const [changed, poolSize] = [Math.floor(this.#count / 3), 6 + round];
    const text = databaseToml(changed, poolSize);
    if (this.#layout === 'a file each') {
      this.#write(this.#fileOf(changed), text + userToml(changed));
      return;
    }
    const places = Array.from({ length: this.#count }, (_, place) => place);
    const others = places.map((place) => (place === changed ? text : databaseToml(place, 5)));
    this.#write('pgdog.toml', `[general]\nauth_type = "md5"\n\n${others.join('')}`);
  }

  #fileOf(place: number): string {
    return join('tenants', `${place}.toml`);
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }
}

/** CPU of this process since `start`, ms. */
function cpuMs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** The parts of the program that a reload goes through, and what each of them took last. */
class Program {
  readonly reloads: Reloads;
  readonly took = { reads: 0, publishes: 0, takesUp: 0 };
  deltaBytes = 0;
  /** As a worker has it. */
  #directory: Directory | null = null;
  readonly #watch: ConfigWatch;
  readonly #publication: Publication;

  constructor(files: Files, memory: SharedMemory) {
    const known = newReads();
    const { files: looks } = known;
    this.#watch = new ConfigWatch({ logger: LOGGER, files: looks, isOn: () => false, onChange: () => {} });
    const load = (): LoadedConfig => {
      const start = process.cpuUsage();
      const loaded = prepareFiles(files.options, (path) => this.#watch.note(path), [], known).finish(null);
      this.took.reads = cpuMs(start);
      return loaded;
    };
    const started = load();
    this.#publication = new Publication({
      memory,
      loaded: started,
      limits: new CapacityLimits(memory.capacity, 100_000),
      makeSnapshot: buildSnapshot,
      auth: () => ({ takeUp: async () => {}, settled: () => {}, pools: [], databases: [], hosts: [] }),
      onTakenUp: () => {},
      tell: (_epoch, delta) => this.#takeUp(memory, delta),
    });
    const publication = this.#publication;
    this.reloads = new Reloads(
      {
        load,
        publication: {
          tls: publication.tls,
          publish: async (loaded) => {
            const start = process.cpuUsage();
            const epoch = await publication.publish(loaded);
            this.took.publishes = cpuMs(start);
            return epoch;
          },
        },
        logger: LOGGER,
        watch: this.#watch,
        onReloaded: () => {},
      },
      started,
    );
  }

  /** What a worker does by the number of all databases; by the clock, for that is what its clients wait. */
  #takeUp(memory: SharedMemory, delta: Uint8Array | undefined): void {
    this.deltaBytes = delta?.length ?? 0;
    const startMs = performance.now();
    if (this.#directory === null || delta === undefined)
      this.#directory = new Directory(memory.routing.read());
    else this.#directory.apply(unpackDelta(delta), undefined);
    this.took.takesUp = performance.now() - startMs;
  }

  async start(): Promise<void> {
    await this.#publication.publish(this.#publication.loaded);
    this.#watch.start();
  }

  close(): void {
    this.#watch.close();
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1];
}

async function measure(layout: Layout, isQuick: boolean): Promise<MicroResult[]> {
  const count = isQuick ? QUICK_DATABASES : DATABASES;
  const files = new Files(layout, count);
  let program: Program | null = null;
  try {
    const memory = createSharedMemory({
      workers: 2,
      poolsMax: 3 * count,
      hostsMax: count,
      fdMax: 64,
      routingAreaBytes: count * 4096,
    });
    const start = process.cpuUsage();
    program = new Program(files, memory);
    const readMs = cpuMs(start);
    await program.start();
    const startMs = cpuMs(start);
    const took = {
      whole: [] as number[],
      reads: [] as number[],
      publishes: [] as number[],
      takesUp: [] as number[],
    };
    // Until then files are read again at each look: they might have been changed in the tick of the clock they were read in.
    if (!isQuick) await sleep(SETTLED_MS);
    for (let round = 0; round < (isQuick ? QUICK_ROUNDS : ROUNDS); round++) {
      files.change(round);
      const roundStart = process.cpuUsage();
      await program.reloads.reload('bench');
      took.whole.push(cpuMs(roundStart));
      took.reads.push(program.took.reads);
      took.publishes.push(program.took.publishes);
      took.takesUp.push(program.took.takesUp);
    }
    if (program.deltaBytes === 0) throw new Error('workers would have had to read the whole');
    const { changes } = program.reloads.status;
    if (changes.length !== 1) throw new Error(`${changes.length} changes instead of one`);
    const wholeMs = median(took.whole);
    if (!isQuick && wholeMs > BOUND_MS)
      process.stderr.write(`a reload took ${wholeMs.toFixed(1)} ms, more than ${BOUND_MS}\n`);
    const row = (name: string, ms: number): MicroResult => ({
      name: `${count} databases, ${layout}: ${name}`,
      nsPerOp: ms * 1e6,
      hash: changes.length,
    });
    return [
      row('read at start', readMs),
      row('read and published at start', startMs),
      row('reload of one changed: whole', wholeMs),
      row('reload of one changed: read and checked', median(took.reads)),
      row('reload of one changed: published', median(took.publishes)),
      row('reload of one changed: taken up by a worker', median(took.takesUp)),
    ];
  } finally {
    program?.close();
    rmSync(files.folder, { recursive: true });
  }
}

export async function run({ quick }: { quick: boolean }): Promise<MicroResult[]> {
  return [...(await measure('one file', quick)), ...(await measure('a file each', quick))];
}
