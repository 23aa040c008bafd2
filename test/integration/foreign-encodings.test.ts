/** Settings with other characters than ASCII, among clients of different client_encoding. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { frame } from '../support/frames.js';
import { bound } from '../support/leak-kind.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { clientOf, firstValue, run, sleep, startWireProxy } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ users: [{ name: 'limited' }] });
});
after(() => server.stop());

/** What the server has, whatever the client's encoding is. */
const HEX = "SELECT encode(convert_to(current_setting('app.word'), 'UTF8'), 'hex')";
const UMLAUT = 'c3a4';
const COUNT = 'SELECT octet_length(convert_to(current_setting($$app.word$$), $$UTF8$$))';

/** A Query in Latin 1. */
async function latin1(client: RawClient, sql: string): Promise<void> {
  client.send(frame('Q', Buffer.from(sql, 'latin1'), Buffer.from([0])));
  assert.equal((await client.readUntilReady()).error, null, sql);
}

const WAYS: Record<string, (client: RawClient) => Promise<unknown>> = {
  SET: (client) => run(client, "SET app.word = 'ä'"),
  'set_config()': (client) => run(client, "SELECT set_config('app.word', 'ä', false)"),
  'set_config($1, $2)': bound('SELECT set_config($1, $2, false)', ['app.word', 'ä']),
  'SET beside a role': (client) => run(client, "SET app.word = 'ä'", 'SET ROLE limited'),
};

forOneDriver('foreign encodings', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 2, max_db_connections: 1 } });
  });
  after(() => proxy.stop());

  for (const [way, set] of Object.entries(WAYS)) {
    it(`a setting of a UTF-8 client is the same behind one of Latin 1: ${way}`, async () => {
      const [client, other] = [await clientOf(proxy), await clientOf(proxy)];
      await set(client);
      for (const sql of ["SET client_encoding = 'LATIN1'", "SET client_encoding = 'SQL_ASCII'"]) {
        await run(other, sql, 'SELECT 1');
        assert.equal(await firstValue(client, HEX), UMLAUT);
        assert.equal(await firstValue(client, 'SHOW app.word'), 'ä');
        assert.equal(await firstValue(client, 'SHOW client_encoding'), 'UTF8');
        assert.equal(await firstValue(other, 'SHOW client_encoding'), sql.split("'")[1]);
      }
      // Its own encoding is another later: the setting is not.
      await run(client, "SET client_encoding = 'LATIN1'");
      await run(other, 'SELECT 1');
      assert.equal(await firstValue(client, HEX), UMLAUT);
      assert.equal(await firstValue(client, 'SHOW client_encoding'), 'LATIN1');
      await Promise.all([client.end(), other.end()]);
    });
  }

  it('what a client in another encoding sets stays what it is', async () => {
    for (const sql of ["SET app.word = 'ä'", "SELECT set_config('app.word', 'ä', false)"]) {
      const [client, other] = [await clientOf(proxy), await clientOf(proxy)];
      await run(client, "SET client_encoding = 'WIN1251'");
      await latin1(client, sql);
      const asked = other.query('SELECT 1');
      await sleep(50);
      // The byte that is an umlaut in Latin 1 is a Cyrillic letter here.
      assert.equal(await firstValue(client, HEX), 'd0b4');
      // The connection is kept for it.
      await client.end();
      assert.equal((await asked).error, null);
      await other.end();
    }
  });

  it('a start-up setting is the same whatever encoding the client asks for beside it', async () => {
    const client = await clientOf(proxy, {
      parameters: { client_encoding: 'LATIN1', options: '-c app.word=ä' },
    });
    assert.equal(await firstValue(client, COUNT), '2');
    await client.end();
  });

  it('a start-up setting that a RESET leads back to within a Query is the same, or refused', async () => {
    for (const encoding of ['LATIN1', 'WIN1251', 'SQL_ASCII', 'UTF8']) {
      const client = await clientOf(proxy, {
        parameters: { client_encoding: encoding, options: '-c app.word=ä' },
      });
      for (const sql of [`RESET app.word; ${HEX}`, `RESET app.word; SELECT '\u00e4'; ${HEX}`]) {
        await run(client, "SET app.word = 'x'");
        client.send(frame('Q', Buffer.from(sql, encoding === 'UTF8' ? 'utf8' : 'latin1'), Buffer.from([0])));
        const { error, rows } = await client.readUntilReady();
        if (error === null) assert.equal(rows.at(-1)?.[0], UMLAUT, `${encoding} ${sql}`);
        else assert.ok(['0A000', '22021'].includes(error['C'] ?? ''), JSON.stringify(error));
      }
      await client.end();
    }
  });
});
