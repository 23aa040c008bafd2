/** SHOW PREPARED, SHOW CLIENT MEMORY and SHOW SERVER MEMORY over several workers. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, C, E, P, S } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { clientsOfAllWorkers, eventually, spread, WIRE_USER } from '../support/wire.js';

const WORKERS = 2;
const SECRET = 'not-for-anybody';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

forOneDriver('what connections and statements take', (ioDriver) => {
  let proxy: TestProxy;
  let clients: RawClient[] = [];
  before(async () => {
    const { database, general } = spread(WORKERS, 60);
    proxy = await startProxy({
      ioDriver,
      workers: WORKERS,
      general,
      users: [WIRE_USER],
      databases: [databaseOf(server, database)],
    });
    clients = await clientsOfAllWorkers(proxy, WORKERS, 2, {});
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await proxy.stop();
  });
  const show = (what: string) => proxy.adminQuery<Record<string, string>>(`SHOW ${what}`);
  const TEXT = `SELECT '${SECRET}' AS word, $1::int`;
  const SHAPE = /^select \$2 as word, \$1::int$/;

  it('prepared statements: by text without literals, over all workers, as long as somebody has them', async () => {
    for (const client of clients) {
      client.send(P('one', TEXT), B('', 'one', { values: ['1'] }), E(''), S());
      await client.readUntilReady();
    }
    await clients[0].query(`PREPARE two AS SELECT '${SECRET}', 2`);
    const rows = await show('PREPARED');
    assert.doesNotMatch(JSON.stringify(rows), new RegExp(SECRET));
    const row = rows.find(({ statement }) => SHAPE.test(statement));
    assert.equal(Number(row?.used_by), clients.length);
    assert.ok(Number(row?.memory_used) >= WORKERS * TEXT.length);
    assert.equal(row?.rewrite, null);
    assert.match(row?.name ?? '', /^__pgdog_/);
    assert.equal((await show("PREPARED 'as word'")).length, 1);
    assert.equal((await show('PREPARED LIMIT 1')).length, 1);
    const sql = rows.find(({ statement }) => statement.includes('as select'));
    assert.equal(sql?.used_by, '1');
    for (const client of clients) {
      client.send(C('S', 'one'), S());
      await client.readUntilReady();
    }
    assert.equal((await show("PREPARED 'as word'")).length, 0);
    await clients[0].query('DEALLOCATE two');
    assert.deepEqual(await show('PREPARED'), []);
  });

  it('memory of clients and server connections', async () => {
    const [client] = clients;
    const own = async () =>
      (await show('CLIENT MEMORY')).find(({ port }) => Number(port) === client.socket.localPort);
    const before = await own();
    assert.equal(before?.user, 'postgres');
    const long = `SELECT ${'1 + '.repeat(5000)}1`;
    client.send(P('long', long), S());
    await client.readUntilReady();
    const after = await own();
    const more = (name: string) => Number(after?.[name]) - Number(before?.[name]);
    assert.ok(more('prepared_statements_bytes') >= long.length);
    assert.ok(more('total_bytes') >= long.length);
    assert.equal(after?.buffer_bytes_used, '0');
    const servers = await show('SERVER MEMORY');
    const known = new Set((await show('SERVERS')).map(({ remote_pid }) => remote_pid));
    assert.ok(servers.length > 0 && servers.every(({ remote_pid }) => known.has(remote_pid)));
    assert.ok(servers.some(({ prepared_statements_bytes: bytes }) => Number(bytes) > 0));
    client.send(C('S', 'long'), S());
    await client.readUntilReady();
    await eventually('the text is given back', async () => {
      const now = await own();
      return now?.prepared_statements_bytes === before?.prepared_statements_bytes;
    });
  });
});
