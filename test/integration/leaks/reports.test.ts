/** Leaks that users of poolers have reported: one test for each symptom, named after it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../../support/drivers.js';
import { startPostgres, type TestPostgres } from '../../support/embedded-postgres.js';
import { B, E, P, Q, S } from '../../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../../support/proxy.js';
import type { RawClient } from '../../support/raw-client.js';
import { clientOf, eventually, firstValue, run, sleep, sqlstateOf } from '../../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    users: [{ name: 'tenant', password: 'tenant' }, { name: 'limited' }],
    initSql: `
      GRANT limited TO tenant;
      CREATE TABLE docs (id int, org text);
      INSERT INTO docs SELECT n, 'org ' || n % 3 FROM generate_series(1, 30) AS n;
      ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON docs USING (org = current_setting('app.org', true));
      GRANT SELECT ON docs TO PUBLIC;
      CREATE FUNCTION opaque() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';`,
  });
});
after(() => server.stop());

const setOrg = async (client: RawClient, org: string): Promise<void> => {
  client.send(
    P('', 'SELECT set_config($1, $2, false)'),
    B('', '', { values: ['app.org', org] }),
    ...[E(''), S()],
  );
  assert.equal(sqlstateOf(await client.readUntilReady()), '');
};

/** Own process, to be killed. */
const CHILD = `
  import pg from 'pg';
  const client = new pg.Client({ connectionString: process.argv[1] });
  await client.connect();
  await client.query('SELECT pg_try_advisory_lock(999125, 0)');
  console.log('locked');
  await client.query('SELECT pg_sleep(300)');`;

