import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  COUNTER_NAMES,
  LATENCY_BUCKETS,
  latencyBucket,
  QUERY_COUNT,
  QUERY_LATENCY,
  QUERY_TIME_US,
  SENT,
  SeededRandom,
} from '@pgdog-cluster/core';
import {
  createMetrics,
  expositionFor,
  LATENCY_BOUNDS_SECONDS,
  LATENCY_METRICS,
  METRICS,
} from 'pgdog-cluster';
import { type Family, parseOpenMetrics, parsePage } from '../support/metrics-text.js';
import { type AdminWorld, makeWorld, NOW_MS, ODD_USER } from './admin-fixture.js';

/** Fills every counter of every worker and pool; returns what was put in, by pool. */
function fill({ memory, snapshot }: AdminWorld, random: SeededRandom): number[][] {
  const { counters } = memory;
  return snapshot.pools.map(({ index }) => {
    const sums: number[] = new Array(COUNTER_NAMES.length).fill(0);
    for (let worker = 0; worker < 2; worker++) {
      for (const cell of sums.keys()) {
        const value = random.below(1_000_000);
        counters.cells[counters.rowBase(worker, index) + cell] += value;
        sums[cell] += value;
      }
    }
    return sums;
  });
}

test('query_cache_* are sums over the workers, without labels', async () => {
  const world = await makeWorld();
  const { workers } = world.memory;
  for (const worker of [0, 1]) {
    workers.setQueryCache(worker, 1000 + worker, 20 + worker, 3);
    workers.setQueryCacheSize(worker, 7, 9000);
  }
  const page = parsePage(await createMetrics(world.context).page());
  const values = ['hits', 'misses', 'evictions', 'size', 'bytes'].map((name) => {
    const family = page.get(`query_cache_${name}`);
    assert.deepEqual(family?.samples[0].labels, {});
    return [family.type, family.samples[0].value];
  });
  assert.deepEqual(values, [
    ['counter', 2001],
    ['counter', 41],
    ['counter', 6],
    ['gauge', 14],
    ['gauge', 18_000],
  ]);
});

test('OpenMetrics has the same samples under the same names', async () => {
  const world = await makeWorld();
  fill(world, new SeededRandom(7));
  const metrics = createMetrics(world.context, 'pgdog_');
  const [text, open] = await Promise.all([metrics.page('text'), metrics.page('openmetrics')]);
  const samplesOf = (families: Map<string, Family>) =>
    [...families.values()]
      .flatMap(({ samples }) => samples)
      .filter(({ name }) => !/_(seconds|bytes|seconds_total)$/.test(name))
      .map(({ name, labels, value }) => {
        const { le, ...others } = labels;
        return JSON.stringify([name, others, le === undefined ? null : Number(le), value]);
      });
  const [texts, opens] = [samplesOf(parsePage(text)), samplesOf(parseOpenMetrics(open))];
  assert.ok(texts.length > 100);
  assert.deepEqual(opens, texts);
  const families = parseOpenMetrics(open);
  assert.equal(families.get('pgdog_worker_turns')?.type, 'counter');
  assert.equal(families.get('pgdog_errors')?.type, 'unknown');
});

test('who gets OpenMetrics', () => {
  const open = 'application/openmetrics-text';
  const cases: [string | undefined, string][] = [
    [undefined, 'text'],
    ['', 'text'],
    ['*/*', 'text'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'text'],
    [open, 'openmetrics'],
    [
      `${open};version=1.0.0,${open};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`,
      'openmetrics',
    ],
    [`${open}; version=1.0.0; q=0.2, text/plain; q=0.3`, 'text'],
    ['Application/OpenMetrics-Text; Version=0.0.1', 'openmetrics'],
    [`${open};version=2.0.0`, 'text'],
    [`${open};q=0`, 'text'],
    [`${open};q=nonsense`, 'text'],
    [`${open};q=7,text/plain`, 'text'],
    [',;,;=,', 'text'],
    [`${'a/b,'.repeat(100)}${open}`, 'text'],
  ];
  for (const [accept, expected] of cases) assert.equal(expositionFor(accept), expected, accept);
});

test('the page is valid, and counters equal the sums over workers', async () => {
  const world = await makeWorld();
  const seed = Date.now() % 1_000_000;
  console.log(`seed ${seed}`);
  const sums = fill(world, new SeededRandom(seed));
  const page = parsePage(await createMetrics(world.context).page());
  const expected: [name: string, counter: (typeof COUNTER_NAMES)[number], divisor: number][] = [
    ['errors', 'errors', 1],
    ['total_server_errors', 'errors', 1],
    ['out_of_sync', 'outOfSync', 1],
    ['total_force_closed', 'forceClosed', 1],
    ['total_xact_count', 'xactCount', 1],
    ['total_query_count', 'queryCount', 1],
    ['total_server_assignment_count', 'serverAssignmentCount', 1],
    ['total_received', 'received', 1],
    ['total_sent', 'sent', 1],
    ['total_xact_time', 'xactTimeUs', 1000],
    ['total_idle_xact_time', 'idleXactTimeUs', 1000],
    ['total_query_time', 'queryTimeUs', 1000],
    ['total_wait_time', 'waitTimeUs', 1000],
    ['total_server_parse_count', 'serverParseCount', 1],
    ['total_bind_count', 'bindCount', 1],
    ['total_close_count', 'closeCount', 1],
    ['total_cleaned', 'cleaned', 1],
    ['total_rollbacks', 'rollbacks', 1],
    ['total_connect_time', 'connectTimeUs', 1000],
    ['total_connect_count', 'connectCount', 1],
    ['total_auth_attempts', 'authAttempts', 1],
    ['total_prepared_evictions', 'preparedEvictions', 1],
    ['total_cancels', 'cancels', 1],
    ['total_lent', 'lent', 1],
    ['total_adopted', 'adopted', 1],
    ['checkout_timeouts', 'checkoutTimeouts', 1],
  ];
  for (const [name, counter, divisor] of expected) {
    const family = page.get(name);
    assert.equal(family?.type, 'counter', name);
    const cell = COUNTER_NAMES.indexOf(counter);
    assert.deepEqual(
      family?.samples.map(({ value }) => value),
      sums.map((row) => row[cell] / divisor),
      name,
    );
  }
  const exported = new Set(expected.map(([, counter]) => counter));
  assert.deepEqual(
    COUNTER_NAMES.filter((name) => !exported.has(name)),
    [],
    'a counter nobody can see',
  );
  for (const { name, type, labels } of METRICS) {
    assert.equal(page.get(name)?.type, type, name);
    // Some have no samples here, and none may have other labels than the reference says.
    for (const sample of page.get(name)!.samples) assert.deepEqual(Object.keys(sample.labels), labels, name);
  }
  for (const { name } of LATENCY_METRICS) assert.equal(page.get(name)?.type, 'histogram', name);
});

