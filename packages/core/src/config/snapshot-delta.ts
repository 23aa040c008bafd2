/**
 * What one snapshot has otherwise than the one before it, so that a worker need not take up thousands of entries because one has
 * changed. Lists by name or number; everything else as a whole, where it differs.
 */
import { Packr } from 'msgpackr';
import { differing } from '../base/differing.js';
import type {
  ClusterSnapshot,
  ConfigSnapshot,
  DatabaseSnapshot,
  PoolSnapshot,
  UserSnapshot,
} from './snapshot.js';

type ListKey = 'pools' | 'clusters' | 'users' | 'databases';
type Rest = Omit<ConfigSnapshot, ListKey | 'epoch' | 'catalogs'>;

export interface ListDelta<T, K> {
  removed: K[];
  /** New ones, and those that have changed. Of users all entries of a name. */
  set: T[];
}

export interface SnapshotDelta {
  /** The epoch that a worker must have. */
  from: number;
  epoch: number;
  rest: Partial<Rest>;
  /** Keys of the rest that are not there any more. */
  absent: (keyof Rest)[];
  pools: ListDelta<PoolSnapshot, number>;
  clusters: ListDelta<ClusterSnapshot, string>;
  users: ListDelta<UserSnapshot, string>;
  databases: ListDelta<DatabaseSnapshot, string>;
}

/** No name holds a NUL. */
export function clusterKeyOf(database: string, user: string, shard: number): string {
  return `${database}\0${user}\0${shard}`;
}

/**
 * @param known numbers of pools that some worker may have heard of beside those of `before`: they are gone too unless
 *   `after` has them
 */
export function diffSnapshots(
  before: ConfigSnapshot,
  after: ConfigSnapshot,
  known: Iterable<number> = [],
): SnapshotDelta {
  const pools = diffList(before.pools, after.pools, ({ index }) => index);
  const here = new Set(after.pools.map(({ index }) => index));
  const gone = new Set(pools.removed);
  for (const index of known) if (!here.has(index)) gone.add(index);
  pools.removed = [...gone];
  const rest: Record<string, unknown> = {};
  for (const key of restKeys(after)) if (!isEqual(before[key], after[key])) rest[key] = after[key];
  return {
    from: before.epoch,
    epoch: after.epoch,
    rest,
    absent: restKeys(before).filter((key) => before[key] !== undefined && after[key] === undefined),
    pools,
    clusters: diffList(before.clusters, after.clusters, ({ database, user, shard }) =>
      clusterKeyOf(database, user, shard),
    ),
    users: diffUsers(before.users, after.users),
    databases: diffList(before.databases, after.databases, ({ name }) => name),
  };
}

const packr = new Packr({ useRecords: false, copyBuffers: true });

export function packDelta(delta: SnapshotDelta): Uint8Array {
  return packr.pack(delta);
}

export function unpackDelta(bytes: Uint8Array): SnapshotDelta {
  return packr.unpack(bytes) as SnapshotDelta;
}

function restKeys(snapshot: ConfigSnapshot): (keyof Rest)[] {
  const { pools, clusters, users, databases, epoch, catalogs, ...rest } = snapshot;
  return Object.keys(rest) as (keyof Rest)[];
}

/** Keys are of one entry each. */
function diffList<T extends object, K>(
  before: readonly T[],
  after: readonly T[],
  keyOf: (entry: T) => K,
): ListDelta<T, K> {
  const [mine, theirs] = differing(before, after);
  const old = new Map(mine.map((entry) => [keyOf(entry), entry]));
  const set: T[] = [];
  for (const entry of theirs) {
    const key = keyOf(entry);
    if (!isEqual(old.get(key), entry)) set.push(entry);
    old.delete(key);
  }
  return { removed: [...old.keys()], set };
}

/** A name may have several entries, wherever they stand: all of them go together. */
function diffUsers(
  before: readonly UserSnapshot[],
  after: readonly UserSnapshot[],
): ListDelta<UserSnapshot, string> {
  const names = new Set(differing(before, after).flatMap((users) => users.map(({ name }) => name)));
  const concerned = (users: readonly UserSnapshot[]) => grouped(users.filter(({ name }) => names.has(name)));
  const { removed, set } = diffList(concerned(before), concerned(after), (entries) => entries[0].name);
  return { removed, set: set.flat() };
}

function grouped(users: readonly UserSnapshot[]): UserSnapshot[][] {
  const groups = new Map<string, UserSnapshot[]>();
  for (const user of users) {
    const group = groups.get(user.name);
    if (group === undefined) groups.set(user.name, [user]);
    else group.push(user);
  }
  return [...groups.values()];
}

/** Of plain data and bytes. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Uint8Array || Array.isArray(a)) {
    const [mine, theirs] = [a as ArrayLike<unknown>, b as ArrayLike<unknown>];
    if (mine.length !== theirs.length) return false;
    for (let index = 0; index < mine.length; index++) if (!isEqual(mine[index], theirs[index])) return false;
    return true;
  }
  const [mine, theirs] = [a as Record<string, unknown>, b as Record<string, unknown>];
  let count = 0;
  for (const key in mine) {
    count++;
    if (!isEqual(mine[key], theirs[key])) return false;
  }
  for (const _key in theirs) count--;
  return count === 0;
}
