/**
 * The figures to reach, each with what was measured. A target that could not be measured is said to be so;
 * a ratio is the median over repeats of ratios within a repeat, with its spread.
 */
import { differenceOf, type Metric, type Results, ratioOf, series, summaryOf } from './results.js';
import { pairedRatio, type Summary } from './statistics.js';

export interface Figure {
  what: string;
  target: string;
  measured: string;
  reached: 'yes' | 'no' | 'not measured';
}

/** Keys of the contenders that the targets speak of. */
export interface Roles {
  uring: string;
  epoll: string;
  /** The same with one worker; equal to the above where only one was measured. */
  uringOneWorker: string;
  epollOneWorker: string;
  pgbouncers: { key: string; label: string }[];
  smallPoolOne: { io_uring: string; epoll: string };
  smallPoolMany: { io_uring: string; epoll: string };
  smallPoolSize: number;
  /** One server, and a primary with a standby. */
  routing: readonly { driver: string; plain: string; routed: string }[];
  /** One server, and several shards. */
  sharding: readonly { driver: string; plain: string; sharded: string }[];
  /** COPY into one server without a proxy, and divided among shards. */
  copies: readonly { driver: string; plain: string; split: string }[];
}

/** Nobody may wait longer than this in the small pool: clients there wait for 50 others, not for seconds. */
const OLDEST_WAIT_MS_MAX = 1000;
const IDLE_CLIENT_KB_MAX = 4;
/** "Flat" allows for the breathing of a garbage-collected heap. */
const GROWTH_MB_MAX = 6;
const ONE_WORKER_TOLERANCE = 1.1;
const STORM_RATIO_MAX = 3;

interface Limit {
  atMost?: number;
  atLeast?: number;
}

function limitText({ atMost, atLeast }: Limit): string {
  return atMost === undefined ? `>= ${atLeast}` : `<= ${atMost}`;
}

function judge(what: string, suffix: string, limit: Limit, summary: Summary | null, digits = 2): Figure {
  const target = `${limitText(limit)}${suffix}`;
  if (summary === null) return { what, target, measured: '-', reached: 'not measured' };
  const text = (value: number): string => value.toFixed(digits);
  const spread = summary.count > 1 ? ` (${text(summary.min)} to ${text(summary.max)})` : '';
  // Judged as it is, not as it is rounded for the table.
  const isReached =
    (limit.atMost === undefined || summary.median <= limit.atMost) &&
    (limit.atLeast === undefined || summary.median >= limit.atLeast);
  return {
    what,
    target,
    measured: `${text(summary.median)}${suffix}${spread}`,
    reached: isReached ? 'yes' : 'no',
  };
}

export function verdict(results: Results, roles: Roles): Figure[] {
  const perBouncer = roles.pgbouncers.flatMap((base) => [
    ...againstBouncer(results, roles, base),
    ...reconnects(results, roles, base),
  ]);
  return [
    ...perBouncer,
    ...oneWorker(results, roles),
    ...memory(results, roles),
    ...smallPool(results, roles),
    ...storms(results, roles),
    ...routing(results, roles),
    ...sharding(results, roles),
    ...copies(results, roles),
  ];
}

const SELECTS = ['simple', 'extended'].flatMap((protocol) =>
  [32, 128].map((clients) => ({ key: `select-${protocol}-${clients}`, protocol, clients })),
);

function againstBouncer(results: Results, roles: Roles, base: { key: string; label: string }): Figure[] {
  const figures: Figure[] = [];
  const compare = (what: string, key: string, metric: Metric, ours: string, limit: Limit): void => {
    figures.push(judge(what, ` x ${base.label}`, limit, ratioOf(results, key, metric, ours, base.key)));
  };
  for (const { key, protocol, clients } of SELECTS) {
    const where = `select-only ${protocol}, ${clients} clients`;
    compare(`CPU per query, io_uring, ${where}`, key, 'cpuUsPerQuery', roles.uring, { atMost: 0.75 });
    compare(`CPU per query, epoll, ${where}`, key, 'cpuUsPerQuery', roles.epoll, { atMost: 1.1 });
  }
  for (const { key, protocol, clients } of SELECTS) {
    const where = `io_uring, select-only ${protocol}, ${clients} clients`;
    if (clients === 128) compare(`throughput, ${where}`, key, 'tps', roles.uring, { atLeast: 1.1 });
    compare(`p99, ${where}`, key, 'p99Ms', roles.uring, { atMost: 1 });
  }
  return figures;
}

