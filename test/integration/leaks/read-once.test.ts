/** A prepared statement keeps the constants that it had when its client prepared it, whatever has been set since, and wherever it runs. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../../support/drivers.js';
import { startPostgres, type TestPostgres } from '../../support/embedded-postgres.js';
import { B, E, P, Q, S } from '../../support/frames.js';
import { PREPARE_WAYS } from '../../support/prepare-ways.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient } from '../../support/raw-client.js';
import { clientOf, onAnotherServer, run, startWireProxy, withClients } from '../../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** What each setting is set to before and after the statement is prepared, and a statement that tells them apart. */
const SETTINGS: Record<string, [text: string, before: string, later: string]> = {
  DateStyle: ["SELECT '03/04/2024'::date - '2024-01-01'::date", "'SQL, DMY'", "'MDY'"],
  'DateStyle of one half': ["SELECT '03/04/2024'::date - '2024-01-01'::date", 'DEFAULT', "'DMY'"],
  TimeZone: ["SELECT extract(epoch FROM '2024-01-01 00:00'::timestamptz)::int", "'Asia/Tokyo'", "'UTC'"],
  'TimeZone by an interval': [
    "SELECT extract(epoch FROM '2024-01-01 00:00'::timestamptz)::int",
    "INTERVAL '-08:30' HOUR TO MINUTE",
    "'Asia/Tokyo'",
  ],
  IntervalStyle: ["SELECT extract(epoch FROM '-1 2:00'::interval)::int", 'DEFAULT', "'sql_standard'"],
  array_nulls: ["SELECT ('{NULL}'::text[])[1] IS NULL", 'off', 'on'],
  transform_null_equals: ['SELECT (NULL = NULL) IS NULL', 'on', 'off'],
  standard_conforming_strings: ["SELECT length('a\\\\b')", 'DEFAULT', 'off'],
  'dollar quotes': ['SELECT $$03/04/2024$$::date - $x$2024-01-01$x$::date', 'DEFAULT', "'DMY'"],
};

const settingOf = (name: string): string => {
  const first = name.split(' ')[0] ?? '';
  if (name.includes('interval')) return 'TIME ZONE';
  return `${first === 'dollar' ? 'DateStyle' : first} TO`;
};

async function ask(client: RawClient, parts: Buffer[]): Promise<string> {
  client.send(...parts);
  const { error, rows } = await client.readUntilReady();
  return error === null ? String(rows[0]?.[0]) : `${error['C']} ${error['M']}`;
}

