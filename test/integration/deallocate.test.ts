/** DEALLOCATE takes a client's name, and no statement that another name or another client has: message by message as on one server. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, C, D, E, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import {
  assertSameAsDirect,
  firstValue,
  run,
  type Script,
  startWireProxy,
  withClients,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const execute = (...texts: string[]): Buffer[] => texts.flatMap((sql) => [P('', sql), B('', ''), E('')]);
const unnamed = (...texts: string[]): Buffer[] => [...execute(...texts), S()];

/** One write each. */
function requests(...each: Buffer[][]): Script {
  return async (client) => {
    const frames = [];
    for (const parts of each) {
      client.send(...parts);
      const count = parts.filter((part) => part[0] === 0x53 || part[0] === 0x51).length;
      frames.push(...(await client.readUntilReady(count)).frames);
    }
    return frames;
  };
}

const parsed = [P('a', 'SELECT 1'), P('b', 'SELECT 1'), S()];
const prepared = [Q('PREPARE a AS SELECT 1; PREPARE b AS SELECT 1')];
const both = [[Q('EXECUTE a')], [Q('EXECUTE b')]];
const again = [P('a', 'SELECT 1'), B('', 'a'), E(''), S()];

const CASES: Record<string, Buffer[][]> = {
  'both names in one Query': [prepared, [Q('DEALLOCATE a; DEALLOCATE b')], ...both],
  'both names that Parse made': [parsed, [Q('DEALLOCATE a; DEALLOCATE b')], ...both],
  'one name, and the other is used': [prepared, [Q('DEALLOCATE a; EXECUTE b; EXPLAIN EXECUTE b')], ...both],
  'one name twice': [prepared, [Q('DEALLOCATE a; DEALLOCATE a')], ...both],
  'and PREPARE of the same text': [prepared, [Q('DEALLOCATE a; PREPARE a AS SELECT 1; EXECUTE a')], ...both],
  'PREPARE of what was executed before': [
    [Q('PREPARE a AS SELECT 1')],
    [Q('EXECUTE a; PREPARE b AS SELECT 1; EXECUTE a')],
    ...both,
  ],
  'an error between': [
    prepared,
    [Q('DEALLOCATE a; SELECT 1/0; DEALLOCATE b')],
    ...both,
    [Q('DEALLOCATE b')],
    ...both,
  ],
  'in a transaction': [prepared, [Q('BEGIN')], [Q('DEALLOCATE a; DEALLOCATE b')], [Q('ROLLBACK')], ...both],
  'in a batch': [prepared, unnamed('DEALLOCATE a', 'DEALLOCATE b'), ...both],
  'none, in a transaction that has failed: a Parse of a name that is taken': [
    parsed,
    [Q('BEGIN; SELECT 1/0')],
    [P('a', 'SELECT 2'), S()],
    [P('a', 'ROLLBACK'), S()],
    [Q('PREPARE a AS SELECT 2')],
    [Q('ROLLBACK')],
    [P('a', 'SELECT 2'), S()],
    ...both,
  ],
  'in a batch, of Parse': [parsed, unnamed('DEALLOCATE a', 'EXECUTE b'), ...both],
  'in a batch, the same name again': [parsed, [...execute('DEALLOCATE a'), ...again], ...both],
  'in a batch, twice': [prepared, unnamed('DEALLOCATE a', 'DEALLOCATE a'), ...both],
  'in a batch, behind an error': [prepared, unnamed('SELECT 1/0', 'DEALLOCATE a'), ...both],
  'in a batch, before an error': [
    parsed,
    [...execute('DEALLOCATE a'), P('a', 'SELECT 2'), ...unnamed('SELECT 1/0')],
    ...both,
  ],
  'in a batch, PREPARE before and behind': [
    unnamed('PREPARE a AS SELECT 1', 'DEALLOCATE a', 'PREPARE a AS SELECT 2'),
    ...both,
  ],
  'two portals': [prepared, [P('', 'DEALLOCATE a'), B('p', ''), B('q', ''), E('p'), E('q'), S()], ...both],
  'a prepared DEALLOCATE': [
    prepared,
    [P('d', 'DEALLOCATE a'), B('', 'd'), E(''), S()],
    [B('', 'd'), E(''), S()],
    prepared.slice(0, 0).concat(Q('PREPARE a AS SELECT 3')),
    [B('', 'd'), E(''), S()],
    ...both,
  ],
  'ALL in a batch, the same again': [
    parsed,
    [...execute('DEALLOCATE ALL'), ...again],
    ...both,
    [P('b', 'SELECT 1'), S()],
  ],
  'ALL in a batch, behind an error': [
    parsed,
    [...execute('SELECT 1/0', 'DEALLOCATE ALL'), ...again],
    ...both,
  ],
  'ALL in a batch, behind PREPARE': [
    unnamed('PREPARE a AS SELECT 1', 'DEALLOCATE ALL'),
    ...both,
    prepared,
    ...both,
  ],
  'ALL in a failed transaction': [
    parsed,
    [Q('BEGIN; SAVEPOINT s')],
    [Q('SELECT 1/0')],
    unnamed('DEALLOCATE ALL'),
    [Q('ROLLBACK TO s')],
    ...both,
    [Q('COMMIT')],
  ],
  'and the error of what came before names it': [
    [Q('PREPARE a AS SELECT 1')],
    [B('', 'a', { values: ['1'] }), ...unnamed('DEALLOCATE a')],
    ...both,
  ],
  'Close, and the error of what came before names it': [
    [P('a', 'SELECT 1'), S()],
    [B('', 'a', { values: ['1'] }), C('S', 'a'), S()],
    ...both,
  ],
  'Parse and Close behind an error': [
    [E('none'), P('a', 'SELECT 1'), C('S', 'a'), S()],
    ...both,
    [P('a', 'SELECT 2'), S()],
    ...both,
  ],
  'Close and Parse behind an error': [parsed, [E('none'), C('S', 'a'), P('a', 'SELECT 2'), S()], ...both],
  'Parse of a name that a PREPARE of the batch has taken': [
    [...execute('PREPARE a AS SELECT 1'), P('a', 'SELECT 2'), B('', 'a'), E(''), S()],
    ...both,
  ],
  'Parse and Describe behind an error, while settings are not known': [
    [
      ...execute('DO $$ BEGIN PERFORM 1; END $$', 'SELECT 1 +'),
      P('a', 'SELECT 1'),
      D('S', 'a'),
      S(),
      D('S', 'a'),
      S(),
    ],
    ...both,
  ],
  'a PREPARE that was not executed': [[P('', 'PREPARE a AS SELECT 1'), ...unnamed('DEALLOCATE a')], ...both],
  'ALL behind an error, and behind Parse': [
    [E('none'), P('a', 'SELECT 1'), ...unnamed('DEALLOCATE ALL')],
    ...both,
    [P('a', 'SELECT 2'), S()],
    ...both,
  ],
  'DISCARD ALL in a batch': [parsed, [...execute('DISCARD ALL'), ...again], ...both],
};

