// The burst of scripts/burst.mjs in small.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { startWireProxy } from '../support/wire.js';
import { runBurst } from './connect-burst.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

forEachDriver('a burst of connects beyond max_client_conn', (driver) => {
  it('leaves those who are in at work, refuses the others with 53300, and counts right', async () => {
    const [limit, burst] = [60, 600];
    const proxy = await startWireProxy(server, driver, {
      workers: 2,
      database: { pool_size: 4 },
      general: { max_client_conn: limit, checkout_timeout: 20_000 },
    });
    try {
      const report = await runBurst({ proxy, limit, burst, concurrency: 200, running: 20, calmMs: 300 });
      assert.deepEqual(report.failures, []);
      assert.deepEqual(report.outcomes, { '53300': burst });
      assert.ok(report.fewest > 0, 'a running client stood still');
      await proxy.waitForOutput('clients refused: sorry, too many clients already (max_client_conn = 60)');
    } finally {
      await proxy.stop();
    }
  });
});
