/**
 * The short chaos run: 1,200 clients over a pool of 8 and 4 workers, half of them on each I/O driver. A failure
 * prints the seed; `node scripts/chaos.mjs` runs for longer, and with SEED= the same clients again.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { formatReport } from './format-report.js';
import { runRandomisedClients } from './randomised-clients.js';

const CLIENTS = 600;
const POOL_SIZE = 8;
const WORKERS = 4;
const CONCURRENCY = 60;
const seed = Number(process.env['SEED'] ?? randomInt(1_000_000_000));

forEachDriver('randomised clients', (driver) => {
  let postgres: TestPostgres;
  let proxy: TestProxy;
  before(async () => {
    postgres = await startPostgres();
    proxy = await startProxy({
      databases: [databaseOf(postgres)],
      users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
      workers: WORKERS,
      ioDriver: driver,
      // Half of the runs: clients in all workers, between which server connections are lent. The others: a pool that
      // is small for four workers, to two of which clients are moved.
      general:
        (seed & 1) === (driver === 'epoll' ? 1 : 0)
          ? { default_pool_size: 4 * WORKERS, max_server_conn: POOL_SIZE, checkout_timeout: 30_000 }
          : { default_pool_size: POOL_SIZE, checkout_timeout: 30_000 },
    });
  });
  after(async () => {
    await proxy?.stop();
    await postgres?.stop();
  });

  it(`each sees a server of its own, seed ${seed}`, { timeout: 240_000 }, async () => {
    const { host, port, user, password } = postgres;
    const report = await runRandomisedClients({
      port: proxy.port,
      user,
      password,
      database: 'postgres',
      seed,
      clients: CLIENTS,
      concurrency: CONCURRENCY,
      poolSize: POOL_SIZE,
      direct: { host, port },
      adminQuery: (sql) => proxy.adminQuery(sql),
      pid: proxy.pid,
    });
    assert.equal(report.failures.length, 0, formatReport(report));
    assert.equal(report.lives, CLIENTS);
    assert.ok(report.connectionsMax > 1 && report.samples > 10, formatReport(report));
    assert.ok(Object.keys(report.actions).length > 40, 'nearly every action was done by somebody');
  });
});
