/** Logging in, on both sides: who gets in, what the others read, and where passwords never appear. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { decisionsOn, forEachDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { startFakePostgres } from '../support/fake-postgres.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient, type RawResult } from '../support/raw-client.js';
import { eventually, firstValue } from '../support/wire.js';

const SECRET = 'correct horse battery staple';
const USERS = [
  { name: 'postgres', password: 'postgres', database: 'postgres' },
  { name: 'alice', password: SECRET, database: 'postgres' },
  { name: 'élise', password: 'pässwörd ✓', database: 'postgres' },
];

async function login(proxy: TestProxy, user: string, password: string, database = 'postgres') {
  const client = await RawClient.open({ port: proxy.port, user, password, database });
  const result: RawResult = await client.login();
  return { client, result, error: result.error };
}

/** Kind codes of the authentication requests, in order. */
const demands = (result: RawResult): number[] =>
  result.frames.filter(({ type }) => type === 'R').map(({ body }) => body.readUInt32BE(0));

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    users: [
      { name: 'alice', password: SECRET },
      { name: 'élise', password: 'pässwörd ✓' },
    ],
  });
});
after(() => server.stop());

const start = (driver: TestDriver, authType: string): Promise<TestProxy> =>
  startProxy({
    workers: 1,
    ioDriver: driver,
    databases: [databaseOf(server)],
    users: USERS,
    general: { auth_type: authType, min_pool_size: 0, log_level: 'trace' },
  });

forEachDriver('authentication of clients', (driver) => {
  const decides = decisionsOn(driver);
  const kinds: [authType: string, asked: number[]][] = [
    ['scram', [10, 11, 12, 0]],
    ['md5', [5, 0]],
    ['trust', [0]],
  ];
  for (const [authType, asked] of kinds) {
    const test = authType === 'scram' ? it : decides;
    test(`${authType}: the right password enters, as the right user`, async () => {
      const proxy = await start(driver, authType);
      try {
        for (const { name, password } of USERS) {
          const { client, result, error } = await login(proxy, name, password);
          assert.equal(error, null, `${name}: ${JSON.stringify(error)}`);
          assert.deepEqual(demands(result), asked);
          assert.equal(await firstValue(client, 'SELECT current_user'), name);
          await client.end();
        }
        for (const { password } of USERS.slice(1)) assert.equal(proxy.output.includes(password), false);
      } finally {
        await proxy.stop();
      }
    });
  }

  for (const authType of ['scram', 'md5']) {
    decides(`${authType}: a wrong password and an unknown user read the same`, async () => {
      const proxy = await start(driver, authType);
      try {
        const told: unknown[] = [];
        const attempts: [user: string, password: string][] = [
          ['alice', 'wrong guess'],
          ['nobody', SECRET],
          ['alice', ''],
        ];
        for (const [user, password] of attempts) {
          const { client, result, error } = await login(proxy, user, password);
          assert.equal(error?.['C'], '28P01');
          assert.equal(error?.['S'], 'FATAL');
          assert.equal(error?.['M'], `password authentication failed for user "${user}"`);
          told.push([demands(result), Object.keys(error ?? {})]);
          await client.expectClosed();
          client.destroy();
        }
        assert.deepEqual(told[1], told[0]);
        assert.equal(proxy.output.includes('wrong guess'), false);
        assert.equal(proxy.output.includes(SECRET), false);
        // An unknown database is no news to who has not logged in.
        const early = await login(proxy, 'alice', 'wrong guess', 'no_such_database');
        assert.equal(early.error?.['C'], '28P01');
        early.client.destroy();
        const operator = await login(proxy, 'alice', SECRET, 'admin');
        assert.equal(operator.error?.['C'], '28P01');
        operator.client.destroy();
        // The log tells the operator what the client is not told.
        const reasons = () =>
          [...proxy.output.matchAll(/ wrong_password .* reason="([^"]*)"/g)].map(([, reason]) => reason);
        await eventually('five refusals in the log', async () => reasons().length === 5);
        assert.deepEqual(reasons(), [
          'another password',
          'no such user',
          'another password',
          'no such database',
          'may not enter the admin database',
        ]);
        const { client, error } = await login(proxy, 'alice', SECRET);
        assert.equal(error, null);
        await client.end();
      } finally {
        await proxy.stop();
      }
    });
  }

  decides('scram: the server is not asked about a client it does not let in', async () => {
    const proxy = await start(driver, 'scram');
    try {
      for (let round = 0; round < 20; round++)
        (await login(proxy, 'alice', `guess ${round}`)).client.destroy();
      const [row] = await server.query<{ count: string }>(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice'",
      );
      assert.equal(row?.count, '0');
    } finally {
      await proxy.stop();
    }
  });

  decides('the admin database wants its own user and password, even with trust', async () => {
    const proxy = await start(driver, 'trust');
    try {
      for (const [user, password, sqlstate] of [
        ['postgres', 'postgres', '28P01'],
        ['admin', 'wrong', '28P01'],
        ['admin', 'admin', undefined],
      ] as const) {
        const { client, error } = await login(proxy, user, password, 'admin');
        assert.equal(error?.['C'], sqlstate, user);
        client.destroy();
      }
    } finally {
      await proxy.stop();
    }
  });
});

forEachDriver('authentication towards servers', (driver) => {
  const decides = decisionsOn(driver);
  const check = async (to: { host: string; port: number }, authType: string): Promise<void> => {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [databaseOf(to, { user: 'alice', password: SECRET })],
      users: [{ name: 'postgres', password: 'postgres', database: 'postgres' }],
      general: { min_pool_size: 0, auth_type: authType, log_level: 'trace' },
    });
    try {
      const { client, error } = await login(proxy, 'postgres', 'postgres');
      assert.equal(error, null, JSON.stringify(error));
      assert.equal((await client.query('SELECT 1')).error, null);
      await client.end();
      assert.equal(proxy.output.includes(SECRET), false);
    } finally {
      await proxy.stop();
    }
  };

  for (const auth of ['trust', 'password', 'md5', 'scram-sha-256'] as const) {
    const test = auth === 'scram-sha-256' ? it : decides;
    test(`a server that asks for ${auth}`, async () => {
      const own = await startPostgres({ auth, users: [{ name: 'alice', password: SECRET }] });
      try {
        await check(own, 'scram');
      } finally {
        await own.stop();
      }
    });
  }

  for (const auth of ['password', 'md5'] as const) {
    decides(`a scripted server that asks for ${auth} gets exactly the right answer`, async () => {
      const fake = await startFakePostgres({ auth, password: SECRET });
      try {
        await check(fake, 'trust');
        assert.equal(fake.connections[0]?.startup['user'], 'alice');
      } finally {
        await fake.stop();
      }
    });
  }
});
