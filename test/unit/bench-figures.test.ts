// The bench is a program and exports nothing as a package: its modules are loaded from where they were built.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

interface Summary {
  median: number;
  min: number;
  max: number;
  count: number;
}
interface Statistics {
  median(values: readonly number[]): number;
  percentile(sorted: ArrayLike<number>, percent: number): number;
  pairedRatio(
    values: readonly (number | undefined)[],
    bases: readonly (number | undefined)[],
  ): Summary | null;
}
interface Proc {
  parseStat(text: string): { userUs: number; systemUs: number };
  parseRssKb(text: string): number;
  cpuTime(pids: number[]): { userUs: number; systemUs: number };
  rssKb(pids: number[]): number;
}
interface Pgbench {
  parseSummary(text: string): { transactions: number; tps: number; failed: number };
  parseLog(text: string): number[];
}
interface Programs {
  parseVersion(text: string): string;
  isVersionAtLeast(version: string, least: string): boolean;
}

const load = async <T>(path: string): Promise<T> =>
  (await import(new URL(`../../../bench/dist/${path}`, import.meta.url).href)) as T;

const { median, percentile, pairedRatio } = await load<Statistics>('report/statistics.js');
const { parseStat, parseRssKb, cpuTime, rssKb } = await load<Proc>('macro/proc.js');
const { parseSummary, parseLog } = await load<Pgbench>('macro/pgbench.js');
const { parseVersion, isVersionAtLeast } = await load<Programs>('macro/programs.js');

describe('statistics', () => {
  it('takes the middle value, or the mean of the two middle ones, and leaves its input alone', () => {
    const values = [10, 2, 33];
    assert.equal(median(values), 10);
    assert.deepEqual(values, [10, 2, 33]);
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.equal(median([100, 20, 3]), 20, 'sorted as numbers, not as text');
    assert.throws(() => median([]), RangeError);
  });

  it('gives percentiles that are values of the list', () => {
    const sorted = Array.from({ length: 100 }, (_, index) => index + 1);
    assert.equal(percentile(sorted, 50), 50);
    assert.equal(percentile(sorted, 99), 99);
    assert.equal(percentile(sorted, 99.1), 100);
    assert.equal(percentile(sorted, 0), 1);
    assert.equal(percentile(sorted, 100), 100);
    assert.equal(percentile([7], 1), 7);
    assert.throws(() => percentile([], 50), RangeError);
    assert.throws(() => percentile([1], 101), RangeError);
    assert.throws(() => percentile([1], Number.NaN), RangeError);
  });

  it('takes ratios within a repeat and leaves out repeats that one side lacks', () => {
    // The median of the ratios, which is not the ratio of the medians (3 / 2).
    assert.deepEqual(pairedRatio([1, 3, 9], [2, 1, 9]), { median: 1, min: 0.5, max: 3, count: 3 });
    assert.deepEqual(pairedRatio([undefined, 4, 6], [1, undefined, 3]), {
      median: 2,
      min: 2,
      max: 2,
      count: 1,
    });
    assert.equal(pairedRatio([1], [0]), null);
    assert.equal(pairedRatio([], []), null);
  });
});

describe('/proc', () => {
  const stat = (command: string): string =>
    `4711 (${command}) S 1 4711 4711 0 -1 4194560 10 0 0 0 123 45 6 7 20 0 4 0 100 1000 200 18446744073709551615 1`;

  it('reads user and system time past any command name', () => {
    for (const command of ['node', 'a b', 'x) R 1 2 3 (y', ')']) {
      assert.deepEqual(parseStat(stat(command)), { userUs: 1_230_000, systemUs: 450_000 });
    }
    assert.throws(() => parseStat(''), /stat/);
    assert.throws(() => parseStat('1 (x) S 1 2'), /times/);
  });

  it('reads the resident set, and says when the process has ended', () => {
    assert.equal(parseRssKb('Name:\tnode\nVmHWM:\t  999 kB\nVmRSS:\t   51234 kB\nThreads:\t4\n'), 51234);
    // A zombie's status has no memory lines.
    assert.throws(() => parseRssKb('Name:\tnode\nState:\tZ (zombie)\n'), /ended/);
  });

  it('agrees with Node about this process', () => {
    const start = cpuTime([process.pid]);
    const end = Date.now() + 120;
    while (Date.now() < end);
    const now = cpuTime([process.pid]);
    const own = process.cpuUsage();
    const spent = now.userUs + now.systemUs - start.userUs - start.systemUs;
    assert.ok(spent > 0 && spent < 5e6, `spent ${spent} us`);
    assert.ok(Math.abs(now.userUs + now.systemUs - own.user - own.system) < 300_000);
    assert.ok(Math.abs(rssKb([process.pid]) - process.memoryUsage.rss() / 1024) < 20_000);
    assert.equal(cpuTime([]).userUs, 0);
  });
});

describe('what pgbench prints', () => {
  const summary = `pgbench (15.18)
transaction type: <builtin: select only>
number of clients: 32
number of transactions actually processed: 141234
number of failed transactions: 0 (0.000%)
latency average = 0.663 ms
initial connection time = 60.1 ms
tps = 28247.250000 (without initial connection time)
`;

  it('reads transactions and tps, also with reconnection times', () => {
    assert.deepEqual(parseSummary(summary), { transactions: 141234, tps: 28247.25, failed: 0 });
    const reconnecting = summary.replace(
      /tps = .*/,
      'average connection time = 1.2 ms\ntps = 512.5 (including reconnection times)',
    );
    assert.equal(parseSummary(reconnecting).tps, 512.5);
    assert.equal(parseSummary(summary.replace('transactions: 0', 'transactions: 12')).failed, 12);
  });

  it('refuses half a summary', () => {
    assert.throws(() => parseSummary(''), /summary/);
    assert.throws(() => parseSummary(summary.replace(/tps = .*/, '')), /summary/);
    assert.throws(() => parseSummary(summary.replace(/.*actually.*/, '')), /summary/);
  });

  it('reads latencies, leaving out transactions without one', () => {
    const log =
      '0 1 663 0 1795000000 12\n3 9 skipped 0 1795000000 13\n1 2 1200 0 1795000000 14 55\n2 3 failed 0 1 2\n';
    assert.deepEqual(parseLog(log), [663, 1200]);
    assert.deepEqual(parseLog(''), []);
  });

  it('compares versions as numbers', () => {
    assert.equal(parseVersion('PgBouncer 1.18.0\nlibevent 2.1.12-stable'), '1.18.0');
    assert.equal(parseVersion('pgbench (PostgreSQL) 15.18 (Debian)'), '15.18');
    assert.equal(parseVersion('nothing'), 'unknown');
    assert.equal(isVersionAtLeast('1.21.0', '1.21'), true);
    assert.equal(isVersionAtLeast('1.9.0', '1.21'), false);
    assert.equal(isVersionAtLeast('2.0', '1.21'), true);
    assert.equal(isVersionAtLeast('unknown', '1.21'), false);
  });
});
