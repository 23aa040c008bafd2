import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, test } from 'node:test';
import {
  HEALTH_FAILING,
  type LogCode,
  latencyBucket,
  QUERY_COUNT,
  QUERY_LATENCY,
  SENT,
  WORKER_CRASHED,
  XACT_COUNT,
} from '@pgdog-cluster/core';
import { Secret } from '@pgdog-cluster/core/config';
import type { StatusFrame } from '@pgdog-cluster/core/status';
import { EventReader, formatBytes, formatCount, formatSpan, formatUs } from '@pgdog-cluster/core/status';
import {
  bucketQuantileUs,
  HttpServer,
  LISTENERS_MAX,
  RecentLog,
  readStatus,
  StatusFeed,
  sampleCounters,
} from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';
import { makeWorld, NOW_MS, ODD_USER, queryReport } from './admin-fixture.js';

const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(feed: StatusFeed): Promise<number> {
  const server = createServer((_, response) => {
    if (!feed.listen(response)) response.writeHead(503).end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a frame has rates and percentiles of the time since the sample before', async () => {
  const { context, memory, snapshot } = await makeWorld();
  const { counters } = memory;
  const row = counters.rowBase(1, 1);
  counters.cells[row + QUERY_COUNT] = 1e6;
  const before = sampleCounters(memory, snapshot.pools, 1000);
  for (const us of [...Array(98).fill(700), 50_000, 50_000]) {
    counters.cells[row + QUERY_LATENCY + latencyBucket(us)] += 1;
  }
  counters.cells[row + QUERY_COUNT] += 100;
  counters.cells[row + XACT_COUNT] += 50;
  counters.cells[row + SENT] += 4000;
  memory.load.setActive(1, 1, 3);
  memory.load.setWaiting(1, 1, 2);
  memory.load.setOldestWaitSinceMs(1, 1, NOW_MS - 1500);
  memory.workers.setBusyUs(0, 500_000);
  memory.workers.setState(1, WORKER_CRASHED);
  memory.hosts.setHealth(1, HEALTH_FAILING);
  const after = sampleCounters(memory, snapshot.pools, 3000);
  const frame = readStatus(context, before, after);
  assert.equal(frame.totals.queriesPerS, 50);
  assert.equal(frame.totals.transactionsPerS, 25);
  assert.equal(frame.totals.sentPerS, 2000);
  assert.equal(frame.totals.waiting, 2);
  assert.ok(frame.totals.p50Us! > 512 && frame.totals.p50Us! < 1024);
  assert.ok(frame.totals.p99Us! > 32_768 && frame.totals.p99Us! < 65_536);
  assert.equal(frame.totals.waitP99Us, null);
  assert.deepEqual(
    frame.workers.map(({ state, busyPercent }) => [state, busyPercent]),
    [
      ['serving', 25],
      ['crashed', 0],
    ],
  );
  // Who waits comes first.
  const [pool] = frame.pools;
  assert.deepEqual([pool.user, pool.active, pool.waiting, pool.maxWaitMs], [ODD_USER, 3, 2, 1500]);
  assert.deepEqual(
    frame.databases.map(({ database, waiting, shards }) => [database, waiting, shards[0].hosts[0].health]),
    [
      ['shop', 2, 'unknown'],
      ['other', 0, 'failing'],
    ],
  );
  assert.deepEqual(
    frame.databases.map(({ shards }) => shards[0].hosts[0].role),
    ['primary', 'primary'],
    'as configured where nobody has to find it out',
  );
  // Of one server that serves both, too, each database tells its own connections.
  assert.deepEqual(
    frame.databases.map(({ shards }) => shards[0].hosts[0].busyCount),
    [3, 0],
  );
  assert.deepEqual([frame.reload.error, frame.reload.pending], ['', ['log_level']]);
  assert.equal(frame.poolCount, 3);
  assert.equal(frame.unready, null);
});

test('percentiles of buckets: none, all in one, beyond the last', () => {
  const cells = new Array(24).fill(0);
  assert.equal(bucketQuantileUs(cells, 0, 0.99), null);
  cells[11] = 4;
  assert.equal(bucketQuantileUs(cells, 0, 0.5), 1024 + 512);
  cells[23] = 1000;
  assert.equal(bucketQuantileUs(cells, 0, 0.99), 2 ** 22);
});

test('one producer for all who look; nothing is done while nobody does', { timeout: 120_000 }, async () => {
  const world = await makeWorld();
  world.queries = [queryReport({ query: 'SELECT <b>$1</b>' })];
  const feed = new StatusFeed(world.context, 10);
  assert.equal(feed.isRunning, false);
  const frame = await feed.next();
  assert.equal(frame.atMs, NOW_MS);
  assert.equal(feed.isRunning, false, 'it goes on for nobody');
  const port = await serve(feed);
  const looks = Array.from({ length: LISTENERS_MAX }, () => fetch(`http://127.0.0.1:${port}/`));
  const responses = await Promise.all(looks);
  const refused = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal(refused.status, 503);
  const readers = responses.map((response) =>
    response.body!.pipeThrough(new TextDecoderStream()).getReader(),
  );
  const events = new EventReader();
  const first: string[] = [];
  let shapes: StatusFrame['shapes'] = null;
  while (shapes === null) {
    const { value } = await readers[0].read();
    for (const { event, data } of events.push(value!)) {
      first.push(event);
      if (event === 'status') ({ shapes } = JSON.parse(data) as StatusFrame);
    }
  }
  assert.equal(first[0], 'history');
  assert.deepEqual([shapes[0].query, shapes[0].calls, shapes[0].meanUs], ['SELECT <b>$1</b>', 10, 2000]);
  // Asked once for all of them, and not with each frame.
  assert.ok(world.queryFilters.length <= 2, String(world.queryFilters.length));
  assert.equal(feed.listenerCount, LISTENERS_MAX);
  for (const reader of readers) await reader.cancel();
  await until(() => feed.listenerCount === 0);
  assert.equal(feed.isRunning, false);
});

test('who does not read is let go, and the others notice nothing', { timeout: 120_000 }, async () => {
  const world = await makeWorld();
  const line = { atMs: 1, level: 'warn', code: 'x', message: 'm'.repeat(300), count: 1 } as const;
  world.events = Array.from({ length: 2000 }, () => ({ ...line }));
  const feed = new StatusFeed(world.context, 5);
  const port = await serve(feed);
  const deaf = connect(port, '127.0.0.1', () => deaf.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
  deaf.on('error', () => {});
  deaf.pause();
  await until(() => feed.listenerCount === 1);
  const response = await fetch(`http://127.0.0.1:${port}/`);
  const reader = response.body!.getReader();
  let isReading = true;
  const reading = (async () => {
    while (isReading) await reader.read();
  })();
  await until(() => feed.listenerCount === 1);
  isReading = false;
  await reading;
  assert.equal(feed.listenerCount, 1);
  feed.close();
  deaf.destroy();
});

test('the figures need the token; the page that shows them does not, and may load nothing from elsewhere', async () => {
  const { context } = await makeWorld();
  const token = new Secret('0123456789abcdef');
  const server = new HttpServer(context, { token: () => token });
  const port = await server.listen('127.0.0.1', 0);
  const base = `http://127.0.0.1:${port}`;
  try {
    for (const path of ['/api/status', '/api/events', '/metrics']) {
      assert.equal((await fetch(base + path)).status, 401, path);
    }
    const headers = { authorization: 'Bearer 0123456789abcdef' };
    const status = await fetch(`${base}/api/status`, { headers });
    assert.equal(status.headers.get('content-type'), 'application/json; charset=utf-8');
    assert.equal(((await status.json()) as StatusFrame).workers.length, 2);
    let bytes = 0;
    for (const [path, type] of Object.entries({
      '/': 'text/html',
      '/dashboard.js': 'text/javascript',
      '/dashboard.css': 'text/css',
      '/dashboard.svg': 'image/svg+xml',
    })) {
      const file = await fetch(base + path);
      assert.ok(file.status === 200 && file.headers.get('content-type')!.startsWith(type), path);
      const policy = file.headers.get('content-security-policy')!;
      assert.ok(policy.startsWith("default-src 'none'; script-src 'self';"), policy);
      assert.ok(!policy.includes('unsafe') && policy.includes("frame-ancestors 'none'"));
      const text = await file.text();
      bytes += text.length;
      const urls = text.split('http').filter((rest) => rest.startsWith('://') || rest.startsWith('s://'));
      assert.ok(
        urls.every((rest) => rest.startsWith('://www.w3.org/')),
        path,
      );
    }
    assert.ok(bytes < 200_000, `${bytes} bytes`);
  } finally {
    await server.close();
  }
});

test('the last warnings and errors are kept: repeated ones once, never the fields', () => {
  const recent = new RecentLog();
  const logger = recent.over(new FakeLogger());
  logger.log('info', 'ready', 'ready');
  for (let i = 0; i < 3; i++)
    logger.log('warn', 'host_banned', 'h:1 is not read from', { secret: 'sw0rdfish' });
  logger.log('error', 'worker_crashed', 'w'.repeat(1000));
  const [last, banned, ...more] = recent.events();
  assert.deepEqual([last.code, last.message.length], ['worker_crashed', 300]);
  assert.deepEqual([banned.code, banned.count, banned.level], ['host_banned', 3, 'warn']);
  assert.equal(more.length, 0);
  assert.ok(!JSON.stringify(recent.events()).includes('sw0rdfish'));
  for (let i = 0; i < 100; i++) logger.log('error', 'x' as LogCode, `number ${i}`);
  assert.equal(recent.events().length, 50);
  assert.equal(recent.events()[0].message, 'number 99');
});

test('figures are written short', () => {
  const counts = [0, 0.04, 0.4, 7, 12.34, 99.6, 950.4, 9999, 12_345, 999_499, 1_234_567];
  assert.deepEqual(counts.map(formatCount), '0 0 0.4 7 12.3 100 950 9999 12.3k 999k 1.23M'.split(' '));
  assert.deepEqual([0, 999, 1000, 123_456_789].map(formatBytes), ['0 B', '999 B', '1 kB', '123 MB']);
  assert.deepEqual([null, 12.4, 1000, 48_000, 3_200_000].map(formatUs), [
    '–',
    '12 µs',
    '1 ms',
    '48 ms',
    '3.20 s',
  ]);
  const spans = [0, 1500, 61_000, 3_600_000, 200_000_000];
  assert.deepEqual(spans.map(formatSpan), ['0 ms', '2 s', '1 min 1 s', '1 h 0 min', '2 d 7 h']);
});

test('events are taken apart whatever pieces they come in', () => {
  const text = 'event: status\ndata: {"a":1}\n\n: comment\n\ndata: x\ndata: y\n\n';
  for (let cut = 0; cut <= text.length; cut++) {
    const events = new EventReader();
    assert.deepEqual(
      [...events.push(text.slice(0, cut)), ...events.push(text.slice(cut))],
      [
        { event: 'status', data: '{"a":1}' },
        { event: 'message', data: 'x\ny' },
      ],
    );
  }
  assert.throws(() => new EventReader().push('x'.repeat(4_000_001)), RangeError);
});
