/** What the next request meets while the server connection is still asked what a statement of unknown effect has left. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { c, d, f, Q } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { clientOf, run, sleep, sqlstateOf, startWireProxy } from '../support/wire.js';

const ROUNDS = 40;

forOneDriver('state that is unread', (driver) => {
  let postgres: TestPostgres;
  let proxy: TestProxy;
  before(async () => {
    postgres = await startPostgres();
    proxy = await startWireProxy(postgres, driver, { database: { pool_size: 1 } });
    await run(
      await clientOf(proxy),
      'CREATE TABLE copied (n int)',
      'CREATE FUNCTION forget() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE $q$DEALLOCATE ALL$q$; END $$',
    );
  });
  after(async () => {
    await proxy?.stop();
    await postgres?.stop();
  });

  it('nothing of ours goes in the middle of the COPY that follows', async () => {
    const client = await clientOf(proxy);
    for (let round = 0; round < ROUNDS; round++) {
      // A statement that the server is to have, and that the function takes away behind our back.
      await run(client, 'DEALLOCATE ALL', "PREPARE kept AS SELECT 'kept'", 'EXECUTE kept');
      await run(client, 'BEGIN', 'SELECT forget()', 'ROLLBACK');
      client.send(Q('COPY copied FROM STDIN'));
      // Time for what the server connection is asked to be answered, and to lead to more.
      await sleep(4);
      client.send(
        Buffer.concat([
          ...Array.from({ length: 50 }, (_, n) => d(`${n}\n`)),
          round % 2 === 0 ? c() : f('no more'),
        ]),
      );
      const state = sqlstateOf(await client.readUntilReady());
      assert.equal(state, round % 2 === 0 ? '' : '57014', `round ${round}`);
    }
    const { rows } = await client.query('SELECT count(*) FROM copied');
    assert.deepEqual(rows, [[String((ROUNDS / 2) * 50)]]);
  });
});
