/** What only shows when a server answers at just the wrong moment: forced with a scripted one. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import {
  answer,
  type FakePostgres,
  type FakePostgresOptions,
  startFakePostgres,
} from '../support/fake-postgres.js';
import { B, backend, E, frame, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { clientOf, eventually, run, sleep, sqlstateOf, startWireProxy } from '../support/wire.js';

type Body = (proxy: TestProxy, fake: FakePostgres) => Promise<void>;

forEachDriver('interleavings', (driver) => {
  const withFake = async (options: FakePostgresOptions, body: Body, general = {}): Promise<void> => {
    const fake = await startFakePostgres(options);
    const proxy = await startWireProxy(fake, driver, { database: { pool_size: 1 }, general });
    try {
      await body(proxy, fake);
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  };
  const wait = (isOver: () => boolean): Promise<void> => eventually('the moment', async () => isOver());

  it('a cancel that comes while our own settings run waits for the statement it is meant for', async () => {
    let isHeld = false;
    let hasOwnCome = false;
    const onFrame: FakePostgresOptions['onFrame'] = async (connection, got) => {
      const sql = got.body.toString();
      if (sql.includes('work_mem') && isHeld) {
        hasOwnCome = true;
        await wait(() => !isHeld);
      }
      if (!sql.startsWith('SELECT long')) {
        answer(connection, got);
        return;
      }
      await wait(() => fake.cancels.length > 0);
      connection.send(backend.error('57014', 'canceled'), backend.ready());
    };
    let fake: FakePostgres;
    await withFake({ onFrame }, async (proxy, made) => {
      fake = made;
      const [client, other] = [await clientOf(proxy), await clientOf(proxy)];
      await run(client, "SET work_mem = '3MB'");
      await run(other, 'SELECT 1');
      isHeld = true;
      client.send(Q('SELECT long'));
      await wait(() => hasOwnCome);
      const cancelled = client.cancel();
      await sleep(100);
      assert.equal(fake.cancels.length, 0, 'the cancel hit a statement of ours');
      isHeld = false;
      assert.equal(sqlstateOf(await client.readUntilReady()), '57014');
      await cancelled;
      assert.equal(fake.cancels.length, 1);
      assert.equal(fake.cancels[0].pid, fake.connections[0].pid);
      await run(other, 'SELECT 2');
      assert.equal(fake.cancels.length, 1);
      await Promise.all([client.end(), other.end()]);
    });
  });

  it('one client has one server connection opened, unless what is asked on it first takes long', async () => {
    let isAsked = false;
    let isAnswered = false;
    const fake = await startFakePostgres({
      async onFrame(connection, got) {
        if (!isAsked && got.body.toString().includes('pg_proc')) {
          isAsked = true;
          await wait(() => isAnswered);
        }
        answer(connection, got);
      },
    });
    let secondMs = 0;
    const watch = setInterval(() => {
      if (secondMs === 0 && fake.connections.length > 1) secondMs = performance.now();
    }, 5);
    const proxy = await startWireProxy(fake, driver, { database: { pool_size: 2 } });
    try {
      // From before the question: this process may see it late.
      const startMs = performance.now();
      const client = await clientOf(proxy);
      await run(client, 'SELECT 1');
      await wait(() => secondMs > 0);
      // The janitor, which looks for waiting clients every 50 ms, has been by several times meanwhile.
      assert.ok(secondMs - startMs > 200, `opened after ${secondMs - startMs} ms`);
      await client.end();
    } finally {
      isAnswered = true;
      clearInterval(watch);
      await proxy.stop();
      await fake.stop();
    }
  });

  it('a setting that fails against expectation cancels the statement behind it', async () => {
    let isRefusing = false;
    const onFrame: FakePostgresOptions['onFrame'] = (connection, got) => {
      const sql = got.body.toString();
      if (sql.includes('work_mem') && isRefusing)
        connection.send(backend.error('XX000', 'no'), backend.ready());
      else if (!sql.startsWith('SELECT long')) answer(connection, got);
    };
    await withFake({ onFrame }, async (proxy, fake) => {
      const [client, other] = [await clientOf(proxy), await clientOf(proxy)];
      await run(client, "SET work_mem = '3MB'");
      await run(other, 'SELECT 1');
      isRefusing = true;
      client.send(Q('SELECT long'));
      assert.equal(sqlstateOf(await client.expectClosed()), '58000');
      await wait(() => fake.cancels.length === 1);
      assert.equal(fake.cancels[0].pid, fake.connections[0].pid);
      await other.end();
    });
  });

  it('what is sent while an exchange is repeated runs behind it', async () => {
    let isHealed = false;
    let isSkipping = false;
    let isHeld = true;
    const onFrame: FakePostgresOptions['onFrame'] = async (connection, got) => {
      if (got.type === 'B' && !isHealed) {
        isHealed = true;
        isSkipping = true;
        connection.send(backend.error('26000', 'prepared statement does not exist'));
      } else if (isSkipping) {
        if (got.type !== 'S') return;
        await wait(() => !isHeld);
        isSkipping = false;
        answer(connection, got);
      } else answer(connection, got);
    };
    await withFake({ onFrame }, async (proxy, fake) => {
      const client = await clientOf(proxy);
      client.send(Buffer.concat([P('kept', 'SELECT 1'), S()]));
      await client.readUntilReady();
      client.send(Buffer.concat([B('', 'kept'), E(''), S()]));
      await wait(() => isSkipping && fake.connections[0].letters.endsWith('S'));
      client.send(Q('INSERT'));
      await sleep(50);
      isHeld = false;
      const letters = [...(await client.readUntil('Z')), ...(await client.readUntil('Z'))].map(
        ({ type }) => type,
      );
      assert.deepEqual(letters, ['2', 'C', 'Z', 'C', 'Z']);
      const { frames } = fake.connections[0];
      const insert = frames.findIndex(({ type, body }) => type === 'Q' && body.toString() === 'INSERT\0');
      assert.ok(insert > frames.findLastIndex(({ type }) => type === 'B'), 'the second overtook the repeat');
      await client.end();
    });
  });

  it('a server out of sync is cancelled before it is left', async () => {
    const onFrame: FakePostgresOptions['onFrame'] = (connection, got) => {
      if (got.body.includes('SELECT lie')) connection.send(backend.bindComplete());
      else answer(connection, got);
    };
    await withFake({ onFrame }, async (proxy, fake) => {
      const client = await clientOf(proxy);
      client.send(Q('SELECT lie'));
      assert.equal(sqlstateOf(await client.expectClosed()), '58000');
      await wait(() => fake.cancels.length === 1);
    });
  });

  /** A row of which the client has been shown only the beginning. */
  const halfRow = frame('D', Buffer.from([0, 1, 0, 0, 0x40, 0]), Buffer.alloc(0x4000, 0x61)).subarray(
    0,
    9000,
  );
  const HALF: Record<string, { end: boolean; general: Record<string, number> }> = {
    'whose server is lost': { end: true, general: {} },
    'whose time is over': { end: false, general: { query_timeout: 200 } },
  };
  for (const [name, { end, general }] of Object.entries(HALF)) {
    it(`a client ${name} in the middle of a row finds no error inside the row`, async () => {
      const onFrame: FakePostgresOptions['onFrame'] = (connection, got) => {
        if (!got.body.includes('half')) return answer(connection, got);
        connection.send(backend.rowDescription(['x']), halfRow);
        if (end) connection.close();
      };
      await withFake(
        { onFrame },
        async (proxy) => {
          // Again where the time is over before the row has come.
          await eventually('half a row', async () => {
            const client = await clientOf(proxy);
            client.received.length = 0;
            client.send(Q('SELECT half'));
            await client.expectClosed();
            const got = Buffer.concat(client.received);
            if (!got.includes(halfRow.subarray(0, 100))) return false;
            assert.ok(got.subarray(-halfRow.length).equals(halfRow), 'something came behind half a row');
            return true;
          });
        },
        general,
      );
    });
  }
});