function reconnects(results: Results, roles: Roles, base: { key: string; label: string }): Figure[] {
  return ['trust', 'scram'].map((auth) => {
    const ratio = ratioOf(results, `reconnect-${auth}`, 'tps', roles.uring, base.key);
    return judge(`connections per second, ${auth}, io_uring`, ` x ${base.label}`, { atLeast: 1 }, ratio);
  });
}

function oneWorker(results: Results, roles: Roles): Figure[] {
  const pairs = [
    { driver: 'io_uring', one: roles.uringOneWorker, many: roles.uring },
    { driver: 'epoll', one: roles.epollOneWorker, many: roles.epoll },
  ];
  return pairs
    .filter(({ one, many }) => one !== many)
    .flatMap(({ driver, one, many }) =>
      SELECTS.map(({ key, protocol, clients }) => {
        const what = `CPU per query with one worker, ${driver}, select-only ${protocol}, ${clients} clients`;
        const ratio = ratioOf(results, key, 'cpuUsPerQuery', one, many);
        return judge(what, ' x that with several', { atMost: ONE_WORKER_TOLERANCE }, ratio);
      }),
    );
}

function memory(results: Results, roles: Roles): Figure[] {
  const drivers = [
    { driver: 'io_uring', key: roles.uring },
    { driver: 'epoll', key: roles.epoll },
  ];
  return drivers.flatMap(({ driver, key }) => [
    judge(
      `resident memory per idle client (after one query), ${driver}`,
      ' KB',
      { atMost: IDLE_CLIENT_KB_MAX },
      summaryOf(results, 'idle', key, 'idleQueryKb'),
    ),
    judge(
      `memory growth over the second half of the distinct texts, ${driver}`,
      ' MB',
      { atMost: GROWTH_MB_MAX },
      summaryOf(results, 'texts', key, 'rssGrowthMb'),
    ),
  ]);
}

const STORMS = [
  { caseKey: 'storm-scram', how: 'scram' },
  { caseKey: 'storm-tls', how: 'TLS and scram' },
];

function storms(results: Results, roles: Roles): Figure[] {
  const drivers = [
    { driver: 'io_uring', key: roles.uring },
    { driver: 'epoll', key: roles.epoll },
  ];
  return drivers.flatMap(({ driver, key }) =>
    STORMS.map(({ caseKey, how }) =>
      judge(
        `p99 of running clients in a storm of connects (${how}), ${driver}`,
        ' x before',
        { atMost: STORM_RATIO_MAX },
        summaryOf(results, caseKey, key, 'stormRatio'),
      ),
    ),
  );
}

function smallPool(results: Results, roles: Roles): Figure[] {
  return (['io_uring', 'epoll'] as const).flatMap((driver) => {
    const many = roles.smallPoolMany[driver];
    const connections = summaryOf(results, 'small-pool', many, 'serverConnectionsMax');
    // A limit is broken by one sample above it: the highest repeat is judged, not the median.
    const highest = connections === null ? null : { ...connections, median: connections.max };
    const ratio = ratioOf(results, 'small-pool', 'tps', many, roles.smallPoolOne[driver]);
    const slowest = summaryOf(results, 'small-pool', many, 'maxMs');
    const where = `small pool, 4 workers, ${driver}`;
    return [
      judge(`${where}: server connections`, '', { atMost: roles.smallPoolSize }, highest, 0),
      judge(`${where}: throughput`, ' x that of one worker', { atLeast: 0.9 }, ratio),
      judge(`${where}: slowest transaction`, ' ms', { atMost: OLDEST_WAIT_MS_MAX }, slowest, 1),
    ];
  });
}

/** Limits of a worker: 16 MiB of plans, and what SHOW QUERIES counts for 5,000 shapes of few characters. */
const CACHE_MB_MAX = 21;
/** Statements of `prepared` keep their plan; those of `simple` are read each time, for their literals change. */
const ROUTING_COSTS_US = { prepared: 2, simple: 3 };

