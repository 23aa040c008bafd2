/** GET /show/<name>: every SHOW as JSON, behind the token of the port. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Secret } from '@pgdog-cluster/core/config';
import { BOUNCER_SHOWS, HttpServer, SHOWS } from 'pgdog-cluster';
import { type AdminWorld, clientReport, makeWorld, SECRET, serverReport } from './admin-fixture.js';

let world: AdminWorld;
let server: HttpServer;
let port = 0;
before(async () => {
  world = await makeWorld();
  world.clients.push(clientReport());
  world.servers.push(serverReport());
  server = new HttpServer(world.context, { token: () => new Secret('open sesame') });
  port = await server.listen('127.0.0.1', 0);
});
after(() => server.close());

async function get(
  path: string,
  token = 'open sesame',
): Promise<{ status: number; type: string; text: string }> {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  return {
    status: answer.status,
    type: answer.headers.get('content-type') ?? '',
    text: await answer.text(),
  };
}

test('every SHOW is a list of objects with its columns, and no secret in it', async () => {
  const paths = [
    ...SHOWS.map((show) => ({ show, path: `/show/${show.name}` })),
    ...BOUNCER_SHOWS.map((show) => ({ show, path: `/show/pgbouncer/${show.name}` })),
  ];
  for (const { show, path } of paths) {
    const { status, type, text } = await get(path);
    assert.deepEqual([status, type], [200, 'application/json; charset=utf-8'], path);
    const rows: Record<string, unknown>[] = JSON.parse(text);
    for (const row of rows) {
      assert.deepEqual(
        Object.keys(row),
        show.columns.map(({ name }) => name),
        path,
      );
    }
    assert.ok(!text.includes(SECRET), path);
  }
});

test('numbers and flags are what they are; NULL is null', async () => {
  const [pool] = JSON.parse((await get('/show/POOLS')).text);
  assert.deepEqual([pool.database, pool.cl_waiting, pool.paused], ['shop', 0, false]);
  const [client] = JSON.parse((await get('/show/clients')).text);
  assert.deepEqual([client.wait_time, client.peer_user], [1.5, null]);
});

test('without the token nothing, and what there is not is said', async () => {
  assert.equal((await get('/show/pools', 'guess')).status, 401);
  for (const path of ['/show/', '/show/nothing', '/show/pools/x', '/show/pgbouncer/', '/show/..%2fmetrics']) {
    const { status, text } = await get(path);
    assert.equal(status, 404, path);
    assert.match(text, /no such table; there are: pools/);
  }
  const headers = { authorization: 'Bearer open sesame' };
  const posted = await fetch(`http://127.0.0.1:${port}/show/pools`, { method: 'POST', headers });
  assert.equal(posted.status, 405);
});
