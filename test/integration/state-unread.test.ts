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

  it('a statement_timeout of the client is not for what the server is asked', async () => {
    const other = await clientOf(proxy);
    // Long to ask for: all that a function mentions.
    const names = Array.from({ length: 20_000 }, (_, n) => `'slow.s${n}'`).join(' ');
    await run(
      other,
      `CREATE FUNCTION mentions() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('work_mem', '7MB', false); /* ${names} */ END $$`,
    );
    const client = await clientOf(proxy);
    /** A busy server takes longer at times. */
    const shown = async (sql: string): Promise<unknown[][]> => {
      for (;;) {
        const result = await client.query(sql);
        if (sqlstateOf(result) !== '57014') return result.rows;
      }
    };
    await run(client, 'SELECT mentions()', "SET statement_timeout = '3ms'");
    for (const sql of [
      'SELECT mentions()',
      'SELECT 1',
      'SELECT pg_advisory_lock(7)',
      'SELECT pg_advisory_unlock(7)',
    ]) {
      await client.query(sql);
      assert.deepEqual(await shown('SHOW statement_timeout'), [['3ms']]);
    }
    // There is one server connection.
    assert.equal(sqlstateOf(await other.query('SELECT 1')), '');
    assert.deepEqual(await shown('SHOW work_mem'), [['7MB']]);
    await shown('RESET statement_timeout');
    assert.deepEqual((await client.query('SHOW statement_timeout')).rows, [['0']]);
    await run(client, 'DROP FUNCTION mentions');
    await Promise.all([client.end(), other.end()]);
  });
});
