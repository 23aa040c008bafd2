/** Who says where a statement runs: comments, SET, start-up options, configuration, and libpq's target_session_attrs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, it } from 'node:test';
import { promisify } from 'node:util';
import { forOneDriver } from '../support/drivers.js';
import { findProgram } from '../support/programs.js';
import type { TestProxy } from '../support/proxy.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { startRoutedProxy, untilStandbysServe, WHERE, whereOf } from '../support/routed-proxy.js';
import { clientOf, firstValue, run, sqlstateOf, withClients } from '../support/wire.js';

const exec = promisify(execFile);
const psql = findProgram('psql');

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({
    initSql: `CREATE TABLE item (id int);
      CREATE ROLE strict LOGIN PASSWORD 'strict';
      ALTER ROLE strict SET default_transaction_isolation = 'serializable'`,
  });
});
after(() => cluster.stop());

forOneDriver('endpoints', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startRoutedProxy(cluster, driver, {
      users: [
        { name: 'postgres', password: 'postgres', database: 'postgres' },
        {
          name: 'reader',
          password: 'reader',
          database: 'postgres',
          server_user: 'postgres',
          server_password: 'postgres',
          read_only: true,
        },
        { name: 'strict', password: 'strict', database: 'postgres' },
      ],
      general: {
        read_write_split: 'exclude_primary',
        load_balancing_strategy: 'round_robin',
        read_your_writes: 'off',
      },
    });
    await untilStandbysServe(proxy, cluster);
  });
  after(() => proxy.stop());

  const isStandby = (name: string | null): boolean =>
    cluster.standbys.some((standby) => standby.name === name);

  it('comments: at the start, at the end, of both kinds', () =>
    withClients(proxy, 1, async (client) => {
      for (const sql of [
        `/* pgdog_role: primary */ ${WHERE}`,
        `${WHERE} /* pgdog_role: primary */`,
        `-- pgdog_role: primary\n${WHERE}`,
        `${WHERE} -- pgdog_role: primary`,
      ])
        assert.equal(await firstValue(client, sql), 'primary', sql);
      assert.ok(isStandby(await firstValue(client, `/* pgdog_role: replica */ ${WHERE}`)));
      // Not a directive: part of a literal.
      assert.equal(
        await firstValue(client, `SELECT '/* pgdog_role: primary */'`),
        '/* pgdog_role: primary */',
      );
      assert.ok(isStandby(await firstValue(client, `${WHERE} || right('/* pgdog_role: primary */', 0)`)));
    }));

  it('a role that is serializable by default reads from the primary: no standby takes that', async () => {
    const client = await clientOf(proxy, { user: 'strict', password: 'strict' });
    try {
      for (let round = 0; round < 4; round++) assert.equal(await whereOf(client), 'primary');
      await run(client, 'BEGIN READ ONLY');
      assert.equal(await whereOf(client), 'primary');
      await run(client, 'COMMIT');
    } finally {
      await client.end();
    }
    await withClients(proxy, 1, async (other) => assert.ok(isStandby(await whereOf(other))));
  });

  it('a directive that makes no sense is an error, not a guess', () =>
    withClients(proxy, 1, async (client) => {
      for (const sql of [
        `/* pgdog_role: master */ ${WHERE}`,
        `/* pgdog_role: */ ${WHERE}`,
        'SET pgdog.role TO sideways',
      ]) {
        const { error, status } = await client.query(sql);
        assert.notEqual(error, null, sql);
        assert.match(error?.['M'] ?? '', /role/, sql);
        assert.equal(status, 'I');
      }
      assert.equal(await firstValue(client, 'SELECT 1'), '1');
    }));

  it('SET pgdog.role, SET LOCAL, RESET; a comment wins', () =>
    withClients(proxy, 2, async (client, other) => {
      await run(client, "SET pgdog.role TO 'primary'");
      for (let round = 0; round < 4; round++) assert.equal(await whereOf(client), 'primary');
      assert.ok(isStandby(await whereOf(other)), 'another session');
      assert.equal(await firstValue(client, 'SHOW pgdog.role'), 'primary');
      assert.ok(isStandby(await firstValue(client, `/* pgdog_role: replica */ ${WHERE}`)));
      await run(client, 'RESET pgdog.role');
      assert.ok(isStandby(await whereOf(client)));
      await run(client, 'BEGIN', "SET LOCAL pgdog.role TO 'replica'");
      assert.ok(isStandby(await whereOf(client)), 'SET LOCAL before the first statement');
      await run(client, 'COMMIT', 'BEGIN');
      assert.equal(await whereOf(client), 'primary', 'and not after the transaction');
      await run(client, 'COMMIT');
    }));

  it('a write with role replica is refused before a standby sees it', () =>
    withClients(proxy, 1, async (client) => {
      await run(client, 'SET pgdog.role TO replica');
      const { error } = await client.query('INSERT INTO item VALUES (1)');
      assert.notEqual(error, null);
      assert.equal(sqlstateOf({ error }), '25006');
      await run(client, 'RESET pgdog.role');
      assert.equal(await cluster.primary.value('SELECT count(*) FROM item'), '0');
    }));

  it('a start-up option makes an endpoint', async () => {
    for (const [role, wanted] of Object.entries({ primary: false, replica: true })) {
      const client = await clientOf(proxy, { parameters: { options: `-c pgdog.role=${role}` } });
      for (let round = 0; round < 4; round++) assert.equal(isStandby(await whereOf(client)), wanted, role);
      await client.end();
    }
  });

  it('what a session reports is what its route reaches', async () => {
    const plain = await clientOf(proxy);
    assert.equal(plain.parameters['in_hot_standby'], 'off');
    assert.equal(plain.parameters['default_transaction_read_only'], 'off');
    await plain.end();
    const replica = await clientOf(proxy, { parameters: { options: '-c pgdog.role=replica' } });
    assert.equal(replica.parameters['in_hot_standby'], 'on');
    assert.equal(await firstValue(replica, 'SHOW transaction_read_only'), 'on');
    await replica.end();
    const reader = await clientOf(proxy, { user: 'reader', password: 'reader' });
    assert.ok(isStandby(await whereOf(reader)));
    assert.equal(sqlstateOf(await reader.query('INSERT INTO item VALUES (1)')), '25006');
    await reader.end();
  });

  it('target_session_attrs of libpq', { skip: psql.skip }, async () => {
    const ask = async (attributes: string, options = ''): Promise<string> => {
      const conninfo = `host=127.0.0.1 port=${proxy.port} user=postgres password=postgres dbname=postgres sslmode=disable target_session_attrs=${attributes} ${options}`;
      const { stdout } = await exec(psql.path ?? '', ['-XAtc', WHERE, conninfo]);
      return stdout.trim();
    };
    const asReplica = "options='-c pgdog.role=replica'";
    const asPrimary = "options='-c pgdog.role=primary'";
    assert.equal(await ask('read-write', asPrimary), 'primary');
    assert.equal(await ask('primary', asPrimary), 'primary');
    assert.ok(isStandby(await ask('read-only', asReplica)));
    assert.ok(isStandby(await ask('standby', asReplica)));
    assert.ok(isStandby(await ask('any')));
    for (const [attributes, options] of [
      ['read-only', asPrimary],
      ['read-write', asReplica],
      ['primary', asReplica],
    ])
      await assert.rejects(ask(attributes, options), /session is|server is/, `${attributes} ${options}`);
  });
});
