/** Prepared statements with other characters than ASCII, among clients and moments of different client_encoding. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, frame, int16, int32, P, S, text } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient, RawResult } from '../support/raw-client.js';
import { clientOf, firstValue, run, sqlstateOf, startWireProxy } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** The bytes of a text in an encoding, and the same in UTF-8 as the server has it. */
const TEXTS: { encoding: string; bytes: string; hex: string }[] = [
  { encoding: 'UTF8', bytes: 'c3b6', hex: 'c3b6' },
  { encoding: 'LATIN1', bytes: 'f6', hex: 'c3b6' },
  // Valid UTF-8, and something else.
  { encoding: 'LATIN1', bytes: 'c3b6', hex: 'c383c2b6' },
  { encoding: 'WIN1251', bytes: 'c3b6', hex: 'd093c2b6' },
  { encoding: 'EUC_JP', bytes: 'a4a2', hex: 'e38182' },
  { encoding: 'SJIS', bytes: '82a0', hex: 'e38182' },
  // Ends in a backslash.
  { encoding: 'SJIS', bytes: '835c', hex: 'e382bd' },
  // Ends in a letter.
  { encoding: 'SJIS', bytes: '8341', hex: 'e382a2' },
  // In digits.
  { encoding: 'GB18030', bytes: '81308437', hex: 'c2a6' },
  { encoding: 'JOHAB', bytes: 'd9b1', hex: '' },
];

function sqlOf(head: string, bytes: string): Buffer {
  return Buffer.concat([
    Buffer.from(`${head}SELECT encode(convert_to('`),
    Buffer.from(bytes, 'hex'),
    Buffer.from("', 'UTF8'), 'hex')"),
  ]);
}

const END = Buffer.from([0]);
const query = (sql: Buffer): Buffer => frame('Q', sql, END);
const parse = (name: string, sql: Buffer): Buffer => frame('P', text(name), sql, END, int16(0));

async function ask(client: RawClient, ...parts: Buffer[]): Promise<RawResult> {
  client.send(...parts);
  return client.readUntilReady();
}

async function value(client: RawClient, ...parts: Buffer[]): Promise<string | null> {
  const { error, rows } = await ask(client, ...parts);
  assert.equal(error, null);
  return rows[0]?.[0] ?? null;
}

interface Way {
  prepare(client: RawClient, bytes: string): Promise<unknown>;
  run(client: RawClient): Promise<RawResult>;
}

const WAYS: Record<string, Way> = {
  'PREPARE and EXECUTE': {
    prepare: (client, bytes) => ask(client, query(sqlOf('PREPARE s AS ', bytes))),
    run: (client) => client.query('EXECUTE s'),
  },
  'Parse and Bind': {
    prepare: (client, bytes) => ask(client, parse('s', sqlOf('', bytes)), S()),
    run: (client) => ask(client, B('', 's'), E(''), S()),
  },
  'an unnamed Parse and a later Bind': {
    prepare: (client, bytes) => ask(client, parse('', sqlOf('', bytes)), S()),
    run: (client) => ask(client, B('', ''), E(''), S()),
  },
};

