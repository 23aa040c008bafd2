/**
 * Prepared statements in transaction mode: a client must not be able to tell that its server changes.
 * It has over 400 lines because all of it is about what one client holds and a server connection has.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { STATEMENT_BATCHES } from '../support/exchanges.js';
import { B, C, D, E, H, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient, RawResult } from '../support/raw-client.js';
import {
  assertSameAsDirect,
  batch,
  describeFrames,
  eventually,
  firstValue,
  onAnotherServer,
  pidOf,
  run,
  sqlstateOf,
  startWireProxy,
  withClients,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** One batch with Sync at its end. */
async function ask(client: RawClient, ...parts: Buffer[]): Promise<RawResult> {
  client.send(...parts, S());
  return client.readUntilReady();
}

const letters = (result: RawResult): string => result.frames.map(({ type }) => type).join('');
const prepare = (client: RawClient, name: string, sql: string): Promise<RawResult> =>
  ask(client, P(name, sql), D('S', name));
const execute = (client: RawClient, name: string, ...values: string[]): Promise<RawResult> =>
  ask(client, B('', name, { values }), E(''));

forOneDriver('prepared statements in transaction mode', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { general: { prepared_statements_limit: 20 } });
  });
  after(() => proxy.stop());

  it('a named statement follows its client to another server connection', () =>
    withClients(proxy, 2, async (a, b) => {
      assert.equal(letters(await prepare(a, 'mine', 'SELECT $1::int + 1')), '1tTZ');
      assert.deepEqual((await execute(a, 'mine', '41')).rows, [['42']]);
      await onAnotherServer(a, b, async () => {
        const moved = await execute(a, 'mine', '1');
        assert.deepEqual([letters(moved), moved.rows], ['2DCZ', [['2']]]);
        assert.equal(letters(await ask(a, D('S', 'mine'))), 'tTZ');
      });
    }));

  it('a statement may be described and closed on a server connection that never saw it', () =>
    withClients(proxy, 2, async (a, b) => {
      const here = await prepare(a, 'd', 'SELECT $1::text AS shown');
      await onAnotherServer(a, b, async () => {
        const there = await ask(a, D('S', 'd'));
        assert.deepEqual(describeFrames(there.frames), describeFrames(here.frames.slice(1)));
      });
      await onAnotherServer(a, b, async () => {
        assert.equal(letters(await ask(a, C('S', 'd'))), '3Z');
        assert.equal(sqlstateOf(await execute(a, 'd', 'x')), '26000');
      });
    }));

  it('clients with the same name for different texts do not meet', () =>
    withClients(proxy, 3, async (...clients) => {
      for (const [index, client] of clients.entries()) await prepare(client, 's', `SELECT ${index}`);
      for (let round = 0; round < 20; round++) {
        const results = await Promise.all(clients.map((client) => execute(client, 's')));
        assert.deepEqual(
          results.map(({ rows }) => rows),
          [[['0']], [['1']], [['2']]],
        );
      }
    }));

  it('the unnamed statement lives on after Sync, and another client does not see it', () =>
    withClients(proxy, 2, async (a, b) => {
      assert.equal(letters(await ask(a, P('', "SELECT 'from a', pg_backend_pid()"))), '1Z');
      assert.equal(letters(await ask(b, P('', "SELECT 'from b', pg_backend_pid()"))), '1Z');
      const first = (await execute(a, '')).rows[0];
      assert.equal(first?.[0], 'from a');
      await run(b, 'BEGIN');
      const second = (await execute(a, '')).rows[0];
      assert.equal(second?.[0], 'from a');
      await run(b, 'ROLLBACK');
      assert.equal(letters(await ask(a, D('S', ''))), 'tTZ');
    }));

  it('the unnamed statement ends with a simple query, a Close and a failed Parse', () =>
    withClients(proxy, 1, async (a) => {
      for (const ending of [[Q('SELECT 1')], [C('S', ''), S()], [P('', 'SELEC'), S()]]) {
        await ask(a, P('', 'SELECT 1'));
        a.send(...ending);
        await a.readUntilReady();
        const result = await execute(a, '');
        assert.equal(sqlstateOf(result), '26000');
        assert.equal(result.error?.['M'], 'unnamed prepared statement does not exist');
      }
    }));

  it('an unnamed Parse that fails does not take away the one pipelined behind it', () =>
    assertSameAsDirect(proxy, server, async (client) => {
      client.send(P('', 'SELEC'), S(), P('', 'SELECT 8'), S());
      const { frames } = await client.readUntilReady(2);
      return [...frames, ...(await execute(client, '')).frames];
    }));

  it('another client has no unnamed statement when it prepared none', () =>
    withClients(proxy, 2, async (a, b) => {
      await ask(a, P('', "SELECT 'secret'"));
      assert.equal(sqlstateOf(await execute(b, '')), '26000');
    }));

  it('Parse of a name that exists fails with 42P05, also across server connections', () =>
    withClients(proxy, 2, async (a, b) => {
      await prepare(a, 'twice', 'SELECT 1');
      await onAnotherServer(a, b, async () => {
        for (const sql of ['SELECT 1', 'SELECT 2']) {
          const again = await ask(a, P('twice', sql));
          assert.equal(sqlstateOf(again), '42P05');
          assert.equal(again.error?.['M'], 'prepared statement "twice" already exists');
        }
      });
      assert.deepEqual((await execute(a, 'twice')).rows, [['1']]);
      await ask(a, C('S', 'twice'));
      assert.equal(letters(await prepare(a, 'twice', 'SELECT 3')), '1tTZ');
      assert.deepEqual((await execute(a, 'twice')).rows, [['3']]);
    }));

  it('a failed Parse leaves no statement behind', () =>
    withClients(proxy, 1, async (a) => {
      assert.equal(sqlstateOf(await ask(a, P('bad', 'SELECT nonsense FROM nowhere'))), '42P01');
      assert.equal(sqlstateOf(await execute(a, 'bad')), '26000');
      assert.equal(sqlstateOf(await ask(a, P('bad', 'SELECT 1'))), '');
    }));

  it('errors name the statement as the client does', () =>
    withClients(proxy, 1, async (a) => {
      await prepare(a, 'needs one', 'SELECT $1::int');
      const wrong = await execute(a, 'needs one');
      assert.equal(sqlstateOf(wrong), '08P01');
      assert.match(wrong.error?.['M'] ?? '', /prepared statement "needs one" requires 1/);
      const unknown = await execute(a, 'who');
      assert.equal(unknown.error?.['M'], 'prepared statement "who" does not exist');
      const described = await ask(a, D('S', 'who'));
      assert.equal(described.error?.['M'], 'prepared statement "who" does not exist');
      assert.equal(described.status, 'I');
    }));

  for (const [name, parts] of Object.entries(STATEMENT_BATCHES)) {
    it(`as on a direct connection: ${name}`, () => assertSameAsDirect(proxy, server, batch(1, ...parts)));
  }

  it('as on a direct connection: errors about statements inside a transaction', () =>
    assertSameAsDirect(
      proxy,
      server,
      batch(
        5,
        Q('BEGIN'),
        B('', 'nope'),
        S(),
        P('y', 'SELECT 1'),
        S(),
        Q('ROLLBACK'),
        B('', 'y'),
        E(''),
        S(),
      ),
    ));

  it('as on a direct connection: Parse and Close of an aborted batch did not happen', () =>
    assertSameAsDirect(
      proxy,
      server,
      batch(
        4,
        P('k', 'SELECT 7'),
        S(),
        Q('SELECT 1/0'),
        B('', 'nope'),
        C('S', 'k'),
        P('l', 'SELECT 8'),
        S(),
        B('', 'k'),
        E(''),
        S(),
      ),
    ));

  it('as on a direct connection: a Parse refused in a failed transaction takes nothing away', () =>
    assertSameAsDirect(proxy, server, async (client) => {
      const frames = [];
      const batches = [
        [P('first', 'SELECT 77'), S()],
        [Q('BEGIN')],
        [Q('SELECT 1/0')],
        [P('second', 'SELECT 77'), S()],
        [Q('ROLLBACK')],
        [B('', 'first'), E(''), S()],
        [P('second', 'SELECT 77'), B('', 'second'), E(''), S()],
      ];
      for (const parts of batches) {
        client.send(...parts);
        frames.push(...(await client.readUntilReady()).frames);
      }
      return frames;
    }));

  it('PREPARE, EXECUTE and DEALLOCATE in SQL follow the client', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, 'PREPARE plus (int, int) AS SELECT $1 + $2');
      await onAnotherServer(a, b, async () => {
        assert.equal(await firstValue(a, 'EXECUTE plus(1, 2)'), '3');
        assert.match((await firstValue(a, 'EXPLAIN EXECUTE plus(1, 2)')) ?? '', /Result/);
        assert.equal((await a.query('CREATE TEMP TABLE made AS EXECUTE plus(4, 5)')).tags[0], 'SELECT 1');
        assert.equal(await firstValue(a, 'SELECT * FROM made'), '9');
        await run(a, 'DROP TABLE made');
      });
      // The protocol's names and SQL's are one name space.
      assert.deepEqual((await execute(a, 'plus', '5', '6')).rows, [['11']]);
      assert.equal(sqlstateOf(await ask(a, P('plus', 'SELECT 1'))), '42P05');
      assert.equal(sqlstateOf(await a.query('PREPARE plus AS SELECT 1')), '42P05');
      await run(a, 'DEALLOCATE plus');
      const gone = await a.query('EXECUTE plus(1, 2)');
      assert.equal(sqlstateOf(gone), '26000');
      assert.equal(gone.error?.['M'], 'prepared statement "plus" does not exist');
      assert.equal(sqlstateOf(await b.query('EXECUTE plus(1, 2)')), '26000');
    }));

  it('EXECUTE runs what Parse prepared, several statements in one text', () =>
    withClients(proxy, 2, async (a, b) => {
      await prepare(a, 'p1', 'SELECT 10 + $1::int');
      await onAnotherServer(a, b, async () => {
        const result = await a.query(
          'EXECUTE p1(1); PREPARE "P 2" AS SELECT 5; EXECUTE "P 2"; DEALLOCATE "P 2"',
        );
        assert.deepEqual(result.rows, [['11'], ['5']]);
      });
      assert.equal(sqlstateOf(await a.query('EXECUTE "P 2"')), '26000');
    }));

  it('PREPARE is not undone by ROLLBACK, as in Postgres', () =>
    assertSameAsDirect(
      proxy,
      server,
      batch(4, Q('BEGIN'), Q('PREPARE r AS SELECT 1'), Q('ROLLBACK'), Q('EXECUTE r')),
    ));

  it('a client with more statements than the server keeps loses none', () =>
    withClients(proxy, 2, async (a, b) => {
      for (let index = 0; index < 50; index++) await prepare(a, `n${index}`, `SELECT ${index} + $1::int`);
      for (const index of [0, 49, 7, 33, 0, 12]) {
        assert.deepEqual((await execute(a, `n${index}`, '1')).rows, [[String(index + 1)]]);
      }
      await onAnotherServer(a, b, async () => {
        assert.deepEqual((await execute(a, 'n3', '1')).rows, [['4']]);
      });
      const kept = Number(await firstValue(a, 'SELECT count(*) FROM pg_prepared_statements'));
      assert.ok(kept <= 20, `${kept} statements kept, the limit is 20`);
      // More than the limit inside one batch, too.
      const parts = Array.from({ length: 40 }, (_, index) => [
        B('', `n${index}`, { values: ['0'] }),
        E(''),
      ]).flat();
      assert.equal((await ask(a, ...parts)).rows.length, 40);
    }));

  it('"cached plan must not change result type" is healed when sharing caused it', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(
        a,
        'DROP TABLE IF EXISTS shape',
        'CREATE TABLE shape (x int)',
        'INSERT INTO shape VALUES (1)',
      );
      await prepare(a, 'sh', 'SELECT * FROM shape');
      await execute(a, 'sh');
      await run(b, 'ALTER TABLE shape ADD y int DEFAULT 2');
      assert.deepEqual((await prepare(b, 'sh', 'SELECT * FROM shape')).columns, ['x', 'y']);
      assert.deepEqual((await execute(b, 'sh')).rows, [['1', '2']]);
      // Who goes by what it was told before the change is told, as by Postgres, until it prepares the statement again.
      for (let time = 0; time < 2; time++) assert.equal(sqlstateOf(await execute(a, 'sh')), '0A000');
      await prepare(a, 'sh2', 'SELECT * FROM shape');
      await ask(a, C('S', 'sh'));
      assert.deepEqual((await execute(a, 'sh2')).rows, [['1', '2']]);
      // In one batch with its Parse, as drivers send it.
      await run(b, 'ALTER TABLE shape ADD z int DEFAULT 3');
      const once = await ask(b, P('again', 'SELECT * FROM shape'), D('S', 'again'), B('', 'again'), E(''));
      assert.equal(sqlstateOf(once), '');
      assert.deepEqual(once.columns, ['x', 'y', 'z']);
      assert.deepEqual(once.rows, [['1', '2', '3']]);
    }));

  it('inside a transaction the stale plan is reported and the transaction aborted', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, 'DROP TABLE IF EXISTS shape2', 'CREATE TABLE shape2 (x int)');
      await prepare(a, 'st', 'SELECT * FROM shape2');
      await execute(a, 'st');
      await run(b, 'ALTER TABLE shape2 ADD y int');
      await run(a, 'BEGIN');
      const stale = await execute(a, 'st');
      assert.equal(sqlstateOf(stale), '0A000');
      assert.equal(stale.status, 'E');
      await run(a, 'ROLLBACK');
      assert.equal(sqlstateOf(await execute(a, 'st')), '0A000');
      await prepare(a, 'st2', 'SELECT * FROM shape2');
      assert.equal(sqlstateOf(await execute(a, 'st2')), '');
    }));

  it('what is prepared and described up to a Flush is healed too', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, 'DROP TABLE IF EXISTS shape5', 'CREATE TABLE shape5 (x int)');
      await prepare(a, 'fa', 'SELECT * FROM shape5');
      await run(b, 'ALTER TABLE shape5 ADD y int');
      b.send(P('fb', 'SELECT * FROM shape5'), D('S', 'fb'), H());
      assert.equal((await b.readUntil('T')).map(({ type }) => type).join(''), '1tT');
      const rest = await ask(b, B('', 'fb'), D('P', ''), E(''));
      assert.equal(sqlstateOf(rest), '');
      assert.deepEqual(rest.columns, ['x', 'y']);
    }));

  it('a statement that is prepared within a transaction is read anew there', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, 'DROP TABLE IF EXISTS shape3', 'CREATE TABLE shape3 (x int)');
      await prepare(a, 'sa', 'SELECT * FROM shape3');
      await execute(a, 'sa');
      await run(b, 'BEGIN', 'ALTER TABLE shape3 ADD y int');
      assert.deepEqual((await prepare(b, 'sb', 'SELECT * FROM shape3')).columns, ['x', 'y']);
      assert.equal(sqlstateOf(await execute(b, 'sb')), '');
      await run(b, 'COMMIT');
    }));

  it('tables of one name in two search paths are each client’s own, whatever the other has just read', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(
        a,
        'DROP SCHEMA IF EXISTS tenant_a, tenant_b CASCADE',
        'CREATE SCHEMA tenant_a',
        'CREATE SCHEMA tenant_b',
      );
      await run(a, 'CREATE TABLE tenant_a.own (x int)', 'CREATE TABLE tenant_b.own (x int, y text)');
      await run(a, 'INSERT INTO tenant_a.own VALUES (1)', "INSERT INTO tenant_b.own VALUES (2, 'b')");
      await run(a, 'SET search_path = tenant_a');
      await run(b, 'SET search_path = tenant_b');
      for (const client of [a, b])
        assert.equal(sqlstateOf(await prepare(client, 'own', 'SELECT * FROM own')), '');
      for (let round = 0; round < 3; round++) {
        assert.deepEqual((await execute(a, 'own')).rows, [['1']]);
        assert.deepEqual((await execute(b, 'own')).rows, [['2', 'b']]);
      }
    }));

  it('who binds by a wrong number of columns is told so alone', () =>
    withClients(proxy, 2, async (a, b) => {
      for (const client of [a, b]) await prepare(client, 'two', 'SELECT 1, 2');
      const wrong = await ask(a, B('', 'two', { resultFormats: [1, 1, 1] }), E(''));
      assert.equal(sqlstateOf(wrong), '0A000');
      assert.deepEqual((await execute(b, 'two')).rows, [['1', '2']]);
    }));

  it('a Bind for the columns there were is told that they have changed', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, 'DROP TABLE IF EXISTS shape4', 'CREATE TABLE shape4 (x int, y int)');
      await prepare(a, 'sf', 'SELECT * FROM shape4');
      await execute(a, 'sf');
      await onAnotherServer(a, b, async () => {
        await run(a, 'ALTER TABLE shape4 DROP y');
        const told = await ask(a, B('', 'sf', { resultFormats: [1, 1] }), D('P', ''), E(''));
        assert.equal(told.error?.['M'], 'cached plan must not change result type');
        assert.equal(told.error?.['R'], 'RevalidateCachedQuery');
        assert.equal(sqlstateOf(told), '0A000');
      });
    }));

  for (const sql of ['DEALLOCATE ALL', 'DISCARD ALL', 'DO $$ BEGIN DEALLOCATE ALL; END $$']) {
    it(`${sql} of another client takes nothing away`, () =>
      withClients(proxy, 2, async (a, b) => {
        await prepare(a, 'kept', 'SELECT $1::text');
        await run(a, 'PREPARE kept2 AS SELECT 2');
        // A second one may come late on a busy machine.
        await eventually('one server connection serves both', async () => {
          await execute(a, 'kept', 'here');
          await run(a, 'EXECUTE kept2');
          return (await pidOf(a)) === (await pidOf(b));
        });
        await run(b, sql);
        assert.deepEqual((await execute(a, 'kept', 'here')).rows, [['here']]);
        await run(b, sql);
        assert.equal(await firstValue(a, 'EXECUTE kept2'), '2');
        assert.deepEqual((await ask(a, D('S', 'kept'))).columns, ['text']);
      }));
  }

  for (const sql of ['DEALLOCATE ALL', 'DISCARD ALL']) {
    it(`${sql} takes the client's own`, () =>
      withClients(proxy, 2, async (a, b) => {
        await prepare(a, 'own', 'SELECT 1');
        await run(a, 'PREPARE own2 AS SELECT 2', sql);
        await onAnotherServer(a, b, async () => {
          assert.equal(sqlstateOf(await execute(a, 'own')), '26000');
          assert.equal(sqlstateOf(await a.query('EXECUTE own2')), '26000');
        });
        assert.equal(sqlstateOf(await ask(a, P('own', 'SELECT 3'))), '');
      }));
  }

  it('a statement of a schema is prepared under the search_path of its client', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, 'DROP SCHEMA IF EXISTS s1 CASCADE', 'DROP SCHEMA IF EXISTS s2 CASCADE');
      await run(a, 'CREATE SCHEMA s1', 'CREATE SCHEMA s2');
      await run(a, "CREATE TABLE s1.t AS SELECT 'one' AS v", "CREATE TABLE s2.t AS SELECT 'two' AS v");
      await run(a, 'SET search_path = s1');
      await run(b, 'SET search_path = s2');
      await prepare(a, 'q', 'SELECT v FROM t');
      await prepare(b, 'q', 'SELECT v FROM t');
      for (let round = 0; round < 5; round++) {
        assert.deepEqual((await execute(a, 'q')).rows, [['one']]);
        assert.deepEqual((await execute(b, 'q')).rows, [['two']]);
      }
    }));
});