forOneDriver('reported leaks', (driver) => {
  let narrow: TestProxy;
  let wide: TestProxy;
  const start = (poolSize: number): Promise<TestProxy> =>
    startProxy({
      workers: 2,
      ioDriver: driver,
      users: [
        { name: 'postgres', password: 'postgres', all_databases: true },
        { name: 'tenant', password: 'tenant', all_databases: true },
      ],
      // Large enough for clients in both workers.
      databases: [databaseOf(server, { pool_size: 8, max_db_connections: poolSize })],
      general: { auth_type: 'trust', min_pool_size: 0, log_connections: false, log_disconnections: false },
    });
  before(async () => {
    [narrow, wide] = await Promise.all([start(1), start(4)]);
  });
  after(() => Promise.all([narrow.stop(), wide.stop()]));
  const tenantOf = (proxy: TestProxy): Promise<RawClient> =>
    clientOf(proxy, { user: 'tenant', password: 'tenant' });

  for (const [identity, statement] of [
    ['a role', 'SET ROLE limited'],
    ['a session authorization', 'SET SESSION AUTHORIZATION limited'],
  ] as const) {
    it(`${identity} that a client with an advisory lock had set is not the next client's`, async () => {
      for (const pin of ['SELECT pg_advisory_lock(1)', 'SET pgdog.pin TO on', 'SELECT 1']) {
        const a = await clientOf(narrow);
        await run(a, pin, statement);
        a.destroy(true);
        const b = await clientOf(narrow);
        assert.deepEqual((await b.query('SELECT session_user, current_user')).rows, [
          ['postgres', 'postgres'],
        ]);
        await b.end();
      }
    });
  }

  it('rows behind row-level security are not read with the setting another client has bound', async () => {
    const [a, b] = await Promise.all([tenantOf(narrow), tenantOf(narrow)]);
    await setOrg(a, 'org 1');
    assert.equal(await firstValue(a, 'SELECT count(*) FROM docs'), '10');
    assert.equal(await firstValue(b, 'SELECT count(*) FROM docs'), '0');
    await setOrg(b, 'org 2');
    for (let round = 0; round < 5; round++) {
      assert.equal(await firstValue(a, 'SELECT DISTINCT org FROM docs'), 'org 1');
      assert.equal(await firstValue(b, 'SELECT DISTINCT org FROM docs'), 'org 2');
    }
    a.destroy(true);
    await b.end();
    const c = await tenantOf(narrow);
    assert.equal(await firstValue(c, 'SELECT count(*) FROM docs'), '0');
    await c.end();
  });

  it('what a server reported for the client before is not told to the next one, not even for a moment', async () => {
    for (const parameters of [{}, { TimeZone: 'Europe/Paris' }] as Record<string, string>[]) {
      const a = await clientOf(narrow);
      // After a function that nobody can see through the server is reset ahead of the next client's exchange.
      await run(a, "SET application_name TO 'private'", "SET time zone 'Asia/Kathmandu'", 'SELECT opaque()');
      const b = await clientOf(narrow, { parameters });
      const { frames } = await b.query("SELECT current_setting('TimeZone')");
      const told = frames.filter(({ type }) => type === 'S').map(({ body }) => body.toString());
      assert.deepEqual(told, []);
      await b.end();
      await a.end();
    }
  });

  it('an advisory lock does not outlive the process that held it, killed in the middle of a statement', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, wide.url()], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: import.meta.dirname,
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill('SIGKILL');
    const held =
      "SELECT count(*)::int AS count FROM pg_locks WHERE locktype = 'advisory' AND classid = 999125";
    await eventually('the lock released', async () => {
      const [row] = await server.query<{ count: number }>(held);
      return row?.count === 0;
    });
    const clients = await Promise.all(Array.from({ length: 4 }, () => clientOf(wide)));
    const locked = await Promise.all(
      clients.map((client) => firstValue(client, 'SELECT pg_try_advisory_lock(999125, 0)')),
    );
    assert.equal(locked.filter((value) => value === 't').length, 1, 'one of those who ask gets it');
    await Promise.all(clients.map((client) => client.end()));
  });

  it('a cancel that comes late hits nobody else', async () => {
    const [a, b] = await Promise.all([clientOf(narrow), clientOf(narrow)]);
    // How long the first statement takes is led to where about half of the cancels come in time, however fast the
    // machine is: only there does one that is too late come just then.
    let [cancelled, late, milliseconds] = [0, 0, 4];
    for (let round = 0; round < 40 || ((cancelled === 0 || late === 0) && round < 400); round++) {
      a.send(Q(`SELECT pg_sleep(${milliseconds / 1000})`));
      const answerOfA = a.readUntilReady();
      await sleep(2);
      // Asked while the first statement runs; the second one waits for the same server connection.
      const cancels = [a.cancel(), a.cancel()];
      b.send(Q('SELECT pg_sleep(0.008)'));
      const answerOfB = await b.readUntilReady();
      assert.equal(sqlstateOf(answerOfB), '', `round ${round}: ${answerOfB.error?.['M']}`);
      if (sqlstateOf(await answerOfA) === '57014') {
        cancelled++;
        milliseconds *= 0.8;
      } else {
        late++;
        milliseconds *= 1.25;
      }
      await Promise.all(cancels);
    }
    assert.ok(cancelled > 0, 'no cancel was ever in time: nothing was tried');
    assert.ok(late > 0, 'no cancel was ever late: nothing was tried');
    await Promise.all([a.end(), b.end()]);
  });

  it('no client gets rows of another when the pool is crowded, slow and cancelled', async () => {
    const ends = performance.now() + 1200;
    const crowd = Array.from({ length: 24 }, async (_, index) => {
      let asked = 0;
      let client = await clientOf(wide);
      // However slow the machine is.
      while (performance.now() < ends || asked <= 2) {
        const key = `${index}/${++asked}`;
        const pause = index % 3 === 0 ? 0.003 : 0;
        client.send(
          P('', `SELECT $1::text, pg_sleep(${pause})`),
          B('', '', { values: [key] }),
          ...[E(''), S()],
          Q(`SELECT '${key} again'`),
        );
        const drop = index % 8 === 0 && asked % 3 === 0;
        if (index % 6 === 1) void client.cancel();
        if (drop) {
          client.destroy(true);
          client = await clientOf(wide);
          continue;
        }
        const { rows, error } = await client.readUntilReady(2);
        if (error !== null) assert.equal(error['C'], '57014', error['M']);
        for (const row of rows) assert.equal(row[0]?.split(' ')[0], key);
      }
      await client.end();
      return asked;
    });
    const asked = await Promise.all(crowd);
    assert.ok(
      asked.every((count) => count > 2),
      `too few questions: ${asked.join(' ')}`,
    );
  });

  it("a dump's search_path does not empty everybody's", async () => {
    const a = await clientOf(narrow);
    await run(a, "SELECT pg_catalog.set_config('search_path', '', false)");
    assert.equal(sqlstateOf(await a.query('SELECT count(*) FROM docs')), '42P01');
    const b = await clientOf(narrow);
    assert.equal(await firstValue(b, 'SELECT count(*) > 0 FROM docs'), 't');
    assert.equal(sqlstateOf(await a.query('SELECT count(*) FROM docs')), '42P01');
    await Promise.all([a.end(), b.end()]);
  });

  it('a setting that cannot be reset does not cost the next client its connection', async () => {
    for (const statement of [
      'SET seed = 0.5',
      "SELECT set_config('seed', '0.5', false)",
      "SELECT set_config('transaction_read_only', 'on', false)",
      "SELECT set_config('transaction_deferrable', 'on', false)",
      'SET transaction_isolation = serializable',
      'SET statement_timeout = 1',
    ]) {
      const a = await clientOf(narrow);
      await a.query(statement);
      await a.end();
      const b = await clientOf(narrow);
      assert.equal(await firstValue(b, 'SELECT 1'), '1', statement);
      assert.equal(await firstValue(b, 'SHOW transaction_read_only'), 'off', statement);
      await b.end();
    }
  });
});
