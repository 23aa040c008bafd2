/** Batches whose parts are flushed and answered before the next one comes: what is for another shard than the first part is not asked there. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { ACCOUNT_TABLES, ACCOUNTS, AccountShards } from '../../support/account-shards.js';
import { forEachDriver } from '../../support/drivers.js';
import { B, D, E, errorFields, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient, RawResult } from '../../support/raw-client.js';
import { shopRawClient } from '../../support/raw-pair.js';
import { shopClient, startShardedProxy } from '../../support/shard-cluster.js';

/** What each says when it is done wherever it has to be, of one account or of all. */
const STATEMENTS = {
  read: { text: 'SELECT id FROM account WHERE id = $1', tag: 'SELECT 1' },
  write: { text: 'UPDATE account SET balance = balance + 1 WHERE id = $1', tag: 'UPDATE 1' },
  all: {
    text: 'UPDATE account SET balance = balance + 1 WHERE id <> -$1::bigint',
    tag: `UPDATE ${ACCOUNTS}`,
  },
  merged: { text: 'SELECT count(*) FROM account WHERE id <> -$1::bigint', tag: 'SELECT 1' },
  whole: { text: 'UPDATE country SET name = $1 WHERE true', tag: 'UPDATE 1' },
  ofWhole: { text: 'SELECT code FROM country WHERE name <> $1', tag: 'SELECT 1' },
  constant: { text: 'SELECT $1::bigint', tag: 'SELECT 1' },
} as const;
type Kind = keyof typeof STATEMENTS;
const KINDS = Object.keys(STATEMENTS) as Kind[];

let shards: AccountShards;
before(async () => {
  shards = await AccountShards.start();
});
after(() => shards.stop());

forEachDriver('parts of a batch', (driver) => {
  let proxy: TestProxy;
  let raw: RawClient;
  before(async () => {
    proxy = await startShardedProxy(shards.cluster, driver, { tables: ACCOUNT_TABLES });
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    const client = await shopClient(proxy);
    await shards.refill(client);
    await client.query("INSERT INTO country VALUES ('x', 'first')");
    await client.end();
    raw = await shopRawClient(proxy);
    for (const kind of KINDS) raw.send(P(kind, STATEMENTS[kind].text));
    raw.send(S());
    assert.equal((await raw.readUntilReady()).error, null);
  });
  afterEach(() => raw.destroy());

  /** Everything on every shard: what a write that was not done anywhere leaves as it is. */
  const state = async (): Promise<unknown> => [
    await shards.cluster.all('SELECT id::int, balance::int FROM account ORDER BY id'),
    await shards.cluster.all('SELECT code, name FROM country'),
  ];

  const run = (kind: Kind, id: number): Buffer =>
    Buffer.concat([B('', kind, { values: [String(id)] }), E('')]);

  /** The first part is answered before the second is sent, if it is done at all. */
  async function inParts(first: Buffer, second: Buffer): Promise<RawResult> {
    raw.send(first, H());
    for (let told = await raw.readFrame(); told.type !== 'C'; told = await raw.readFrame()) {
      if (told.type !== 'E') continue;
      raw.send(S());
      return { ...(await raw.readUntilReady()), error: errorFields(told.body) };
    }
    raw.send(second, S());
    return raw.readUntilReady();
  }

  function isWholeOrRefused(name: string, { tags, error, rows }: RawResult, kind: Kind, id: number): boolean {
    if (error !== null) {
      assert.equal(error['C'], '0A000', `${name}: ${error['M']}`);
      return false;
    }
    assert.deepEqual(tags, [STATEMENTS[kind].tag], name);
    if (kind === 'read') assert.deepEqual(rows, [[String(id)]], name);
    if (kind === 'merged') assert.deepEqual(rows, [[String(ACCOUNTS)]], name);
    return true;
  }

  for (const isInside of [false, true]) {
    it(`each kind behind each other, ${isInside ? 'in a transaction' : 'by itself'}: all of it, or refused`, async () => {
      const [one, other] = shards.ids as [number, number];
      for (const first of KINDS) {
        for (const second of KINDS) {
          if (isInside) await raw.query('BEGIN');
          const name = `${first}, then ${second}`;
          const before = await state();
          const answer = await inParts(run(first, one), run(second, other));
          const isDone = isWholeOrRefused(name, answer, second, other);
          if (isInside) await raw.query(isDone ? 'ROLLBACK' : 'COMMIT');
          if (isInside || !isDone) assert.deepEqual(await state(), before, `${name}: nothing is left of it`);
        }
      }
      const names = await shards.cluster.all('SELECT DISTINCT name FROM country');
      assert.equal(new Set(names.map(({ name }) => name)).size, 1, 'all shards have the same');
      await shards.assertNothingPrepared();
    });
  }

  it('parts that are sent without waiting for each other', async () => {
    const [one, other] = shards.ids as [number, number];
    for (const first of KINDS) {
      for (const second of KINDS) {
        const name = `${first}, then ${second}`;
        const before = await state();
        raw.send(run(first, one), H(), run(second, other), S());
        const { tags, error, rows } = await raw.readUntilReady();
        if (error === null) assert.deepEqual(tags, [STATEMENTS[first].tag, STATEMENTS[second].tag], name);
        else assert.equal(error['C'], '0A000', `${name}: ${error['M']}`);
        if (error === null && second === 'read') assert.deepEqual(rows.at(-1), [String(other)], name);
        if (error !== null) assert.deepEqual(await state(), before, `${name}: nothing is left of it`);
      }
    }
    await shards.assertNothingPrepared();
  });

  it('the same shard in every part, and one more at the end', async () => {
    const [one, other] = shards.ids as [number, number];
    raw.send(run('write', one), H());
    await raw.readUntil('C');
    raw.send(run('write', one), run('read', one), H());
    for (let count = 0; count < 2; count++) await raw.readUntil('C');
    raw.send(run('read', one), S());
    assert.deepEqual((await raw.readUntilReady()).rows, [[String(one)]]);
    assert.deepEqual((await shards.balances())[0], 102);
    const last = await inParts(run('read', one), Buffer.concat([run('read', one), run('write', other)]));
    assert.equal(last.error?.['C'], '0A000');
    assert.deepEqual(await shards.balances(), [102, 100, 100]);
  });

  it('what is parsed between two parts, and described ahead of all', async () => {
    const [one, other] = shards.ids as [number, number];
    const text = (id: number): string => `SELECT id FROM account WHERE id = ${id}`;
    raw.send(P('a', text(one)), D('S', 'a'), H());
    await raw.readUntil('T');
    raw.send(B('', 'a'), E(''), P('', text(other)), H());
    await raw.readUntil('1');
    raw.send(B('', ''), E(''), S());
    const { error, rows } = await raw.readUntilReady();
    if (error === null) assert.deepEqual(rows, [[String(other)]]);
    else assert.equal(error['C'], '0A000');
    raw.send(Q(text(other)));
    assert.deepEqual((await raw.readUntilReady()).rows, [[String(other)]]);
  });
});
