import { type ConfigSnapshot, cryptoRandom, type SharedMemory, systemClock } from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import { setUp } from '../commands/setup.js';
import { openCopyReader } from '../copies/copy-reader.js';
import { CopyWatch } from '../copies/copy-watch.js';
import type { Fleet } from '../fleet/fleet.js';
import type { HostMonitor } from '../health/host-monitor.js';
import type { Logger } from '../log/logger.js';
import { TwoPhaseRecovery } from '../two-phase/recovery.js';
import { ShardSession } from '../two-phase/shard-session.js';
import { openClaims } from '../unique-ids/claim-session.js';
import { NodeClaims } from '../unique-ids/node-claims.js';
import { CatalogWatch } from './catalog-watch.js';
import { KeyLookupDesk } from './look-up-keys.js';
import { openShard } from './read-catalog.js';
import { connectToShard, type ShardSources } from './shard-login.js';

/** What of the supervisor they take. */
export interface ShardedProgram {
  memory: SharedMemory;
  logger: Logger;
  fleet: Fleet;
  health: HostMonitor;
  loaded: () => LoadedConfig;
  snapshot: () => ConfigSnapshot;
  republish: (change: () => Partial<ConfigSnapshot>) => Promise<number>;
}

/** What is done for databases with several shards beside serving their clients. */
export class ShardServices {
  readonly catalogs: CatalogWatch;
  readonly recovery: TwoPhaseRecovery;
  readonly keys: KeyLookupDesk;
  readonly ids: NodeClaims;
  readonly copies: CopyWatch;
  readonly #program: ShardedProgram;

  constructor(program: ShardedProgram) {
    this.#program = program;
    this.catalogs = watchCatalogs(program);
    this.recovery = watchTransactions(program);
    this.keys = lookUpKeys(program);
    this.ids = claimNodes(program);
    this.copies = new CopyWatch({
      logger: program.logger,
      catalogs: () => this.catalogs.states,
      open: (database, shard) => openCopyReader(database, shard, sourcesOf(program)),
    });
  }

  get #parts() {
    return [this.catalogs, this.recovery, this.keys, this.ids, this.copies];
  }

  takeUp(loaded: LoadedConfig): void {
    for (const part of this.#parts) part.takeUp(loaded);
  }

  /**
   * What `pgdog-cluster setup` does. Resolves with its lines; rejects with what stood in the way.
   * @param name null: all databases with several shards
   */
  async setUp(name: string | null): Promise<string[]> {
    const loaded = this.#program.loaded();
    const lines: string[] = [];
    const say = (line: string): void => void lines.push(line);
    const names = [...loaded.sharding.keys()].filter((each) => name === null || each === name);
    if (names.length === 0)
      throw new Error(`there is no database ${name === null ? '' : `"${name}" `}with several shards`);
    for (const each of names) await setUp(each, loaded, this.#program.snapshot(), { out: say, err: say });
    this.hurry();
    return lines;
  }

  /** What is known of them may have changed. */
  hurry(): void {
    for (const part of [this.catalogs, this.keys]) part.hurry();
  }

  close(): void {
    for (const part of this.#parts) part.close();
  }
}

/** Reads from the servers, publishes in shared memory, tells the workers. */
function watchCatalogs(program: ShardedProgram): CatalogWatch {
  const { memory, logger, fleet, republish } = program;
  return new CatalogWatch({
    logger,
    open: (database, shard) => openShard(database, shard, sourcesOf(program)),
    // Before the snapshot whose epoch tells of them.
    publish: (catalogs) =>
      republish(() => {
        memory.catalogs.publish(catalogs());
        return {};
      }),
    tell: (message, except) => {
      for (const worker of fleet.servingWorkers()) if (!except.has(worker)) fleet.order(worker, message);
    },
  });
}

/** Asks them for shards of keys. */
function lookUpKeys(program: ShardedProgram): KeyLookupDesk {
  const { logger, fleet } = program;
  return new KeyLookupDesk({
    logger,
    open: async (database) => {
      const { client } = await connectToShard(database, 0, sourcesOf(program), {
        applicationName: 'pgdog-cluster lookup',
        greet: async (asked) => {
          const { rows } = await asked.query('SELECT pg_is_in_recovery() AS is_replica');
          return { isReplica: rows[0].is_replica === true, greeting: null };
        },
      });
      return client;
    },
    tell: (worker, message) => fleet.order(worker, message),
    forget: () => fleet.broadcast({ type: 'keysForgotten' }),
  });
}

/** Claims numbers for the ids that are made for them. */
function claimNodes(program: ShardedProgram): NodeClaims {
  const { memory, logger, fleet } = program;
  return new NodeClaims({
    logger,
    ids: memory.ids,
    clock: systemClock,
    below: cryptoRandom.below,
    open: (database) => openClaims(database, sourcesOf(program)),
    firstHost: (database) => {
      const { loaded, inOrder } = sourcesOf(program);
      const [first] = inOrder(
        loaded.databases.filter(
          ({ name, shard, role }) => name === database && shard === 0 && role !== 'replica',
        ),
      );
      return first === undefined ? '' : `${first.host}:${first.port}`;
    },
    tell: (worker, message) => fleet.order(worker, message),
  });
}

/** Ends what is left prepared on them. */
function watchTransactions(program: ShardedProgram): TwoPhaseRecovery {
  return new TwoPhaseRecovery({
    logger: program.logger,
    open: (database, shard, user) => ShardSession.open(database, shard, sourcesOf(program), user),
  });
}

function sourcesOf({ loaded, snapshot, health }: ShardedProgram): ShardSources {
  return { loaded: loaded(), snapshot: snapshot(), inOrder: (hosts) => health.inOrder(hosts) };
}