forOneDriver('statements in foreign encodings', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver);
  });
  after(() => proxy.stop());

  /** What the direct connection gives, twice: now, and through the proxy on another server connection. */
  async function directly(encoding: string, bytes: string): Promise<string | null> {
    const direct = await clientOf(server);
    await run(direct, `SET client_encoding = '${encoding}'`);
    const hex = await value(direct, query(sqlOf('', bytes)));
    await direct.end();
    return hex;
  }

  /** Another client holds the server connection that was used last. */
  async function elsewhere<T>(body: () => Promise<T>): Promise<T> {
    const blocker = await clientOf(proxy);
    await run(blocker, 'BEGIN', 'SELECT 1');
    try {
      return await body();
    } finally {
      await blocker.end();
    }
  }

  for (const [way, { prepare, run: execute }] of Object.entries(WAYS)) {
    for (const { encoding, bytes, hex } of TEXTS) {
      it(`${way}: ${bytes} in ${encoding} is the same on each server connection`, async () => {
        const wanted = await directly(encoding, bytes);
        if (hex !== '') assert.equal(wanted, hex);
        const client = await clientOf(proxy, { parameters: { client_encoding: encoding } });
        await prepare(client, bytes);
        for (let i = 0; i < 3; i++) {
          const { error, rows } = await elsewhere(() => execute(client));
          assert.equal(error, null);
          assert.equal(rows[0]?.[0], wanted);
        }
        await client.end();
      });
    }

    it(`${way}: the same bytes of clients of two encodings are two statements`, async () => {
      const clients = await Promise.all(
        ['UTF8', 'LATIN1', 'WIN1251'].map((client_encoding) =>
          clientOf(proxy, { parameters: { client_encoding } }),
        ),
      );
      for (const client of clients) await prepare(client, 'c3b6');
      for (let round = 0; round < 2; round++) {
        const hexes: unknown[] = [];
        for (const client of clients) hexes.push((await execute(client)).rows[0]?.[0]);
        assert.deepEqual(hexes, ['c3b6', 'c383c2b6', 'd093c2b6']);
      }
      await Promise.all(clients.map((client) => client.end()));
    });
  }

  for (const way of ['PREPARE and EXECUTE', 'Parse and Bind']) {
    const { prepare, run: execute } = WAYS[way]!;
    it(`${way}: what was prepared stays what it was when client_encoding changes`, async () => {
      for (const [encoding, bytes, hex] of [
        ['LATIN1', 'c3b6', 'c383c2b6'],
        ['LATIN1', 'f6', 'c3b6'],
        ['UTF8', 'c3b6', 'c3b6'],
        ['EUC_JP', 'a4a2', 'e38182'],
        ['SJIS', '82a0', 'e38182'],
      ] as const) {
        const client = await clientOf(proxy, { parameters: { client_encoding: encoding } });
        await prepare(client, bytes);
        for (const next of ['UTF8', 'LATIN1', 'SJIS']) {
          await run(client, `SET client_encoding = '${next}'`);
          for (let i = 0; i < 2; i++) {
            const { error, rows, frames } = await elsewhere(() => execute(client));
            assert.equal(error, null);
            assert.equal(rows[0]?.[0], hex, `${encoding} ${bytes} under ${next}`);
            // The moment of the other encoding is not told.
            assert.deepEqual(
              frames.filter(({ type }) => type === 'S').map(({ body }) => body.toString()),
              [],
            );
            assert.equal(await firstValue(client, 'SHOW client_encoding'), next);
          }
        }
        await client.end();
      }
    });

    it(`${way}: what was prepared under SET LOCAL client_encoding stays what it was`, async () => {
      const client = await clientOf(proxy);
      await run(client, 'BEGIN', "SET LOCAL client_encoding = 'LATIN1'");
      await prepare(client, 'c3b6');
      await run(client, 'COMMIT');
      for (let i = 0; i < 2; i++) {
        const { error, rows } = await elsewhere(() => execute(client));
        assert.equal(error, null);
        assert.equal(rows[0]?.[0], 'c383c2b6');
      }
      await client.end();
    });

    it(`${way}: within a transaction it is not taken for another, whatever the encoding`, async () => {
      const client = await clientOf(proxy, { parameters: { client_encoding: 'LATIN1' } });
      await prepare(client, 'c3b6');
      await run(client, "SET client_encoding = 'UTF8'");
      await elsewhere(async () => {
        await run(client, 'BEGIN', 'SELECT 1');
        assert.equal((await execute(client)).rows[0]?.[0], 'c383c2b6');
        await run(client, 'ROLLBACK');
      });
      assert.equal(await firstValue(client, 'SHOW client_encoding'), 'UTF8');
      await client.end();
    });
  }

  it('an unnamed statement of another encoding is not taken for another on another server connection', async () => {
    const client = await clientOf(proxy, { parameters: { client_encoding: 'LATIN1' } });
    await ask(client, P('set', "SET client_encoding = 'UTF8'"), P('pid', 'SELECT 1'), S());
    await ask(client, parse('', sqlOf('', 'c3b6')), S());
    await ask(client, B('', 'set'), E(''), S());
    const { error, rows } = await elsewhere(() => ask(client, B('', ''), E(''), S()));
    if (error === null) assert.equal(rows[0]?.[0], 'c383c2b6');
    else assert.equal(error['C'], '0A000');
    await client.end();
  });

  it('what is prepared behind a change of client_encoding in the same batch is never another', async () => {
    const client = await clientOf(proxy);
    await ask(client, P('set', "SET client_encoding = 'LATIN1'"), P('pid', 'SELECT 1'), S());
    client.send(B('', 'set'), E(''), parse('s', sqlOf('', 'c3b6')), S());
    assert.equal((await client.readUntilReady()).error, null);
    for (const next of ['LATIN1', 'UTF8']) {
      await run(client, `SET client_encoding = '${next}'`);
      const { error, rows } = await elsewhere(() => ask(client, B('', 's'), E(''), S()));
      if (error === null) assert.equal(rows[0]?.[0], 'c383c2b6', next);
      else assert.equal(error['C'], '0A000');
    }
    await client.end();
  });

  it('PREPARE behind SET client_encoding in one Query is read as the Query came', async () => {
    const client = await clientOf(proxy);
    await ask(client, query(sqlOf("SET client_encoding = 'LATIN1'; PREPARE s AS ", 'c3b6')));
    for (let i = 0; i < 2; i++) {
      assert.equal(await elsewhere(() => firstValue(client, 'EXECUTE s')), 'c3b6');
    }
    await client.end();
  });

  it('names of statements in other encodings are told apart', async () => {
    const client = await clientOf(proxy, { parameters: { client_encoding: 'LATIN1' } });
    const [a, o] = [Buffer.from('e4', 'hex'), Buffer.from('f6', 'hex')];
    const named = (name: Buffer, sql: string): Buffer =>
      frame('P', name, END, Buffer.from(sql), END, int16(0));
    const bound = (name: Buffer): Buffer => frame('B', END, name, END, int16(0), int16(0), int16(0));
    assert.equal(sqlstateOf(await ask(client, named(a, 'SELECT 1'), named(o, 'SELECT 2'), S())), '');
    assert.equal(await value(client, bound(a), E(''), S()), '1');
    assert.equal(await value(client, bound(o), E(''), S()), '2');
    await ask(client, query(Buffer.concat([Buffer.from('DEALLOCATE "'), a, Buffer.from('"')])));
    assert.equal(sqlstateOf(await ask(client, bound(a), E(''), S())), '26000');
    await client.end();
  });

  for (const [encoding, code, utf8] of [
    ['LATIN1', 228, 'c3a4'],
    ['SJIS', 165, 'c2a5'],
    ['EUC_JP', 8254, 'e280be'],
  ] as const) {
    it(`what a function set is the same behind another client, in a client of ${encoding}`, async () => {
      const client = await clientOf(proxy, { parameters: { client_encoding: encoding } });
      await run(client, `DO $$ BEGIN PERFORM set_config('app.word', chr(${code}), false); END $$`);
      const blocker = await clientOf(proxy);
      await run(blocker, 'SELECT 1');
      const hex = "SELECT encode(convert_to(current_setting('app.word'), 'UTF8'), 'hex')";
      assert.equal(await firstValue(client, hex), utf8);
      await run(blocker, 'SELECT 1');
      assert.equal(await firstValue(client, hex), utf8);
      await Promise.all([client.end(), blocker.end()]);
    });
  }

  for (const { encoding, bytes, hex } of TEXTS.filter(({ hex }) => hex !== '')) {
    it(`EXECUTE with an argument in ${encoding} finds the statement, however it was prepared: ${bytes}`, async () => {
      const client = await clientOf(proxy, { parameters: { client_encoding: encoding } });
      const select = "SELECT encode(convert_to($1, 'UTF8'), 'hex')";
      await run(client, `PREPARE "by ""SQL" (text) AS ${select}`);
      await ask(client, frame('P', text('by_parse'), Buffer.from(select), END, int16(1), int32(25)), S());
      for (const name of ['"by ""SQL"', 'By_Parse']) {
        const sql = Buffer.concat([
          Buffer.from(`/* */ EXECUTE ${name}('`),
          Buffer.from(bytes, 'hex'),
          Buffer.from("')"),
        ]);
        assert.equal(await value(client, query(sql)), hex);
        assert.equal(await value(client, parse('', sql), B('', ''), E(''), S()), hex);
        await run(client, 'BEGIN');
        assert.equal(await value(client, query(sql)), hex);
        await run(client, 'COMMIT');
      }
      await client.end();
    });
  }
});
