// A primary that cannot be reached for a while keeps its sessions: only one that has been replaced loses them.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { SILENCE_TIMEOUT_MS, startRoutedProxy } from '../support/routed-proxy.js';
import { clientOf, eventually, firstValue, run, sleep } from '../support/wire.js';

forOneDriver('a primary that says nothing for a while', (driver) => {
  it('its transactions go on when it answers again; writes that came meanwhile have waited', async () => {
    const cluster = await ReplicationCluster.start({
      standbyCount: 1,
      initSql: 'CREATE TABLE item (id int)',
    });
    const proxy = await startRoutedProxy(cluster, driver, { roles: 'auto', through: 'relay' });
    try {
      const [inside, outside] = [await clientOf(proxy), await clientOf(proxy)];
      await run(inside, 'BEGIN', 'INSERT INTO item VALUES (1)');
      await cluster.primary.relay.cut();
      await proxy.waitForOutput('is not used');
      const late = outside.query('INSERT INTO item VALUES (2)');
      // Long enough for the connection that checks it to be given up, and for no other to come about.
      await sleep(8 * SILENCE_TIMEOUT_MS);
      await cluster.primary.relay.mend();
      await run(inside, 'INSERT INTO item VALUES (3)', 'COMMIT');
      assert.equal((await late).error, null);
      await eventually(
        'both are there',
        async () =>
          (await firstValue(inside, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM item")) === '1 2 3',
      );
      await inside.end();
      await outside.end();
    } finally {
      await proxy.stop();
      await cluster.stop();
    }
  });
});
