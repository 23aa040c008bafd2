/** Clients that listen while the primary goes and another host takes its place. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { notificationsIn } from '../support/listening.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { startRoutedProxy } from '../support/routed-proxy.js';
import { clientOf, eventually, run, sqlstateOf } from '../support/wire.js';

forOneDriver('LISTEN over a failover', (driver) => {
  for (const [kind, channelSize] of [
    ['on the shared connection', 100],
    ['on a server connection of its own', 0],
  ] as const) {
    it(`${kind}: who listened is told so and ended; from then on the new primary notifies`, async () => {
      const cluster = await ReplicationCluster.start({ standbyCount: 1 });
      const proxy = await startRoutedProxy(cluster, driver, {
        roles: 'auto',
        general: { pub_sub_channel_size: channelSize },
      });
      try {
        const [listener, writer] = [await clientOf(proxy), await clientOf(proxy)];
        await run(listener, 'LISTEN news');
        await run(writer, "NOTIFY news, 'before'");
        assert.deepEqual(notificationsIn([await listener.readFrame()]), ['news=before']);

        const [heir] = cluster.standbys;
        await cluster.untilCaughtUp();
        await cluster.primary.kill();
        // Nobody knows what it has missed: never silence in place of notifications.
        const ended = await listener.expectClosed();
        assert.equal(ended.error?.['S'], 'FATAL');
        assert.match(sqlstateOf(ended), /^(08006|57P01|57P02)$/);
        await heir.promote();

        const again = await clientOf(proxy);
        await eventually('there is a primary', async () => {
          const { error } = await again.query('CREATE TABLE IF NOT EXISTS proof (n int)');
          return error === null;
        });
        await run(again, 'LISTEN news');
        await run(writer, "NOTIFY news, 'after'");
        assert.deepEqual(notificationsIn([await again.readFrame()]), ['news=after']);
        await Promise.all([again.end(), writer.end()]);
      } finally {
        await proxy.stop();
        await cluster.stop();
      }
    });
  }
});
