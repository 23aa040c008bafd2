/** EXECUTE and DEALLOCATE where the name, the statement or the transaction does not allow them: as on one server. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, D, E, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawResult } from '../support/raw-client.js';
import {
  assertSameAsDirect,
  batch,
  firstValue,
  onAnotherServer,
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

const letters = (result: RawResult): string => result.frames.map(({ type }) => type).join('');

forOneDriver('EXECUTE that fails', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver);
  });
  after(() => proxy.stop());

  it('EXECUTE finds what a function has prepared, and what stood in a text too long to be read', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, "DO $$ BEGIN EXECUTE 'PREPARE made AS SELECT 77'; END $$");
      assert.equal(sqlstateOf(await a.query('EXECUTE typo')), '26000');
      assert.equal(await firstValue(a, 'EXECUTE made'), '77');
      await run(a, `/* ${'x'.repeat(70_000)} */ PREPARE long AS SELECT 78`);
      assert.equal(await firstValue(a, 'EXECUTE long'), '78');
      assert.equal(sqlstateOf(await b.query('EXECUTE made')), '26000');
      await run(a, 'DEALLOCATE made');
      assert.equal(sqlstateOf(await a.query('EXECUTE made')), '26000');
      await run(a, 'BEGIN', "DO $$ BEGIN EXECUTE 'PREPARE inside AS SELECT 79'; END $$");
      assert.equal(await firstValue(a, 'EXECUTE inside'), '79');
      await run(a, 'COMMIT', 'DISCARD ALL');
      assert.equal(sqlstateOf(await a.query('EXECUTE long')), '26000');
    }));

  it('as on a direct connection: EXECUTE of nothing, in a failed transaction and in a batch', () => {
    const failed = ['BEGIN', 'SELECT 1/0', 'EXECUTE nobody', 'DEALLOCATE nobody', 'ROLLBACK'].map(Q);
    const alone = ['EXECUTE nobody', 'DEALLOCATE nobody'].map((sql) => [
      P('', sql),
      B('', ''),
      D('P', ''),
      E(''),
      S(),
    ]);
    return assertSameAsDirect(proxy, server, batch(7, ...failed, ...alone.flat()));
  });

  it('an EXECUTE whose statement a server must have first, and refuses, is one error: that of the statement', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(a, 'CREATE TABLE IF NOT EXISTS soon_gone (i int)');
      a.send(P('late', 'SELECT i FROM soon_gone'), P('fine', 'SELECT 1'), S());
      await a.readUntilReady();
      await onAnotherServer(a, b, async () => {
        await run(a, 'DROP TABLE soon_gone');
        for (const [sql, state, status] of [
          ['EXECUTE late', '42P01', 'I'],
          ['BEGIN', undefined, 'T'],
          ['EXECUTE late', '42P01', 'E'],
          ['EXECUTE fine', '25P02', 'E'],
          ['DEALLOCATE fine', '25P02', 'E'],
          ['ROLLBACK', undefined, 'I'],
        ] as const) {
          const result = await a.query(sql);
          assert.equal(result.error?.['C'], state, sql);
          assert.equal(result.status, status, sql);
          assert.equal(letters(result), state === undefined ? 'CZ' : 'EZ', sql);
        }
        assert.equal(await firstValue(a, 'EXECUTE fine'), '1');
      });
    }));

  it('a PREPARE that cannot be repeated ends no transaction, and EXECUTE says why', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(
        a,
        'CREATE TABLE soon_lost (i int)',
        'PREPARE lost AS SELECT i FROM soon_lost',
        'PREPARE kept AS SELECT 1',
      );
      await run(a, 'DROP TABLE soon_lost');
      await onAnotherServer(a, b, async () => {
        for (const sql of [
          'SELECT 1',
          'BEGIN',
          'SELECT 1',
          'SAVEPOINT s',
          "SET LOCAL DateStyle = 'German'",
          'SELECT 2',
          'COMMIT',
        ]) {
          const result = await a.query(sql);
          assert.equal(sqlstateOf(result), '', sql);
        }
        for (const [sql, state] of [
          ['EXECUTE lost', '42P01'],
          ['BEGIN', undefined],
          ['EXECUTE lost', '42P01'],
          ['EXECUTE kept', '25P02'],
          ['ROLLBACK', undefined],
        ] as const) {
          const result = await a.query(sql);
          assert.equal(result.error?.['C'], state, sql);
          assert.equal(result.error?.['P'], undefined, 'a position would be in another text');
        }
        assert.equal(await firstValue(a, 'EXECUTE kept'), '1');
        await run(a, 'CREATE TABLE soon_lost (i int)');
        assert.equal(sqlstateOf(await a.query('EXECUTE lost')), '');
        await run(a, 'DROP TABLE soon_lost');
      });
    }));

  it('an error points to the same place of the text as on a direct connection', () =>
    assertSameAsDirect(
      proxy,
      server,
      batch(
        11,
        ...[
          'PREPARE p1 AS SELECT $1a',
          'PREPARE p1(nonexistenttype) AS SELECT $1',
          '/* é */ PREPARE "ünd" AS SELECT \'é\', nocolumn',
          'PREPARE q1(int) AS SELECT $1 + 1; PREPARE q2(text) AS SELECT $1 || nocolumn',
          'PREPARE q3(int) AS SELECT $1 + 3',
          'PREPARE q4(int) AS SELECT $1 + 4',
          "EXECUTE q3('5'::nonexistent)",
          "EXECUTE q3(1); EXECUTE q4('é'::text || nocolumn)",
          'EXECUTE q3(1); SELECT nocolumn',
          "EXECUTE q3('x')",
          'DEALLOCATE q3; DEALLOCATE q4; SELECT 1/0, nocolumn',
        ].map(Q),
      ),
    ));

  const run1 = (sql: string): Buffer[] => [P('', sql), B('', ''), E('')];
  const batches: Record<string, Buffer[]> = {
    'made, run and dropped': ['PREPARE w AS SELECT 7', 'EXECUTE w', 'DEALLOCATE w'].flatMap(run1),
    'dropped and made anew': [
      'PREPARE w AS SELECT 7',
      'DEALLOCATE w',
      'PREPARE w AS SELECT 8',
      'EXECUTE w',
    ].flatMap(run1),
    'two names for one text': [
      'PREPARE w AS SELECT 7',
      'PREPARE v AS SELECT 7',
      'EXECUTE v',
      'EXECUTE w',
    ].flatMap(run1),
    'not run, but used': [P('', 'PREPARE w AS SELECT 7'), ...run1('EXECUTE w')],
    'all dropped': ['PREPARE w AS SELECT 7', 'DEALLOCATE ALL', 'EXECUTE w'].flatMap(run1),
  };
  const texts = [
    'PREPARE w AS SELECT 7; PREPARE v AS SELECT 7; EXECUTE w; EXECUTE v; DEALLOCATE w; EXECUTE v',
    'SELECT 1; PREPARE w AS SELECT 7; PREPARE w AS SELECT 8; SELECT 2',
    'PREPARE w AS SELECT 7; DEALLOCATE ALL; DEALLOCATE w',
    'PREPARE v AS SELECT 7; PREPARE w AS SELECT 7; PREPARE w AS SELECT 7',
    'PREPARE w AS SELECT 7; DEALLOCATE w; PREPARE w AS SELECT 8; EXECUTE w; DEALLOCATE w',
  ];
  for (const sql of texts) batches[sql] = [Q(sql)];
  for (const [name, parts] of Object.entries(batches)) {
    it(`as on a direct connection, names under way: ${name}`, () => {
      const isQuery = parts.length === 1;
      const after = [Q('EXECUTE w'), Q('EXECUTE v'), Q('DEALLOCATE ALL; DEALLOCATE w')];
      return assertSameAsDirect(proxy, server, batch(4, ...parts, ...(isQuery ? [] : [S()]), ...after));
    });
  }

  it('PREPARE of a name whose statement this server cannot have is refused, and makes nothing', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(
        a,
        'CREATE TABLE IF NOT EXISTS short_lived (i int)',
        'PREPARE w AS SELECT i FROM short_lived',
      );
      await onAnotherServer(a, b, async () => {
        await run(a, 'DROP TABLE short_lived');
        for (const send of [[Q('PREPARE w AS SELECT 8')], [...run1('PREPARE w AS SELECT 8'), S()]]) {
          a.send(...send);
          assert.equal(sqlstateOf(await a.readUntilReady()), '42P05');
        }
        a.send(P('', 'PREPARE v AS SELECT 7'), ...run1('PREPARE v AS SELECT 8'), S());
        assert.equal(sqlstateOf(await a.readUntilReady()), '42P05');
        const kept =
          "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%SELECT 8%' AND name <> ''";
        assert.equal(await firstValue(a, kept), '0');
      });
    }));

  it('statements ahead of an EXECUTE that cannot be run are run, and committed where they say so', () =>
    withClients(proxy, 1, async (a) => {
      await run(a, 'CREATE TABLE IF NOT EXISTS ahead (i int)');
      const texts = [
        ['INSERT INTO ahead VALUES (1); COMMIT; EXECUTE nobody', '1'],
        ['INSERT INTO ahead VALUES (1); EXECUTE nobody', '0'],
        ['BEGIN; INSERT INTO ahead VALUES (1); COMMIT; DEALLOCATE nobody', '1'],
        [
          'PREPARE one AS INSERT INTO ahead VALUES (1); EXECUTE one; COMMIT; DEALLOCATE one; EXECUTE one',
          '1',
        ],
      ] as const;
      for (const [sql, count] of texts) {
        const result = await a.query(sql);
        assert.equal(sqlstateOf(result), '26000', sql);
        assert.match(result.error?.['M'] ?? '', /"(nobody|one)" does not exist/);
        assert.equal(await firstValue(a, 'SELECT count(*) FROM ahead'), count, sql);
        await run(a, 'TRUNCATE ahead');
      }
      await run(a, 'DROP TABLE ahead');
    }));
});
