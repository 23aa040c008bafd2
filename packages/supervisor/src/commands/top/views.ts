import {
  formatCount,
  formatPercent,
  formatSpan,
  formatUs,
  type HostStatus,
  type PoolStatus,
  type ShapeStatus,
  type StatusFrame,
  type WorkerStatus,
} from '@pgdog-cluster/core/status';
import { plainText } from './plain-text.js';

/** One column of a table in the terminal. */
interface TopColumn<Row> {
  head: string;
  /** Columns of the terminal; 0 = what is left. */
  width: number;
  isRight: boolean;
  text: (row: Row) => string;
  /** Texts go up, numbers down. */
  key: (row: Row) => string | number;
}

export interface TopRow {
  cells: string[];
  isBad: boolean;
}

/** A table that `top` can show. */
export interface TopView {
  name: string;
  heads: readonly { head: string; width: number; isRight: boolean }[];
  /** Column it is sorted by at first. */
  sort: number;
  rows: (frame: StatusFrame, sort: number, isReversed: boolean) => TopRow[];
}

function compare(a: string | number, b: string | number): number {
  return typeof a === 'string' ? (a < String(b) ? -1 : Number(a > String(b))) : Number(b) - a;
}

function view<Row>(
  name: string,
  sort: number,
  columns: readonly TopColumn<Row>[],
  rowsOf: (frame: StatusFrame) => readonly Row[],
  isBad: (row: Row) => boolean,
): TopView {
  return {
    name,
    heads: columns,
    sort,
    rows: (frame, by, isReversed) => {
      const { key } = columns[by];
      const sign = isReversed ? -1 : 1;
      const sorted = rowsOf(frame).toSorted((a, b) => sign * compare(key(a), key(b)));
      return sorted.map((row) => ({
        cells: columns.map(({ text }) => plainOrOurs(text(row))),
        isBad: isBad(row),
      }));
    },
  };
}

/** formatUs() writes a dash where there is nothing. */
function plainOrOurs(text: string): string {
  return text === '–' ? '-' : plainText(text);
}

function left<Row>(head: string, width: number, text: (row: Row) => string): TopColumn<Row> {
  return { head, width, isRight: false, text, key: text };
}

function right<Row>(
  head: string,
  width: number,
  value: (row: Row) => number | null,
  format: (value: number) => string,
): TopColumn<Row> {
  return {
    head,
    width,
    isRight: true,
    text: (row) => {
      const number = value(row);
      return number === null ? '-' : format(number);
    },
    key: (row) => value(row) ?? -1,
  };
}

const placeOf = ({ host, port }: { host: string; port: number }) =>
  host.startsWith('/') ? host : `${host}:${port}`;

const POOLS = view<PoolStatus>(
  'pools',
  5,
  [
    left('DATABASE', 0, ({ database }) => database),
    left('USER', 10, ({ user }) => user),
    left('SERVER', 19, (pool) => placeOf(pool)),
    {
      ...right<PoolStatus>('CONN', 7, ({ active }) => active, formatCount),
      text: ({ active, limit }) => `${active}/${limit}`,
    },
    right('WAIT', 5, ({ waiting }) => waiting, formatCount),
    right('Q/S', 6, ({ queriesPerS }) => queriesPerS, formatCount),
    right('P50', 7, ({ p50Us }) => p50Us, formatUs),
    right('P99', 7, ({ p99Us }) => p99Us, formatUs),
  ],
  ({ pools }) => pools,
  ({ waiting }) => waiting > 0,
);

interface ServerRow extends HostStatus {
  database: string;
  shard: number;
}

function serversOf({ databases }: StatusFrame): ServerRow[] {
  return databases.flatMap(({ database, shards }) =>
    shards.flatMap(({ shard, hosts }) => hosts.map((host) => ({ ...host, database, shard }))),
  );
}

function stateOf({ health, ban, orders }: HostStatus): string {
  if (health === 'failing') return 'failing';
  if (ban !== '') return `banned: ${ban}`;
  return orders === '' ? health : `ordered: ${orders}`;
}

const SERVERS = view<ServerRow>(
  'servers',
  0,
  [
    left('DATABASE', 0, ({ database }) => database),
    right('SHARD', 6, ({ shard }) => shard, String),
    left('SERVER', 22, placeOf),
    left('ROLE', 8, ({ role }) => role),
    left('STATE', 18, stateOf),
    right('LAG', 7, ({ lagMs }) => lagMs, formatSpan),
    right('BUSY', 5, ({ busyCount }) => busyCount, formatCount),
  ],
  serversOf,
  ({ health, ban }) => health === 'failing' || ban !== '',
);

const STATEMENTS = view<ShapeStatus>(
  'statements',
  6,
  [
    left('STATEMENT', 0, ({ query }) => query),
    left('DATABASE', 10, ({ database }) => database),
    right('CALLS', 6, ({ calls }) => calls, formatCount),
    right('MEAN', 7, ({ meanUs }) => meanUs, formatUs),
    right('P99', 7, ({ p99Us }) => p99Us, formatUs),
    right('ERR', 5, ({ errors }) => errors, formatCount),
    right('TIME', 10, ({ totalUs }) => totalUs, formatUs),
  ],
  ({ shapes }) => shapes ?? [],
  () => false,
);

const WORKERS = view<WorkerStatus>(
  'workers',
  0,
  [
    { ...right<WorkerStatus>('WORKER', 7, ({ worker }) => worker, String), key: ({ worker }) => -worker },
    left('STATE', 10, ({ state }) => state),
    left('DRIVER', 0, ({ ioDriver }) => ioDriver),
    right('BUSY', 6, ({ busyPercent }) => busyPercent, formatPercent),
    right('CLIENTS', 8, ({ clients }) => clients, formatCount),
    right('SERVERS', 8, ({ servers }) => servers, formatCount),
    right('WAIT', 6, ({ waiting }) => waiting, formatCount),
    right('RESTARTS', 9, ({ restarts }) => restarts, formatCount),
  ],
  ({ workers }) => workers,
  ({ state }) => state !== 'serving',
);

/** Keys 1 to 4. */
export const TOP_VIEWS: readonly TopView[] = [POOLS, SERVERS, STATEMENTS, WORKERS];
