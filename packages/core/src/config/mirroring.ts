/** [[mirroring]]: its defaults, its entries, and what they may not ask for. */
import { row } from './default-row.js';
import { suggestion } from './parse-document.js';
import type { Origin, ProblemList } from './problem-list.js';
import type { MirroringInput } from './schema.js';
import type { MirrorSnapshot } from './snapshot.js';

const AS_PGDOG = 'as PgDog';

export const MIRROR_DEFAULTS = {
  mirror_queue: row(
    128,
    '',
    'Units of clients (transactions, or statements outside of one) that may wait for one mirror, in each worker; beyond it they are dropped and counted. `queue_length` of `[[mirroring]]` wins.',
    AS_PGDOG,
  ),
  mirror_exposure: row(
    1,
    '',
    'Share of the units that is mirrored, 0 to 1, drawn for each. `exposure` of `[[mirroring]]` wins.',
    AS_PGDOG,
  ),
};

export interface PlacedMirror {
  input: MirroringInput;
  origin: Origin;
}

export function toMirror(
  input: MirroringInput,
  general: { mirror_queue: number; mirror_exposure: number },
): MirrorSnapshot {
  return {
    source: input.source_db,
    destination: input.destination_db,
    queueLengthMax: input.queue_length ?? general.mirror_queue,
    exposure: input.exposure ?? general.mirror_exposure,
    level: input.level ?? 'all',
  };
}

/** A database that is mirrored, and all or most of whose clients are in session mode. */
export function warnOfSessionMode(
  mirrors: readonly PlacedMirror[],
  isSessionMode: (database: string) => boolean,
  problems: ProblemList,
): void {
  for (const { input, origin } of mirrors) {
    if (!isSessionMode(input.source_db)) continue;
    problems.warning(origin.place('source_db'), 'clients in session mode are not mirrored');
  }
}

/** A mirror runs units on one server, where they would meet the rows of one shard. */
export function refuseShardedMirrors(
  mirrors: readonly PlacedMirror[],
  isSharded: (database: string) => boolean,
  problems: ProblemList,
): void {
  for (const { input, origin } of mirrors) {
    for (const key of ['source_db', 'destination_db'] as const) {
      if (!isSharded(input[key])) continue;
      const text = `"${input[key]}" has several shards: such databases cannot be mirrored yet`;
      problems.error(origin.place(key), text);
    }
  }
}

/** The databases from `start` back to itself; null: no way leads back. */
function cycleFrom(start: string, mirrors: readonly PlacedMirror[]): string[] | null {
  const ways: string[][] = [[start]];
  const seen = new Set<string>();
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    const from = way[way.length - 1];
    for (const { input } of mirrors) {
      // One onto itself is told apart, and is no way to anywhere.
      if (input.source_db !== from || input.destination_db === from) continue;
      if (input.destination_db === start) return [...way, start];
      if (seen.has(input.destination_db)) continue;
      seen.add(input.destination_db);
      ways.push([...way, input.destination_db]);
    }
  }
  return null;
}

export function checkMirroring(
  mirrors: readonly PlacedMirror[],
  databases: readonly string[],
  problems: ProblemList,
): void {
  for (const [index, { input, origin }] of mirrors.entries()) {
    for (const key of ['source_db', 'destination_db'] as const) {
      if (databases.includes(input[key])) continue;
      const text = `no database "${input[key]}" is configured${suggestion(input[key], databases)}`;
      problems.error(origin.place(key), text);
    }
    if (input.source_db === input.destination_db) {
      problems.error(origin.place('destination_db'), `"${input.source_db}" cannot be mirrored onto itself`);
      continue;
    }
    const isTwice = mirrors
      .slice(0, index)
      .some(
        (other) =>
          other.input.source_db === input.source_db && other.input.destination_db === input.destination_db,
      );
    if (isTwice) {
      const text = `"${input.source_db}" is mirrored to "${input.destination_db}" already`;
      problems.error(origin.place('destination_db'), text);
    }
    const cycle = cycleFrom(input.source_db, mirrors);
    if (cycle !== null) {
      const way = cycle.map((name) => `"${name}"`).join(' to ');
      problems.error(origin.place('source_db'), `mirrors go round in a circle: ${way}`);
    }
  }
}
