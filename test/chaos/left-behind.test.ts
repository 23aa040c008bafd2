/** What a client leaves behind by vanishing at the worst moment, one case each; found by the randomised clients. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, c, d, E, H, P, Q, S } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient, type RawClientOptions } from '../support/raw-client.js';
import { eventually } from '../support/wire.js';

const LOOK = `SELECT current_setting('work_mem'), current_setting('TimeZone'), current_user,
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), to_regclass('pg_temp.left_behind')`;
const UNDER_WAY = 'SELECT pg_sleep(0.1)';

forEachDriver('left behind', (driver) => {
  let postgres: TestPostgres;
  let proxy: TestProxy;
  let options: RawClientOptions;
  let fresh: (string | null)[];
  before(async () => {
    postgres = await startPostgres({
      users: [{ name: 'left_role' }],
      initSql: 'CREATE TABLE done (what text)',
    });
    proxy = await startProxy({
      databases: [databaseOf(postgres)],
      users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
      workers: 1,
      ioDriver: driver,
      general: { default_pool_size: 1 },
    });
    options = { port: proxy.port, user: postgres.user, password: postgres.password };
  });
  after(async () => {
    await proxy?.stop();
    await postgres?.stop();
  });
  beforeEach(async () => {
    // A server connection nobody has used.
    await postgres.query(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    );
    // Whoever comes before the proxy has heard of it is told so.
    await eventually('a fresh server connection', async () => {
      const seen = await look().catch(() => null);
      if (seen !== null) fresh = seen;
      return seen !== null;
    });
  });

  async function look(): Promise<(string | null)[]> {
    const client = await RawClient.connect(options);
    const { rows, error } = await client.query(LOOK);
    await client.end();
    assert.equal(error, null);
    return rows[0] ?? [];
  }

  /** Sends, vanishes while the server is at it, and looks from another session. */
  async function vanishAfter(
    parts: Buffer[],
    before: string[] = [],
    untilDone?: () => Promise<void>,
  ): Promise<void> {
    const client = await RawClient.connect(options);
    for (const sql of before) assert.equal((await client.query(sql)).error, null);
    client.send(...parts);
    await (untilDone ?? (() => sleep(30)))();
    client.destroy();
    await sleep(200);
    assert.deepEqual(await look(), fresh);
  }

  it('a SET under way', () => vanishAfter([Q(`${UNDER_WAY}; SET work_mem = '5MB'`)]));

  it('a SET under way in a batch', () =>
    vanishAfter([
      ...[P('', UNDER_WAY), B('', ''), E('')],
      ...[P('', "SET work_mem = '5MB'"), B('', ''), E(''), S()],
    ]));

  it('an advisory lock under way', () => vanishAfter([Q(`${UNDER_WAY}, pg_advisory_lock(7)`)]));

  it('a temp table under way', () => vanishAfter([Q(`${UNDER_WAY}; CREATE TEMP TABLE left_behind ()`)]));

  it('a RESET in a transaction never ended', () =>
    vanishAfter([Q('SELECT 1')], ["SET work_mem = '5MB'", 'BEGIN', 'RESET work_mem']));

  // Postgres commits at Sync. Half of what belongs together must not be kept because its other half never came.
  const insert = [P('', "INSERT INTO done VALUES ('x')"), B('', ''), E('')];
  const copy = [P('', 'COPY done FROM STDIN'), B('', ''), E('')];
  const rows = [P('', 'SELECT generate_series(1, 9)'), B('', ''), E('', 2)];
  const unfinished = {
    'and nothing else': [...insert],
    'and its answer read': [...insert, H()],
    'and half a message': [...insert, P('', 'SELECT 1').subarray(0, 8)],
    'behind a batch that is complete': [P('', 'SELECT 1'), B('', ''), E(''), S(), ...insert, H()],
    'before a statement under way': [...insert, P('', UNDER_WAY), B('', ''), E('')],
    'before a portal with rows left': [...insert, ...rows, H()],
    'before a COPY': [...insert, ...copy, d('y\n')],
    'before a COPY that is complete': [...insert, ...copy, d('y\n'), c()],
    'within a failed batch': [...insert, P('', 'SELECT 1/0'), B('', ''), E(''), ...insert],
    'in a transaction that it began': [P('', 'BEGIN'), B('', ''), E(''), ...insert],
  };
  for (const [name, parts] of Object.entries(unfinished)) {
    it(`an INSERT without its Sync, ${name}`, async () => {
      await vanishAfter(parts);
      assert.deepEqual(await postgres.query('DELETE FROM done RETURNING what'), []);
    });
  }

  it('an INSERT with its Sync stays', async () => {
    await vanishAfter([...insert, S()], [], () =>
      eventually('it is there', async () => (await postgres.query('SELECT FROM done')).length === 1),
    );
    assert.deepEqual(await postgres.query('DELETE FROM done RETURNING what'), [{ what: 'x' }]);
  });

  it('the role of a client that vanished while it was being applied', async () => {
    const holder = await RawClient.connect(options);
    const client = await RawClient.connect(options);
    await client.query('SET ROLE left_role');
    await holder.query('BEGIN');
    client.send(Q('SELECT 1'));
    await sleep(30);
    holder.send(Q('COMMIT'));
    await holder.readUntilReady();
    client.destroy();
    await sleep(100);
    assert.deepEqual(await look(), fresh);
    await holder.end();
  });

  it('the settings of a client that vanished during its login', async () => {
    const holder = await RawClient.connect(options);
    await holder.query('BEGIN');
    const client = await RawClient.open({ ...options, parameters: { TimeZone: 'Asia/Tokyo' } });
    const login = client.login().catch(() => null);
    await sleep(50);
    holder.send(Q('COMMIT'));
    await sleep(0);
    client.destroy();
    await login;
    await sleep(100);
    assert.deepEqual(await look(), fresh);
    await holder.end();
  });

  it('RESET tells a client its own start-up value', async () => {
    const client = await RawClient.connect({ ...options, parameters: { TimeZone: 'Asia/Tokyo' } });
    for (const sql of ['RESET TimeZone', 'RESET ALL', 'DISCARD ALL']) {
      await client.query("SET TimeZone = 'Europe/Berlin'");
      const { frames } = await client.query(sql);
      const told = frames.filter(({ type }) => type === 'S').map(({ body }) => body.toString());
      assert.ok(
        told.some((text) => text.startsWith('TimeZone\0Asia/Tokyo')),
        `${sql}: ${told}`,
      );
      assert.deepEqual((await client.query('SHOW TimeZone')).rows, [['Asia/Tokyo']]);
    }
    await client.end();
  });
});
