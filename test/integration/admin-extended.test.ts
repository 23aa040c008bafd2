/** The admin database through drivers and psql: extended protocol, what they ask unasked, what monitoring asks. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import postgres from 'postgres';
import { B, C, D, E, F, H, P, S } from '../support/frames.js';
import { findProgram } from '../support/programs.js';
import { ADMIN, startProxy, type TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { clientOf, sqlstateOf } from '../support/wire.js';

const psql = findProgram('psql');

describe('the admin database by the extended protocol', () => {
  let proxy: TestProxy;
  before(async () => {
    // Nobody listens there: the admin database needs no server.
    const database = { name: 'shop', host: '127.0.0.1', port: 9, pool_size: 3 };
    proxy = await startProxy({
      workers: 1,
      databases: [database],
      users: ['app', 'boss', 'eye'].map((name) => ({ name, password: `${name}-secret` })),
      admin: { admin_users: ['boss'], stats_users: ['eye'] },
      general: { min_pool_size: 0 },
    });
  });
  after(() => proxy.stop());

  const raw = (database = ADMIN.name): Promise<RawClient> =>
    clientOf(proxy, { user: ADMIN.user, password: ADMIN.password, database });
  const urlOf = (database: string) => proxy.adminUrl.replace(/admin$/, database);

  it('node-postgres: named statements, again and again, and an error between', async () => {
    const client = new pg.Client(urlOf('pgbouncer'));
    await client.connect();
    for (let round = 0; round < 2; round++) {
      const { rows } = await client.query({ name: 'pools', text: 'SHOW POOLS' });
      assert.deepEqual([rows[0].database, rows[0].cl_active], ['shop', 0]);
      await assert.rejects(client.query({ name: 'wrong', text: 'NONSENSE' }), /syntax error/);
      await assert.rejects(client.query('SHOW STATS WHERE x = $1', ['y']), /take no parameters/);
    }
    assert.equal((await client.query({ name: 'set', text: "SET application_name = 'x'" })).rowCount, null);
    await client.end();
  });

  it('postgres.js: prepared statements and a cursor', async () => {
    const sql = postgres(urlOf('pgbouncer'), { max: 1, fetch_types: false, onnotice: () => undefined });
    assert.equal((await sql`SHOW LISTS`).find(({ list }) => list === 'databases')?.items, 1);
    const seen: unknown[] = [];
    await sql`SHOW LISTS`.cursor(4, (rows) => {
      seen.push(...rows);
    });
    // It keeps the last part of an answer whose tag counts no rows, as that of any SHOW.
    assert.equal(seen.length, 12);
    await sql.end();
  });

  it('every step is answered as Postgres would, in both formats', async () => {
    const client = await raw('pgbouncer');
    client.send(P('s', 'SHOW USERS'), D('S', 's'), S());
    assert.equal((await client.readUntilReady()).frames.map(({ type }) => type).join(''), '1tTZ');
    client.send(B('', 's', { resultFormats: [1] }), D('P', ''), E('', 1), S());
    const { frames } = await client.readUntilReady();
    assert.equal(frames.map(({ type }) => type).join(''), '2TDsZ');
    const row = frames[2]?.body ?? Buffer.alloc(0);
    // Two texts before it: name and pool_size; then reserve_pool_size, pool_mode, and four numbers of four bytes.
    assert.deepEqual(row.subarray(-8), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0]));
    client.send(B('', 's', { resultFormats: [1, 0] }), E(''), S());
    assert.match(
      (await client.readUntilReady()).error?.['M'] ?? '',
      /2 result formats but query has 8 columns/,
    );
    client.send(P('', ''), B('', ''), D('P', ''), E(''), C('P', ''), C('S', 's'), H(), S());
    assert.equal((await client.readUntilReady()).frames.map(({ type }) => type).join(''), '12nI33Z');
    client.send(P('', 'RELOAD'), D('S', ''), B('', ''), E(''), S());
    assert.deepEqual((await client.readUntilReady()).tags, ['RELOAD']);
    await client.end();
  });

  it('a limit suspends the portal, which goes on where it was', async () => {
    const client = await raw('pgbouncer');
    client.send(P('', 'SHOW LISTS'), B('', ''), E('', 10), E('', 10), E('', 10), S());
    const { frames } = await client.readUntilReady();
    assert.equal(frames.map(({ type }) => type).join(''), `12${'D'.repeat(10)}s${'D'.repeat(4)}CZ`);
    await client.end();
  });

  // As JDBC reads with a fetch size: BEGIN, then an Execute and a Sync for each part.
  it('a portal with rows left outlives Sync, one that has ended does not', async () => {
    const client = await raw('pgbouncer');
    const kindsOf = async (...sent: Buffer[]): Promise<string> => {
      client.send(...sent, S());
      return (await client.readUntilReady()).frames.map(({ type }) => type).join('');
    };
    assert.equal(await kindsOf(P('s', 'SHOW LISTS'), B('c', 's'), E('c', 4)), '12DDDDsZ');
    assert.equal(await kindsOf(E('c', 4)), 'DDDDsZ');
    assert.equal(await kindsOf(E('c')), 'DDDDDDCZ');
    assert.equal(await kindsOf(E('c')), 'EZ');
    // Who never closes them does not run out of them.
    for (let index = 0; index < 300; index++) {
      assert.equal(await kindsOf(B(`c${index}`, 's'), E(`c${index}`, 1)), '2DsZ');
    }
    assert.equal(await kindsOf(E('c0', 1)), 'EZ');
    await client.end();
  });

  it('what is wrong is said once, and the rest up to Sync is skipped', async () => {
    const client = await raw();
    const wrong: [string, Buffer[]][] = [
      ['0A000', [P('', 'SHOW POOLS', [23])]],
      ['0A000', [P('', 'SHOW POOLS'), B('', '', { values: ['x'] })]],
      ['0A000', [P('', 'SHOW $1'), D('S', '')]],
      ['42601', [P('', 'SHOW POOLS; SHOW LISTS'), B('', ''), E('')]],
      ['26000', [B('', 'nobody')]],
      ['26000', [D('S', 'nobody')]],
      ['34000', [E('nobody')]],
      ['34000', [D('P', 'nobody')]],
      ['42P05', [P('a', 'SHOW POOLS'), P('a', 'SHOW POOLS')]],
      ['42P03', [P('', 'SHOW POOLS'), B('c', ''), B('c', '')]],
      ['08P01', [P('', 'NONSENSE'), B('', ''), E('')]],
      ['08P01', [P('', 'PAUSE nowhere'), B('', ''), D('P', ''), E('')]],
      ['0A000', [F(1, [])]],
    ];
    for (const [state, messages] of wrong) {
      client.send(...messages, E(''), S());
      const answer = await client.readUntilReady();
      assert.equal(sqlstateOf(answer), state, `${messages}`);
      assert.equal(answer.frames.filter(({ type }) => type === 'E').length, 1, state);
      assert.equal((await client.query('SHOW VERSION')).rows.length, 1);
    }
    for (let index = 0; index < 210; index++) client.send(P(`n${index}`, 'SHOW POOLS'));
    client.send(S());
    assert.equal(sqlstateOf(await client.readUntilReady()), '54000');
    await client.end();
    const hostile = await raw();
    hostile.send(P('', 'SHOW POOLS'), Buffer.from([0x42, 0, 0, 0, 8, 0, 0, 0, 9]));
    assert.equal((await hostile.expectClosed()).error?.['C'], '08P01');
  });

  it('what monitoring asks of PgBouncer is answered through its drivers', async () => {
    const client = new pg.Client(urlOf('pgbouncer'));
    await client.connect();
    const texts =
      'VERSION STATS POOLS LISTS DATABASES CONFIG CLIENTS SERVERS STATS_TOTALS TOTALS USERS STATE MEM'.split(
        ' ',
      );
    for (const text of texts) {
      const simple = await client.query(`SHOW ${text};`);
      const extended = await client.query({ text: `SHOW ${text}`, name: text });
      assert.deepEqual(
        extended.fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
        simple.fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
        text,
      );
      if (text !== 'SERVERS') assert.ok(extended.rows.length > 0, text);
    }
    await client.end();
  });

  it('admin_users may order, stats_users only look, others not enter', async () => {
    const login = (user: string, password = `${user}-secret`) =>
      clientOf(proxy, { user, password, database: 'pgbouncer' });
    const [boss, eye] = [await login('boss'), await login('eye')];
    assert.deepEqual((await boss.query('PAUSE shop')).tags, ['PAUSE']);
    assert.equal((await eye.query('RESUME shop')).error?.['M'], 'admin access needed');
    assert.equal((await eye.query('SHOW DATABASES')).rows[0]?.[15], '1');
    eye.send(P('', 'RESUME shop'), B('', ''), E(''), S());
    assert.equal(sqlstateOf(await eye.readUntilReady()), '42501');
    assert.deepEqual((await boss.query('RESUME shop')).tags, ['RESUME']);
    await assert.rejects(login('app'), /password authentication failed/);
    await assert.rejects(login('eye', 'wrong'), /password authentication failed/);
    await Promise.all([boss.end(), eye.end()]);
  });

  it('psql: \\d, \\l and completion do not break the session', { skip: psql.skip }, async () => {
    const run = promisify(execFile);
    const commands = ['\\d', '\\l', '\\du', '\\conninfo', 'SHOW VERSION'].flatMap((text) => ['-c', text]);
    const { stdout, stderr } = await run(psql.path ?? '', [proxy.adminUrl, '-X', ...commands]);
    assert.match(stdout, /pgdog-cluster \d/);
    assert.match(stderr, /the admin database has no tables or catalogs/);
    assert.match(stderr, /SHOW DATABASES and SHOW USERS list/);
    assert.doesNotMatch(stderr, /server closed/);
  });
});
