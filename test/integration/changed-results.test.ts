/** Who has prepared a statement before a definition changed is told so, as by Postgres, on server connections too that parse it afterwards. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, type BindOptions, D, E, int32, P, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { onAnotherServer, run, startWireProxy, withClients } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

async function ask(client: RawClient, parts: Buffer[]): Promise<string> {
  client.send(...parts);
  const { error, rows } = await client.readUntilReady();
  return error === null ? JSON.stringify(rows) : `${error['C']} ${error['M']}`;
}

const OUTDATED = '0A000 cached plan must not change result type';
const execute = (options: BindOptions = {}): Buffer[] => [B('', 's', options), E(''), S()];

forOneDriver('results that have changed', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 2 } });
  });
  after(() => proxy.stop());

  for (const way of ['described', 'only parsed']) {
    it(`${way}, and a column has become another type`, () =>
      withClients(proxy, 3, async (client, blocker, other) => {
        await run(
          other,
          'DROP TABLE IF EXISTS kept',
          'CREATE TABLE kept (v int)',
          'INSERT INTO kept VALUES (7)',
        );
        const parse = P('s', `SELECT v FROM kept /* ${way} */`);
        await ask(client, way === 'described' ? [parse, D('S', 's'), S()] : [parse, S()]);
        assert.equal(await ask(client, execute()), '[["7"]]');
        await onAnotherServer(client, blocker, async () => {
          await run(other, 'ALTER TABLE kept ALTER v TYPE bigint');
          assert.equal(await ask(client, execute()), OUTDATED);
          assert.equal(await ask(client, execute()), OUTDATED);
          await run(client, 'BEGIN');
          assert.equal(await ask(client, execute()), OUTDATED);
          await run(client, 'ROLLBACK');
          client.send(P('', 'SELECT 1'), B('', ''), E(''), ...execute());
          assert.equal((await client.readUntilReady()).error?.['C'], '0A000');
        });
        assert.equal(await ask(client, execute()), OUTDATED);
        await ask(client, [P('t', `SELECT v FROM kept /* ${way} */`), S()]);
        assert.equal(await ask(client, [B('', 't'), E(''), S()]), '[["7"]]');
      }));
  }

  it('nothing has run of what is refused', () =>
    withClients(proxy, 3, async (client, blocker, other) => {
      await run(other, 'DROP TABLE IF EXISTS kept', 'CREATE TABLE kept (v int)');
      await ask(client, [P('s', 'INSERT INTO kept VALUES ($1) RETURNING v'), D('S', 's'), S()]);
      await run(client, 'SELECT 1');
      await onAnotherServer(client, blocker, async () => {
        await run(other, 'ALTER TABLE kept ALTER v TYPE bigint');
        assert.equal(await ask(client, execute({ values: ['1'] })), OUTDATED);
        assert.deepEqual((await client.query('SELECT * FROM kept')).rows, []);
      });
    }));

  it('what has not changed goes on, whatever else has, and is asked once', () =>
    withClients(proxy, 3, async (client, blocker, other) => {
      await run(
        other,
        'DROP TABLE IF EXISTS kept',
        'CREATE TABLE kept (v int)',
        'INSERT INTO kept VALUES (7)',
      );
      await ask(client, [P('s', 'SELECT v FROM kept WHERE v = $1'), D('S', 's'), S()]);
      await run(client, 'SELECT 1');
      await onAnotherServer(client, blocker, async () => {
        await run(other, 'ALTER TABLE kept ADD w int');
        for (const _ of [1, 2]) assert.equal(await ask(client, execute({ values: ['7'] })), '[["7"]]');
        client.send(B('', 's', { values: ['7'] }), E(''), B('', 's', { values: ['8'] }), E(''), S());
        assert.deepEqual((await client.readUntilReady()).rows, [['7']]);
      });
    }));

  it('parameters are of the types that they had', () =>
    withClients(proxy, 3, async (client, blocker, other) => {
      await run(other, 'DROP TABLE IF EXISTS kept', 'CREATE TABLE kept (v int)');
      await ask(client, [P('s', 'INSERT INTO kept VALUES ($1)'), D('S', 's'), S()]);
      await run(client, 'SELECT 1');
      await onAnotherServer(client, blocker, async () => {
        await run(other, 'ALTER TABLE kept ALTER v TYPE text');
        assert.equal(await ask(client, execute({ values: ['007'] })), '[]');
        assert.equal(await ask(client, execute({ values: [int32(8)], valueFormats: [1] })), '[]');
        assert.deepEqual((await client.query('SELECT v FROM kept ORDER BY v')).rows, [['7'], ['8']]);
      });
    }));
});