function routing(results: Results, roles: Roles): Figure[] {
  return roles.routing.flatMap(({ driver, plain, routed }) => {
    const costs = Object.entries(ROUTING_COSTS_US).map(([protocol, atMost]) => {
      const more = differenceOf(results, `routing-${protocol}`, 'cpuUsPerQuery', routed, plain);
      return judge(`routing, ${driver}: CPU per query, ${protocol}`, ' us more', { atMost }, more);
    });
    const [one, many] = ['one-shape', 'many-shapes'].map((name) =>
      summaryOf(results, `routing-${name}`, routed, 'tps'),
    );
    const ratio = one === null || many === null ? null : pairedRatio([many.median], [one.median]);
    const growth = summaryOf(results, 'routing-many-shapes', routed, 'rssGrowthMb');
    const [oneMb, manyMb] = ['one-shape', 'many-shapes'].map((name) =>
      summaryOf(results, `routing-${name}`, routed, 'cacheMb'),
    );
    const hitRate = summaryOf(results, 'routing-one-shape', routed, 'hitRate');
    return [
      ...costs,
      judge(`routing, ${driver}: throughput, many shapes`, ' x that of one', { atLeast: 0.5 }, ratio),
      judge(`routing, ${driver}: cache, one shape`, ' MB', { atMost: 1 }, oneMb, 3),
      judge(`routing, ${driver}: hit rate, one shape`, '', { atLeast: 0.999 }, hitRate, 5),
      judge(`routing, ${driver}: cache, many shapes`, ' MB', { atMost: CACHE_MB_MAX }, manyMb),
      judge(`routing, ${driver}: memory growth, many shapes`, ' MB', { atMost: GROWTH_MB_MAX }, growth),
    ];
  });
}

const MERGED_ROWS_PER_S_MIN = 300_000;

function sharding(results: Results, roles: Roles): Figure[] {
  return roles.sharding.flatMap(({ driver, plain, sharded }) => {
    const costs = Object.entries(ROUTING_COSTS_US).map(([protocol, atMost]) => {
      const more = differenceOf(results, `sharding-${protocol}`, 'cpuUsPerQuery', sharded, plain);
      return judge(
        `one of several shards, ${driver}: CPU per query, ${protocol}`,
        ' us more',
        { atMost },
        more,
      );
    });
    const latency = (key: string, base: string): Summary | null =>
      pairedRatio(series(results, key, sharded, 'p50Ms'), series(results, base, sharded, 'p50Ms'));
    const lookups = [
      { key: 'busy', what: 'a lookup on all shards' },
      { key: 'waiting', what: 'a lookup of 2 ms on all shards' },
    ].flatMap(({ key, what }) => [
      judge(
        `${what}, ${driver}: latency`,
        ' x the slowest shard',
        { atMost: 1.3 },
        latency(`sharding-${key}-all`, `sharding-${key}-slowest`),
      ),
      judge(
        `${what}, ${driver}: latency beside a client for each shard`,
        ' x the slowest of three clients',
        { atMost: 1.3 },
        latency(`sharding-${key}-all`, `sharding-${key}-beside`),
      ),
    ]);
    const commit = latency('sharding-commit-two', 'sharding-commit-one');
    const rows = summaryOf(results, 'sharding-merge', sharded, 'rowsPerS');
    const growth = summaryOf(results, 'sharding-merge', sharded, 'rssGrowthMb');
    const merge = `sorted rows of several shards, ${driver}`;
    return [
      ...costs,
      ...lookups,
      judge(`${merge}: rows per second`, '', { atLeast: MERGED_ROWS_PER_S_MIN }, rows, 0),
      judge(`${merge}: memory growth, second half`, ' MB', { atMost: GROWTH_MB_MAX }, growth),
      judge(`a commit over two shards, ${driver}: latency`, ' x that of one', { atMost: 2.2 }, commit),
    ];
  });
}

function copies(results: Results, roles: Roles): Figure[] {
  return roles.copies.flatMap(({ driver, plain, split }) => {
    const ratio = ratioOf(results, 'copy-split', 'rowsPerS', split, plain);
    const growth = summaryOf(results, 'copy-split', split, 'rssGrowthMb');
    return [
      judge(`COPY over shards, ${driver}: rows per second`, ' x plain COPY', { atLeast: 0.8 }, ratio),
      judge(
        `COPY over shards, ${driver}: memory growth, second half`,
        ' MB',
        { atMost: GROWTH_MB_MAX },
        growth,
      ),
    ];
  });
}
