/** What keeps a server connection with its client: that it does, is shown, and ends as soon as nothing is left. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../../support/drivers.js';
import { startPostgres, type TestPostgres } from '../../support/embedded-postgres.js';
import { Q } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient } from '../../support/raw-client.js';
import {
  backends,
  clientOf,
  eventually,
  firstValue,
  pidOf,
  run,
  sqlstateOf,
  startWireProxy,
  withClients,
} from '../../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    users: [{ name: 'alice' }],
    initSql: `
      CREATE FUNCTION set_user(id int) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN PERFORM set_config('app.user_id', id::text, false); END $$;
      CREATE FUNCTION add_one(x int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN x + 1; END $$;`,
  });
});
after(() => server.stop());

/** `a` holds none of the two server connections: the others can have both, and it has to wait for them. */
async function assertFree(proxy: TestProxy, a: RawClient, b: RawClient, c: RawClient): Promise<void> {
  await run(b, 'BEGIN', 'SELECT 1');
  await run(c, 'BEGIN', 'SELECT 1');
  a.send(Q('SELECT 1'));
  const answer = a.readUntilReady();
  await eventually('it waits', async () => {
    const pools = await proxy.adminQuery<{ cl_waiting: string }>('SHOW POOLS');
    return pools.reduce((sum, { cl_waiting }) => sum + Number(cl_waiting), 0) === 1;
  });
  await Promise.all([run(b, 'ROLLBACK'), run(c, 'ROLLBACK')]);
  assert.equal(sqlstateOf(await answer), '');
}

/** Statement that pins, the reason shown, and each way to end it. */
const PINS: [reason: string, make: string, ends: string[]][] = [
  [
    'temporary object',
    'CREATE TEMP TABLE pinned (x int)',
    ['DROP TABLE pinned', 'DISCARD TEMP', 'DISCARD ALL'],
  ],
  [
    'advisory lock',
    'SELECT pg_advisory_lock(5)',
    ['SELECT pg_advisory_unlock(5)', 'SELECT pg_advisory_unlock_all()', 'DISCARD ALL'],
  ],
  ['listen', 'LISTEN pinned', ['UNLISTEN pinned', 'UNLISTEN *', 'DISCARD ALL']],
  [
    'cursor with hold',
    'DECLARE pinned CURSOR WITH HOLD FOR SELECT 1',
    ['CLOSE pinned', 'CLOSE ALL', 'DISCARD ALL'],
  ],
  ['pgdog.pin', 'SET pgdog.pin TO on', ['SET pgdog.pin TO off']],
];

forOneDriver('pins', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { general: { checkout_timeout: 20_000 } });
  });
  after(() => proxy.stop());

  for (const [reason, make, ends] of PINS) {
    it(`${reason}: keeps its connection, is shown, and ends`, () =>
      withClients(proxy, 3, async (a, b, c) => {
        const isUndone = !['pgdog.pin', 'advisory lock'].includes(reason);
        if (isUndone) assert.equal(sqlstateOf(await a.query(`${make}; SELECT 1/0`)), '22012');
        await assertFree(proxy, a, b, c);
        for (const end of isUndone ? [...ends, 'ROLLBACK'] : ends) {
          const isRollback = end === 'ROLLBACK';
          await run(a, ...(isRollback ? ['BEGIN', make] : [make]));
          const pid = await pidOf(a);
          for (let round = 0; round < 3; round++) {
            assert.notEqual(await pidOf(b), pid, `not kept after ${make}`);
            assert.equal(await pidOf(a), pid);
          }
          if (!isRollback) {
            const shown = await proxy.adminQuery<Record<string, string>>('SHOW CLIENTS');
            assert.ok(
              shown.some((row) => Object.values(row).some((value) => String(value).includes(reason))),
              `${reason} is not in SHOW CLIENTS: ${JSON.stringify(shown)}`,
            );
          }
          await run(a, end);
          await assertFree(proxy, a, b, c);
        }
      }));
  }

  it('a lock that was not to be had keeps nothing', () =>
    withClients(proxy, 3, async (a, b, c) => {
      const holder = await clientOf(server);
      await run(holder, 'SELECT pg_advisory_lock(77)');
      assert.equal(await firstValue(a, 'SELECT pg_try_advisory_lock(77)'), 'f');
      await assertFree(proxy, a, b, c);
      await holder.end();
    }));

  it('a temporary table that COMMIT drops keeps nothing behind it', () =>
    withClients(proxy, 3, async (a, b, c) => {
      for (const end of ['COMMIT', 'ROLLBACK']) {
        await run(a, 'BEGIN', 'CREATE TEMP TABLE passing (x int) ON COMMIT DROP', end);
        await assertFree(proxy, a, b, c);
      }
      await run(a, 'CREATE TEMP TABLE passing (x int) ON COMMIT DROP');
      await assertFree(proxy, a, b, c);
    }));

  it('functions keep nothing, whether they set something or not', () =>
    withClients(proxy, 3, async (a, b, c) => {
      await run(a, 'SELECT add_one(1)', 'SELECT set_user(7)');
      await assertFree(proxy, a, b, c);
      assert.equal(await firstValue(a, "SELECT current_setting('app.user_id')"), '7');
    }));

  it('a library that was loaded keeps the connection, which is closed when its client leaves', async () => {
    const a = await clientOf(proxy);
    await run(a, "LOAD 'auto_explain'");
    const pid = await pidOf(a);
    await a.end();
    await eventually(
      'the connection closed',
      async () => !(await backends(server)).some((one) => String(one.pid) === pid),
    );
  });
});