forOneDriver('statements read once', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 2 } });
  });
  after(() => proxy.stop());

  for (const [way, { prepare, run: execute }] of Object.entries(PREPARE_WAYS)) {
    for (const [name, [sql, first, later]] of Object.entries(SETTINGS)) {
      const set = settingOf(name);
      const text = `${sql} AS "${way} ${name}"`;
      const setFirst = first === 'DEFAULT' ? 'SELECT 1' : `SET ${set} ${first}`;
      const setLater = `SET ${set.replace('TIME ZONE', 'TimeZone TO')} ${later}`;

      const script = async (client: RawClient, elsewhere: (body: () => Promise<void>) => Promise<void>) => {
        const seen: string[] = [];
        await run(client, setFirst);
        await ask(client, prepare(text));
        await run(client, setLater);
        const use = async () => {
          seen.push(await ask(client, execute));
        };
        await use();
        await elsewhere(use);
        await use();
        await run(client, 'BEGIN');
        await use();
        await run(client, 'COMMIT');
        await run(client, setFirst === 'SELECT 1' ? `RESET ${set.split(' ')[0]}` : setFirst);
        await use();
        await elsewhere(use);
        return seen;
      };

      it(`${way}, ${name}`, async () => {
        const wanted = await withClients(server, 1, (direct) => script(direct, (body) => body()));
        await withClients(proxy, 3, async (client, blocker, other) => {
          const got = await script(client, (body) => onAnotherServer(client, blocker, body));
          assert.deepEqual(got, wanted);
          // Nobody else's statement is another one by that.
          await run(other, setLater);
          await ask(other, prepare(text));
          const fresh = await withClients(server, 1, async (direct) => {
            await run(direct, setLater);
            await ask(direct, prepare(text));
            return ask(direct, execute);
          });
          assert.notEqual(fresh, wanted[0]);
          for (const _ of [1, 2])
            await onAnotherServer(other, blocker, async () => assert.equal(await ask(other, execute), fresh));
        });
      });

      it(`${way}, ${name}, first met within a transaction`, async () => {
        await withClients(proxy, 2, async (client, blocker) => {
          await run(client, setFirst);
          await ask(client, prepare(`${text} /* in one */`));
          const wanted = await ask(client, execute);
          await run(client, setLater);
          await onAnotherServer(client, blocker, async () => {
            await run(client, 'BEGIN');
            if (way === 'Parse') client.send(Q('SELECT 1'), ...execute);
            else client.send(Q('SELECT 1; EXECUTE s'), Q('EXECUTE s'));
            await client.readUntilReady();
            assert.equal(String((await client.readUntilReady()).rows[0]?.[0]), wanted);
            // The settings are the client's own behind it, and stay so.
            const shown = await ask(client, [Q(`SHOW ${set.split(' ')[0]?.replace('TIME', 'TimeZone')}`)]);
            await run(client, 'COMMIT');
            assert.equal(
              await ask(client, [Q(`SHOW ${set.split(' ')[0]?.replace('TIME', 'TimeZone')}`)]),
              shown,
            );
          });
        });
      });
    }
  }

  const TEXT = "SELECT '03/04/2024'::date - '2024-01-01'::date";
  const [MDY, DMY] = ['63', '93'];

  it('a statement of before a SET in the same batch, on a server connection that lacks it', () =>
    withClients(proxy, 3, async (client, blocker, other) => {
      const text = `${TEXT} AS in_batch`;
      for (const each of [client, other]) await ask(each, [P('s', text), S()]);
      await run(client, 'SELECT 1');
      await onAnotherServer(client, blocker, async () => {
        client.send(P('', "SET DateStyle TO 'DMY'"), B('', ''), E(''), B('', 's'), E(''), S());
        assert.deepEqual((await client.readUntilReady()).rows, [[MDY]]);
        assert.equal(await ask(client, [Q('SHOW DateStyle')]), 'ISO, DMY');
        assert.equal(await ask(other, [B('', 's'), E(''), S()]), MDY, "another client's");
        assert.equal(await ask(client, [B('', 's'), E(''), S()]), MDY);
      });
    }));

  for (const way of Object.keys(PREPARE_WAYS)) {
    it(`${way} within a transaction that has settings of its own, used behind it`, () =>
      withClients(proxy, 2, async (client, blocker) => {
        const { prepare, run: execute } = PREPARE_WAYS[way]!;
        await run(client, 'BEGIN', "SET LOCAL DateStyle TO 'DMY'");
        await ask(client, prepare(`${TEXT} AS "local ${way}"`));
        assert.equal(await ask(client, execute), DMY);
        await run(client, 'COMMIT');
        assert.equal(await ask(client, execute), DMY);
        await onAnotherServer(client, blocker, async () => assert.equal(await ask(client, execute), DMY));
      }));

    it(`${way} before a transaction that has settings of its own, first met there`, () =>
      withClients(proxy, 3, async (client, blocker, other) => {
        const { prepare, run: execute } = PREPARE_WAYS[way]!;
        for (const each of [client, other]) await ask(each, prepare(`${TEXT} AS "before ${way}"`));
        await run(client, 'SELECT 1');
        await onAnotherServer(client, blocker, async () => {
          await run(client, 'BEGIN', "SET LOCAL DateStyle TO 'DMY'");
          assert.equal(await ask(client, execute), MDY);
          assert.equal(await ask(client, [Q('SHOW DateStyle')]), 'ISO, DMY');
          await run(client, 'COMMIT');
          for (const each of [client, other]) assert.equal(await ask(each, execute), MDY);
        });
      }));
  }

  it('where another search_path has been set as well Postgres reads it anew, and so does the proxy', async () => {
    const script = async (client: RawClient, elsewhere: (body: () => Promise<void>) => Promise<void>) => {
      const seen: string[] = [];
      const use = async () => {
        seen.push(await ask(client, [B('', 's'), E(''), S()]));
      };
      await run(client, 'SET search_path TO pg_catalog', "SET DateStyle TO 'MDY'");
      await ask(client, [P('s', `${TEXT} AS by_path`), S()]);
      await use();
      for (const [path, style] of [
        ['public', 'DMY'],
        ['public', 'MDY'],
        ['pg_catalog', 'MDY'],
      ]) {
        await run(client, `SET search_path TO ${path}`, `SET DateStyle TO '${style}'`);
        await elsewhere(use);
        await use();
      }
      return seen;
    };
    const wanted = await withClients(server, 1, (direct) => script(direct, (body) => body()));
    await withClients(proxy, 2, async (client, blocker) => {
      assert.deepEqual(await script(client, (body) => onAnotherServer(client, blocker, body)), wanted);
    });
  });

  it('a statement prepared behind a SET in the same batch', () =>
    withClients(proxy, 2, async (client, blocker) => {
      client.send(P('', "SET DateStyle TO 'DMY'"), B('', ''), E(''), P('s', `${TEXT} AS behind`));
      client.send(P('', "SET DateStyle TO 'MDY'"), B('', ''), E(''), S());
      assert.equal((await client.readUntilReady()).error, null);
      const use = async () => assert.equal(await ask(client, [B('', 's'), E(''), S()]), DMY);
      await use();
      await onAnotherServer(client, blocker, use);
    }));

  for (const [way, { prepare, run: execute }] of Object.entries(PREPARE_WAYS)) {
    it(`${way} reads the clock for each client`, () =>
      withClients(proxy, 2, async (first, second) => {
        const text = `SELECT (timestamptz 'now')::text AS "${way}"`;
        await ask(first, prepare(text));
        const before = await ask(first, execute);
        await run(second, 'SELECT pg_sleep(0.01)');
        await ask(second, prepare(text));
        assert.notEqual(await ask(second, execute), before);
        assert.equal(await ask(first, execute), before);
      }));
  }

  it('half a DateStyle, set behind another one of its transaction', () =>
    withClients(proxy, 2, async (client, blocker) => {
      await run(client, 'BEGIN', "SET LOCAL DateStyle TO 'SQL, MDY'", "SET DateStyle TO 'DMY'", 'COMMIT');
      const shown = async () => assert.equal(await ask(client, [Q('SHOW DateStyle')]), 'SQL, DMY');
      await shown();
      await onAnotherServer(client, blocker, shown);
    }));

  it('under a setting that only the server knows', () =>
    withClients(proxy, 1, async (client) => {
      const text = "SELECT extract(epoch FROM '2024-01-01 00:00'::timestamptz)::int AS pinned";
      await run(
        client,
        "PREPARE pin AS SELECT set_config('timezone', 'America/New_York', false)",
        'EXECUTE pin',
      );
      await run(client, "SET DateStyle TO 'DMY'");
      for (const [way, { prepare }] of Object.entries(PREPARE_WAYS)) {
        await ask(client, prepare(`${text}, '${way}'`));
        await run(client, 'RESET ALL');
        assert.equal(await ask(client, PREPARE_WAYS[way]!.run), '1704085200', way);
        await run(client, 'DEALLOCATE s', "SET DateStyle TO 'DMY'", 'EXECUTE pin');
      }
    }));

  it('prepared and run in one batch under a setting that only the server knows', () =>
    withClients(proxy, 2, async (client, other) => {
      const text = "SELECT extract(epoch FROM '2024-01-01 00:00'::timestamptz)::int AS in_one_batch";
      await ask(other, [P('s', text), S()]);
      await run(
        client,
        "PREPARE pin AS SELECT set_config('timezone', 'America/New_York', false)",
        'EXECUTE pin',
      );
      assert.equal(await ask(client, [P('s', text), B('', 's'), E(''), S()]), '1704085200');
      assert.equal(await ask(client, [B('', 's'), E(''), S()]), '1704085200');
    }));

  it('the unnamed statement', () =>
    withClients(proxy, 2, async (client, blocker) => {
      await ask(client, [P('set', "SET DateStyle TO 'DMY'"), S()]);
      await ask(client, [P('', `${TEXT} AS unnamed`), S()]);
      await ask(client, [B('', 'set'), E(''), S()]);
      assert.equal(await ask(client, [B('', ''), E(''), S()]), MDY);
      const before = await clientOf(proxy);
      await before.end();
      await run(blocker, 'BEGIN', 'SELECT 1');
      assert.equal(await ask(client, [B('', ''), E(''), S()]), MDY);
      await run(blocker, 'COMMIT');
    }));
});
