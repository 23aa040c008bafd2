/** What the pool refuses at once is answered at once: a request must not be left hanging. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { answer, oneRow, startFakePostgres } from '../support/fake-postgres.js';
import { B, backend, E, P, Q, S } from '../support/frames.js';
import { clientOf, sleep, sqlstateOf, startWireProxy, untilNoServers } from '../support/wire.js';

forOneDriver('refused at once', (driver) => {
  it('requests while the server refuses logins are all answered', async () => {
    const fake = await startFakePostgres();
    const proxy = await startWireProxy(fake, driver, { database: { pool_size: 1 } });
    const client = await clientOf(proxy);
    try {
      fake.script({
        onStartup: (it) => {
          it.send(backend.error('28P01', 'password authentication failed', 'FATAL'));
          it.close();
        },
      });
      for (const connection of fake.connections) connection.close();
      await untilNoServers(proxy);
      for (let round = 0; round < 4; round++) {
        assert.equal(sqlstateOf(await client.query('SELECT 1')), '58000', `Query ${round}`);
        client.send(P('', 'SELECT 1'), B('', ''), E(''), S());
        const { frames, error } = await client.readUntilReady();
        assert.equal(error?.C, '58000');
        assert.deepEqual(
          frames.map(({ type }) => type),
          ['E', 'Z'],
        );
      }
    } finally {
      client.destroy();
      await proxy.stop();
      await fake.stop();
    }
  });

  it('a request beyond queue_length_max is answered, and the client goes on', async () => {
    const fake = await startFakePostgres();
    const proxy = await startWireProxy(fake, driver, {
      database: { pool_size: 1 },
      general: { queue_length_max: 1 },
    });
    const holder = await clientOf(proxy);
    const waiter = await clientOf(proxy);
    const refused = await clientOf(proxy);
    try {
      await holder.query('BEGIN');
      waiter.send(Q('SELECT waiting'));
      await waiter.expectSilence(100);
      assert.equal(sqlstateOf(await refused.query('SELECT 1')), '53300');
      assert.equal(sqlstateOf(await refused.query('SELECT 1')), '53300');
      await holder.query('COMMIT');
      assert.deepEqual((await waiter.readUntilReady()).rows, [['SELECT waiting']]);
      assert.deepEqual((await refused.query('SELECT 2')).rows, [['SELECT 2']]);
    } finally {
      for (const client of [holder, waiter, refused]) client.destroy();
      await proxy.stop();
      await fake.stop();
    }
  });

  it('what a server says behind its ReadyForQuery is not the answer to the next client', async () => {
    const fake = await startFakePostgres({
      onFrame: (it, frame) => {
        if (!frame.body.includes('early')) return answer(it, frame);
        // In one segment: two answers to one Query.
        it.status = 'I';
        it.send(
          backend.complete('ROLLBACK'),
          backend.ready(),
          oneRow('value', 'of another'),
          backend.ready(),
        );
      },
    });
    const proxy = await startWireProxy(fake, driver, { database: { pool_size: 1 } });
    const first = await clientOf(proxy);
    const waiter = await clientOf(proxy);
    try {
      for (let round = 0; round < 5; round++) {
        await first.query('BEGIN');
        waiter.send(Q('SELECT mine'));
        await waiter.expectSilence(20);
        first.send(Q('ROLLBACK; SELECT early'));
        await Promise.race([first.readUntilReady(), sleep(300)]);
        const { rows, error } = await waiter.readUntilReady();
        assert.deepEqual([rows, error], [[['SELECT mine']], null]);
        if (first.isClosed) break;
      }
    } finally {
      first.destroy();
      waiter.destroy();
      await proxy.stop();
      await fake.stop();
    }
  });

  it('query_timeout counts from when our own question was asked: a login is not ended by it', async () => {
    const fake = await startFakePostgres();
    const proxy = await startWireProxy(fake, driver, {
      database: { pool_size: 1 },
      general: { query_timeout: 10_000 },
    });
    try {
      for (let round = 0; round < 3; round++) {
        // Each asks a server for other settings; the answer takes longer than the janitor's round.
        fake.script({
          onFrame: async (it, frame) => {
            await sleep(150);
            answer(it, frame);
          },
        });
        const client = await clientOf(proxy, { parameters: { work_mem: `${round + 1}MB` } });
        await client.end();
      }
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });
});
