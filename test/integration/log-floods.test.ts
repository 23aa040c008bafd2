/** What clients can make the log say: a bounded number of lines, with nothing of their values. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { Q } from '../support/frames.js';
import { JSON_LOG, logLine, logLines } from '../support/log-lines.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { eventually, holdServerOf } from '../support/wire.js';

const TIMEOUT_MS = 60_000;
const SECRET = 'not-for-the-log';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE gone (id int)' });
});
after(() => server.stop());

forOneDriver('lines that clients cause', (ioDriver) => {
  let proxy: TestProxy;
  const connect = () =>
    RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      database: 'postgres',
      port: proxy.port,
      timeoutMs: TIMEOUT_MS,
    });
  before(async () => {
    proxy = await startProxy({
      ioDriver,
      workers: 1,
      general: { ...JSON_LOG, query_size_limit: 100 },
      databases: [databaseOf(server, { pool_size: 2, min_pool_size: 0 })],
    });
  });
  after(async () => {
    await proxy.stop();
    assert.doesNotMatch(proxy.output, new RegExp(SECRET));
  });

  it('a flood is so many lines, and their number', async () => {
    const client = await connect();
    const COUNT = 400;
    client.send(...Array.from({ length: COUNT }, () => Q(`SELECT '${SECRET.padEnd(120, '.')}'`)));
    await client.readUntilReady(COUNT);
    const sum = () =>
      logLines(proxy, 'query_too_large').reduce(
        (total, { count }) => total + (count === undefined ? 1 : Number(count)),
        0,
      );
    await eventually('all are told of or counted', async () => sum() >= COUNT);
    assert.equal(sum(), COUNT);
    const lines = logLines(proxy, 'query_too_large');
    assert.ok(lines.some(({ count }) => count !== undefined));
    assert.ok(lines.length < COUNT);
    await client.end();
  });

  it('of a PREPARE that is refused when it is repeated the SQLSTATE is told, not the words', async () => {
    const [client, other] = await Promise.all([connect(), connect()]);
    await client.query(`PREPARE p AS SELECT '${SECRET}' FROM gone`);
    await holdServerOf(client, other);
    await server.query('DROP TABLE gone');
    const { error } = await client.query('EXECUTE p');
    assert.notEqual(error, null);
    const line = await logLine(proxy, 'prepare_failed', () => true);
    assert.deepEqual(
      [line.sqlstate, line.user, line.database, line.message],
      ['42P01', 'postgres', 'postgres', 'PREPARE was refused where it had to be repeated'],
    );
    await other.query('COMMIT');
    await Promise.all([client.end(), other.end()]);
  });
});
