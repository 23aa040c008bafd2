/** Logins by auth_query with a reload in their midst, and what becomes of their pools. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { AuthRequestMessage, ConfigSnapshot } from '@pgdog-cluster/core';
import { AuthRequests, buildSnapshot, Tenants } from 'pgdog-cluster';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { FakeLogger } from '../support/fake-logger.js';
import { load } from '../support/load-configuration.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { clientOf, firstValue, sleep, untilNoServers } from '../support/wire.js';

const SLOW = `
  CREATE ROLE app LOGIN PASSWORD 'app-password';
  CREATE ROLE owner LOGIN PASSWORD 'owner-password';
  CREATE FUNCTION public.slow(wanted text) RETURNS TABLE (found text, hash text)
    LANGUAGE plpgsql SECURITY DEFINER AS $body$
    BEGIN
      PERFORM pg_sleep(0.2);
      RETURN QUERY SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = $1;
    END $body$;
`;

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: SLOW });
});
after(() => server.stop());

describe('a reload in the midst of a login', () => {
  const configured = (databases: string) =>
    load({
      config: `[general]\nauth_user = "postgres"\nauth_password = "postgres"\nauth_query = "SELECT * FROM public.slow($1)"\n${databases}`,
    });
  const shop = (host: string) =>
    `[[databases]]\nname = "shop"\nhost = "${host}"\nport = ${server.port}\ndatabase_name = "postgres"\n`;
  const request: AuthRequestMessage = {
    type: 'authRequest',
    worker: 0,
    slot: 1,
    generation: 1,
    question: 'pool',
    database: 'shop',
    user: 'app',
    password: '',
    names: [],
    ageMsMax: 60_000,
  };

  /** AuthRequests beside a snapshot that `publish` replaces. */
  async function start(databases: string) {
    const loaded = configured(databases);
    const logger = new FakeLogger();
    let snapshot: ConfigSnapshot = await buildSnapshot(loaded, 1);
    const keys = new Map<string, number>();
    const obtain = (key: string) => {
      if (!keys.has(key)) keys.set(key, keys.size);
      return keys.get(key) ?? null;
    };
    const auth = new AuthRequests({
      loaded,
      logger,
      tenants: new Tenants({
        loaded,
        snapshot: () => snapshot,
        hostsMax: 64,
        onMade: () => {},
        isProven: () => true,
      }),
      numbers: { obtain },
      snapshot: () => snapshot,
      onPool: () => {},
      inOrder: (hosts) => [...hosts],
    });
    /** Two steps, as a publication has them. */
    const prepare = async (next: string) => {
      const taken = configured(next);
      const made = await buildSnapshot(taken, 2);
      const publish = () => {
        snapshot = { ...made, pools: [...made.pools, ...auth.pools] };
        auth.settled();
      };
      return { takeUp: () => auth.takeUp(taken), publish };
    };
    return { auth, logger, prepare, hosts: () => snapshot.pools.map(({ host }) => host), keys };
  }

  it('a question that it cuts off is asked once more, and nobody hears of it', async () => {
    const { auth, logger, prepare } = await start(shop('127.0.0.1'));
    const answer = auth.answer({ ...request, question: 'lookup' });
    await sleep(100);
    const next = await prepare(shop('127.0.0.1'));
    await next.takeUp();
    next.publish();
    assert.equal((await answer).user?.name, 'app');
    assert.deepEqual(logger.lines, []);
    auth.close();
  });

  it('pools are made of the entries of the snapshot that they get into', async () => {
    const { auth, prepare, hosts, keys } = await start(shop('localhost'));
    // Known from here on, so that nothing but the host's name is to be looked up.
    assert.equal((await auth.answer({ ...request, question: 'lookup' })).user?.name, 'app');
    const moved = await prepare(shop('127.0.0.1'));
    const removed = await prepare(shop('127.0.0.1').replace('shop', 'other'));
    const answer = auth.answer(request);
    // Now it asks for the addresses of the former host.
    for (let turn = 0; turn < 30; turn++) await null;
    let isAnswered = false;
    void answer.then(() => {
      isAnswered = true;
    });
    await moved.takeUp();
    await sleep(500);
    assert.equal(isAnswered, false, 'it waits for the snapshot');
    assert.deepEqual(hosts(), []);
    moved.publish();
    assert.deepEqual(
      (await answer).pools.map(({ host }) => host),
      ['127.0.0.1'],
    );
    assert.deepEqual(hosts(), ['127.0.0.1']);
    assert.equal(keys.size, 1, 'the former host gets no number');
    // Its database removed: nobody.
    const gone = auth.answer(request);
    await removed.takeUp();
    removed.publish();
    assert.deepEqual(hosts(), []);
    assert.equal((await gone).pools.length, 0);
    auth.close();
  });
});

it('a reload leaves a listed user without a password its secret, and its rights only while it is listed', async () => {
  const users = (more: string) => `[[users]]\nname = "admin"\npassword = "x"\ndatabase = "none"\n${more}`;
  const proxy = await startProxy({
    workers: 1,
    databases: [databaseOf(server)],
    users: [{ name: 'app', database: 'postgres', statement_timeout: 77_000 }],
    general: { auth_user: 'postgres', auth_password: 'postgres', min_pool_size: 0, config_watch: false },
  });
  const file = (name: string) => join(proxy.directory, name);
  const afresh = async () => {
    await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
    await untilNoServers(proxy);
  };
  try {
    const app = await clientOf(proxy, { user: 'app', database: 'postgres', password: 'app-password' });
    assert.equal(await firstValue(app, 'SHOW statement_timeout'), '77s');
    const listed = '[[users]]\nname = "app"\ndatabase = "postgres"\nstatement_timeout = 78000\n';
    writeFileSync(file('users.toml'), users(listed));
    await proxy.adminQuery('RELOAD');
    await afresh();
    assert.equal(await firstValue(app, 'SHOW statement_timeout'), '78s');
    writeFileSync(file('users.toml'), users(''));
    await proxy.adminQuery('RELOAD');
    assert.equal(await firstValue(app, 'SHOW statement_timeout'), '0', 'as anybody whom auth_query lets in');
    const config = readFileSync(file('pgdog.toml'), 'utf8');
    writeFileSync(file('pgdog.toml'), config.replace(/^auth_user.*$/m, ''));
    await proxy.adminQuery('RELOAD');
    const { error } = await app.expectClosed();
    assert.equal(error?.['C'], '57P01');
  } finally {
    await proxy.stop();
  }
});
