import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, Server } from 'node:net';
import { after, before, mock, test } from 'node:test';
import { HEALTH_FAILING, HEALTH_GOOD, WORKER_DRAINING, WORKER_SERVING } from '@pgdog-cluster/core';
import { Secret } from '@pgdog-cluster/core/config';
import { HttpServer, LISTENERS_MAX, openHealth, openHttp } from 'pgdog-cluster';
import { parseOpenMetrics, parsePage } from '../support/metrics-text.js';
import { secret } from '../support/secrets.js';
import { eventually, sleep } from '../support/wire.js';
import { type AdminWorld, makeWorld } from './admin-fixture.js';

const TOKEN = secret('correct-horse-battery-staple');

let world: AdminWorld;
let server: HttpServer;
let port = 0;
let token: Secret | null = null;

before(async () => {
  world = await makeWorld();
  server = new HttpServer(world.context, { token: () => token });
  port = await server.listen('127.0.0.1', 0);
});
after(() => server.close());

interface Got {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  text: string;
}

/** By node:http, because fetch() does not let a test say its Host. */
function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    sent.on('error', reject).end();
  });
}

function raw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
  });
}

test('the HTTP port answers its paths and nothing else', async () => {
  const page = await get('/metrics?x=1');
  assert.equal(page.status, 200);
  assert.equal(page.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(page.headers['cache-control'], 'no-store');
  assert.ok(parsePage(page.text).size > 50);
  const open = await get('/metrics', { accept: 'application/openmetrics-text; version=1.0.0, */*;q=0.1' });
  assert.equal(open.headers['content-type'], 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  assert.equal(open.headers.vary, 'Accept');
  assert.equal(parseOpenMetrics(open.text).get('errors')?.type, 'unknown');
  const head = await get('/metrics', {}, 'HEAD');
  assert.equal(head.text, '');
  assert.ok(Number(head.headers['content-length']) > 1000);
  // A stream has no length that could be told, and no end.
  assert.equal((await get('/api/events', {}, 'HEAD')).status, 405);
  assert.deepEqual([(await get('/healthz')).text, (await get('/readyz')).status], ['ok\n', 200]);
  for (const path of ['/nothing', '/metrics/', '/Metrics', '//metrics', '/../metrics', '/readyz%00']) {
    assert.equal((await get(path)).status, 404, path);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const refused = await get('/metrics', {}, method);
    assert.deepEqual([refused.status, refused.headers['allow']], [405, 'GET, HEAD'], method);
  }
});

test('it is not ready while draining, without workers, and when every server fails', async () => {
  const { workers, hosts } = world.memory;
  const ready = async () => {
    const { status, text } = await get('/readyz');
    return `${status} ${text}`;
  };
  world.isDraining = true;
  assert.equal(await ready(), '503 draining\n');
  world.isDraining = false;
  for (const worker of [0, 1]) workers.setState(worker, WORKER_DRAINING);
  assert.equal(await ready(), '503 no worker serves\n');
  workers.setState(1, WORKER_SERVING);
  hosts.setHealth(0, HEALTH_FAILING);
  assert.equal(await ready(), '200 ready\n');
  hosts.setHealth(1, HEALTH_FAILING);
  assert.equal(await ready(), '503 no server passes its checks\n');
  assert.equal((await get('/healthz')).status, 200);
  hosts.setHealth(1, HEALTH_GOOD);
  assert.equal(await ready(), '200 ready\n');
});

test('with a token, figures are for those who have it; health is for everybody', async () => {
  token = new Secret(TOKEN);
  const status = async (authorization?: string) =>
    (await get('/metrics', authorization === undefined ? {} : { authorization })).status;
  assert.equal(await status(`Bearer ${TOKEN}`), 200);
  assert.equal(await status(`bearer ${TOKEN}`), 200);
  const wrong = [
    TOKEN,
    `Basic ${TOKEN}`,
    'Bearer',
    'Bearer ',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
  ];
  for (const header of [undefined, ...wrong, `Bearer ${TOKEN.toUpperCase()}`, `Bearer  x ${TOKEN}`]) {
    assert.equal(await status(header), 401, header);
  }
  const refused = await get('/metrics');
  assert.equal(refused.headers['www-authenticate'], 'Bearer realm="pgdog-cluster"');
  assert.equal(refused.text, 'a token is needed: Authorization: Bearer <openmetrics_token>\n');
  // What there is stays unknown too.
  assert.equal((await get('/nothing')).status, 401);
  assert.deepEqual([(await get('/healthz')).status, (await get('/readyz')).status], [200, 200]);
  // Another one, taken up while it runs.
  token = new Secret(secret('another-token-than-that'));
  assert.equal(await status(`Bearer ${TOKEN}`), 401);
  token = null;
});

test('a page of a stranger cannot read it by a name that it has made resolve to this machine', async () => {
  for (const host of [
    'evil.example',
    'evil.example:9930',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
  ]) {
    const { status, text } = await get('/metrics', { host });
    assert.equal(status, 421, host);
    assert.match(text, /IP address or localhost/);
  }
  for (const host of ['127.0.0.1', `127.0.0.1:${port}`, 'localhost:1', '[::1]:9930', '10.1.2.3']) {
    assert.equal((await get('/metrics', { host })).status, 200, host);
  }
  token = new Secret(TOKEN);
  const named = await get('/metrics', { host: 'metrics.example', authorization: `Bearer ${TOKEN}` });
  assert.equal(named.status, 200);
  token = null;
});

test('hostile requests cost their own connection only', { timeout: 120_000 }, async () => {
  const hostile = [
    '\0\0\0\r\n\r\n',
    `GET /metrics HTTP/1.1\r\nx: ${'a'.repeat(64 * 1024)}\r\n\r\n`,
    'GET http://x/metrics\r\n\r\n',
    'GET /metrics HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n',
  ];
  for (const bytes of hostile) assert.ok(!(await raw(bytes)).includes('200 OK'), bytes.slice(0, 20));
  // Half a request is waited for five seconds.
  const started = performance.now();
  assert.match(await raw('GET /healthz HTTP/1.1\r\nhost: x\r\n'), /408 Request Timeout/);
  assert.ok(performance.now() - started > 3000);
  assert.ok((await raw('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).includes('200 OK'));
});

/** Asks for several things in one packet, sees the beginning of the first answer and leaves. */
async function askAheadAndLeave(paths: readonly string[]): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`).join(''));
  await once(socket, 'data');
  await sleep(50);
  socket.destroy();
}

test('who asks ahead of an answer that does not end, and leaves, keeps nobody else out', async () => {
  await askAheadAndLeave(['/api/events', '/metrics', '/metrics', '/metrics', '/metrics']);
  await eventually('room for a scrape', async () => (await get('/metrics')).status === 200);
  await askAheadAndLeave(new Array(LISTENERS_MAX + 1).fill('/api/events'));
  await eventually('room in the feed', async () => {
    const leave = new AbortController();
    const { status } = await fetch(`http://127.0.0.1:${port}/api/events`, { signal: leave.signal });
    leave.abort();
    return status === 200;
  });
});

test('a page that takes longer than an answer may rest is answered', async () => {
  const reportQueries = async () => {
    await sleep(1200);
    return [];
  };
  const slow = new HttpServer({ ...world.context, reportQueries }, { idleTimeoutMs: 500 });
  const slowPort = await slow.listen('127.0.0.1', 0);
  try {
    const response = await fetch(`http://127.0.0.1:${slowPort}/show/queries`);
    assert.deepEqual([response.status, await response.json()], [200, []]);
  } finally {
    await slow.close();
  }
});

test('a connection that cannot be accepted costs a line in the log, not the process', async () => {
  const servers: Server[] = [];
  const { listen } = Server.prototype;
  mock.method(Server.prototype, 'listen', function (this: Server, ...given: unknown[]) {
    servers.push(this);
    return Reflect.apply(listen, this, given);
  });
  const health = await openHealth(world.context, 0);
  const http = new HttpServer(world.context);
  try {
    await http.listen('127.0.0.1', 0);
    world.failures.length = 0;
    // As Node's own listener does when the system has no descriptor left.
    for (const one of servers) one.emit('error', new Error('accept EMFILE'));
    assert.deepEqual(world.failures, [
      'accepting on healthcheck_port: Error: accept EMFILE',
      'accepting on the HTTP port: Error: accept EMFILE',
    ]);
  } finally {
    mock.restoreAll();
    await health?.close();
    await http.close();
  }
});

test('more connections than there is room for are closed; those that are open go on', async () => {
  const sockets = await Promise.all(
    Array.from({ length: 80 }, () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      return new Promise<typeof socket>((resolve) => socket.once('connect', () => resolve(socket)));
    }),
  );
  const closed = new Promise<void>((resolve) => {
    let left = 80 - 64;
    for (const socket of sockets) socket.once('close', () => --left === 0 && resolve());
  });
  await closed;
  const open = sockets.filter((socket) => !socket.closed && !socket.destroyed);
  assert.equal(open.length, 64);
  const answer = new Promise<string>((resolve) => open[0].once('data', (chunk) => resolve(String(chunk))));
  open[0].write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
  assert.match(await answer, /200 OK/);
  for (const socket of sockets) socket.destroy();
});

test('a port in use is one clear error; no port means no server', async () => {
  const settings = { openmetrics_host: '127.0.0.1', openmetrics_port: null, openmetrics_namespace: null };
  assert.equal(await openHttp(world.context, settings, () => null), null);
  await assert.rejects(
    openHttp(world.context, { ...settings, openmetrics_port: port }, () => null),
    {
      code: 'configuration',
      message: `cannot listen on 127.0.0.1:${port} for metrics: the port is in use by another program`,
    },
  );
});