forOneDriver('DEALLOCATE', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver);
  });
  after(() => proxy.stop());

  for (const [name, each] of Object.entries(CASES)) {
    it(name, () => assertSameAsDirect(proxy, server, requests(...each)));
  }

  it('leaves what others have prepared', () =>
    withClients(proxy, 2, async (a, b) => {
      await run(b, 'PREPARE kept AS SELECT 5');
      await run(a, 'PREPARE mine AS SELECT 5');
      a.send(...execute('DEALLOCATE mine'), P('other', 'SELECT 5'), ...unnamed('DEALLOCATE ALL'));
      await a.readUntilReady();
      a.send(P('other', 'SELECT 5'), ...execute('DEALLOCATE other'), P('third', 'SELECT 5'), S());
      assert.equal((await a.readUntilReady()).error, null);
      assert.equal(await firstValue(b, 'EXECUTE kept'), '5');
      b.send(P('x', 'SELECT 5'), B('', 'x'), E(''), S());
      assert.deepEqual((await b.readUntilReady()).rows, [['5']]);
    }));

  it("prepared by Parse is each client's own", () =>
    withClients(proxy, 2, async (a, b) => {
      for (const [client, name] of [
        [a, 'a'],
        [b, 'b'],
      ] as const) {
        await run(client, `PREPARE ${name} AS SELECT 6`);
        client.send(P('d', `DEALLOCATE ${name}`), B('', 'd'), E(''), S());
        assert.equal((await client.readUntilReady()).error, null);
        assert.equal((await client.query(`EXECUTE ${name}`)).error?.['C'], '26000');
      }
    }));
});