test('labels are those of PgDog, escaped', async () => {
  const world = await makeWorld();
  const page = parsePage(await createMetrics(world.context).page());
  const labels = page.get('total_query_count')!.samples.map((sample) => sample.labels);
  assert.deepEqual(labels[1], {
    user: ODD_USER,
    database: 'shop',
    host: '127.0.0.1',
    port: '5432',
    shard: '0',
    role: 'primary',
  });
});

test('histograms are cumulative, end in +Inf and agree with sum and count', async () => {
  const world = await makeWorld();
  const { counters } = world.memory;
  const takenUs = [0, 1, 31, 32, 33, 1000, 5_000_000, 2 ** 31, 700];
  for (const [index, us] of takenUs.entries()) {
    const row = counters.rowBase(index % 2, 0);
    counters.cells[row + QUERY_LATENCY + latencyBucket(us)] += 1;
    counters.cells[row + QUERY_TIME_US] += us;
  }
  const page = parsePage(await createMetrics(world.context).page());
  const family = page.get('query_duration_seconds')!;
  assert.equal(family.type, 'histogram');
  for (const database of ['shop', 'other']) {
    const of = (suffix: string) =>
      family.samples.filter(
        ({ name, labels }) =>
          name === `query_duration_seconds${suffix}` && labels.database === database && labels.user === 'app',
      );
    const buckets = of('_bucket');
    assert.deepEqual(
      buckets.map(({ labels }) => labels.le),
      [...LATENCY_BOUNDS_SECONDS.map(String), '+Inf'],
    );
    const expected = database === 'shop' ? takenUs : [];
    for (const { labels, value } of buckets) {
      // A bound is the first duration that is not in the bucket any more.
      const bound = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Math.round(Number(labels.le) * 1e6);
      assert.equal(value, expected.filter((us) => us < bound).length, labels.le);
    }
    assert.equal(of('_count')[0].value, expected.length);
    assert.equal(of('_sum')[0].value, expected.reduce((sum, us) => sum + us, 0) / 1e6);
  }
  assert.equal(LATENCY_BOUNDS_SECONDS.length, LATENCY_BUCKETS - 6);
});

test('gauges follow shared memory from scrape to scrape', async () => {
  const world = await makeWorld();
  const { load, capacity, workers, counters } = world.memory;
  const metrics = createMetrics(world.context, 'pgdog_');
  const read = async (name: string, index = 0) =>
    parsePage(await metrics.page()).get(`pgdog_${name}`)?.samples[index].value;
  load.setWaiting(1, 0, 3);
  load.setOldestWaitSinceMs(1, 0, NOW_MS - 1500);
  capacity.tryClaim(0, 0);
  capacity.tryClaimClient(1);
  workers.setBusyUs(1, 2_500_000);
  assert.equal(await read('cl_waiting'), 3);
  assert.equal(await read('maxwait'), 1.5);
  assert.equal(await read('capacity_claimed'), 1);
  assert.equal(await read('max_connections'), 7);
  assert.equal(await read('clients'), 1);
  assert.equal(await read('worker_busy_seconds_total', 1), 2.5);
  load.setWaiting(1, 0, 0);
  assert.equal(await read('cl_waiting'), 0);
  assert.equal(await read('maxwait'), 0);
  counters.cells[counters.rowBase(0, 0) + QUERY_COUNT] += 8;
  counters.cells[counters.rowBase(0, 0) + SENT] += 100;
  world.clock.advanceMs(4000);
  assert.equal(await read('avg_query_count'), 2);
  assert.equal(await read('avg_sent'), 25);
  // Two at once do not disturb each other.
  const [first, second] = await Promise.all([metrics.page(), metrics.page()]);
  assert.equal(parsePage(first).size, parsePage(second).size);
  const info = parsePage(first).get('pgdog_worker_info')!.samples[1];
  assert.deepEqual(info.labels, { worker: '1', state: 'serving', io_driver: 'epoll' });
});

test('a namespace that gives no valid names is refused', async () => {
  const world = await makeWorld();
  for (const namespace of ['1x_', 'a-b', 'ä']) {
    assert.throws(() => createMetrics(world.context, namespace), { code: 'configuration' }, namespace);
  }
});
