/**
 * Batches by chance (prepared and not, portals, portions, Close, parts behind a Flush) over shards, beside one server: the same frames, or a
 * refusal of ours. BATCH_SEED and BATCH_ROUNDS repeat and lengthen it.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { Chance } from '../../chaos/chance.js';
import { ACCOUNT_TABLES, ACCOUNTS, AccountShards } from '../../support/account-shards.js';
import { forOneDriver } from '../../support/drivers.js';
import { B, C, D, E, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient, RawResult } from '../../support/raw-client.js';
import { RawPair } from '../../support/raw-pair.js';
import { shopClient, startShardedProxy } from '../../support/shard-cluster.js';

const SEED = Number(process.env['BATCH_SEED'] ?? 20_261_201);
const ROUNDS = Number(process.env['BATCH_ROUNDS'] ?? 250);

/** With one parameter of bigint each. Sorted, since shards say their rows in an order of their own. */
const TEXTS = [
  'SELECT id, balance FROM account WHERE id = $1',
  'SELECT id FROM account WHERE id > $1 ORDER BY id',
  'SELECT DISTINCT id % 3 FROM account WHERE id > $1 ORDER BY 1 LIMIT 2',
  'SELECT count(*), max(id) FROM account WHERE id > $1',
  'SELECT id % 2, count(*) FROM account WHERE id > $1 GROUP BY 1 ORDER BY 1',
  'SELECT id, now() IS NOT NULL FROM account WHERE id > $1 ORDER BY id LIMIT 3',
  'SELECT count(*) FROM (SELECT DISTINCT id % 5 FROM account WHERE id > $1) x',
  'SELECT code FROM country WHERE length(name) > $1 ORDER BY code',
  'SELECT $1::bigint + 1',
  'UPDATE account SET balance = balance + 1 WHERE id = $1',
  'UPDATE account SET balance = balance + 1 WHERE id > $1',
  'UPDATE account SET balance = balance + 1 WHERE id = $1 RETURNING id, balance',
  'INSERT INTO account VALUES ($1 + 1000, 5)',
  'INSERT INTO account VALUES ($1::bigint + 2000, 1), ($1::bigint + 2001, 2)',
  'DELETE FROM account WHERE id = $1',
  'UPDATE country SET name = name || $1',
  'SELECT 1 / ($1 - $1)',
  'SAVEPOINT s',
  'UPDATE account SET balance = balance + 2 WHERE id > $1 RETURNING 1',
] as const;

/** All rows, anew. */
const FILL = [
  'DELETE FROM account',
  'DELETE FROM country',
  `INSERT INTO account VALUES ${Array.from({ length: ACCOUNTS }, (_, i) => `(${i + 1}, 100)`).join(', ')}`,
  "INSERT INTO country VALUES ('x', 'first'), ('y', 'second, and longer than any number')",
];

class Batches {
  readonly #chance: Chance;
  /** Names that have been prepared, as the client believes. */
  #names = new Map<string, number>();
  #isPrepared = false;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** Everything that was prepared is forgotten. */
  begin(): void {
    this.#names = new Map();
    this.#isPrepared = false;
  }

  #values(text: number): string[] {
    return TEXTS[text]?.includes('$1') === true ? [String(this.#chance.between(1, ACCOUNTS))] : [];
  }

  #prepare(): Buffer[] {
    const name = this.#chance.pick(['', '', 'a', 'b']);
    const frames: Buffer[] = [];
    // One that there may be already is closed first.
    if (name !== '' && (this.#names.has(name) || this.#isPrepared)) frames.push(C('S', name));
    const text = this.#chance.between(0, TEXTS.length - 1);
    this.#names.set(name, text);
    frames.push(P(name, TEXTS[text] as string));
    if (this.#chance.is(30)) frames.push(D('S', name));
    return frames;
  }

  #run(): Buffer[] {
    const chance = this.#chance;
    const frames = this.#names.size === 0 || chance.is(50) ? this.#prepare() : [];
    const [name, text] = chance.pick([...this.#names]);
    const portal = chance.pick(['', '', 'p']);
    frames.push(B(portal, name, { values: this.#values(text), resultFormats: [chance.between(0, 1)] }));
    if (chance.is(40)) frames.push(D('P', portal));
    // What a suspended portal has written Postgres does not show to the statements behind it, before its Sync.
    const isRead = TEXTS[text]?.startsWith('SELECT') === true;
    frames.push(E(portal, isRead && chance.is(30) ? chance.between(1, 4) : 0));
    // One that has returned nothing cannot be executed again.
    if ((isRead || TEXTS[text]?.includes('RETURNING') === true) && chance.is(15))
      frames.push(E(portal, isRead && chance.is(50) ? 2 : 0));
    // A name of a portal stands for one only.
    if (portal !== '' || chance.is(10)) frames.push(C('P', portal));
    return frames;
  }

  /** Up to its Sync. */
  next(): Buffer[] {
    const frames: Buffer[] = [];
    const count = this.#chance.between(1, 4);
    for (let index = 0; index < count; index++) {
      frames.push(...(this.#chance.is(12) ? this.#prepare() : this.#run()));
      if (this.#chance.is(12)) frames.push(H());
    }
    frames.push(S());
    this.#isPrepared = true;
    return frames;
  }
}

/** For the message: type, and what can be read of the rest. */
const written = (frames: Buffer[]): string =>
  frames
    .map((frame) => {
      const type = String.fromCharCode(frame[0] as number);
      const words = frame
        .toString('latin1', 5)
        .split('\0')
        .filter((word) => /^[ -~]+$/.test(word));
      return `${type}(${words.join('|')})`;
    })
    .join(' ');

const said = ({ frames, rows, tags, status }: RawResult): unknown => ({
  types: frames.map(({ type }) => type).join(''),
  rows,
  tags,
  status,
});

/** @returns 'ours': we have refused it; 'failed': by both */
async function compare(
  name: string,
  { ours, theirs }: RawPair,
  frames: Buffer[],
): Promise<'same' | 'ours' | 'failed'> {
  const answers = await Promise.all(
    [ours, theirs].map((client) => {
      client.send(...frames);
      return client.readUntilReady();
    }),
  );
  const [mine, other] = answers as [RawResult, RawResult];
  if (mine.error?.['C'] === '0A000') return 'ours';
  // Of a piece that fails what came before its error is not told, and which of several reasons comes first may differ.
  if (mine.error !== null && other.error !== null)
    return mine.status === other.status ? 'failed' : assert.fail(name);
  assert.deepEqual(said(mine), said(other), `${name} ${mine.error?.['M'] ?? ''}`);
  return 'same';
}

forOneDriver(
  'batches by chance',
  (driver) => {
    let shards: AccountShards;
    let proxy: TestProxy;
    before(async () => {
      shards = await AccountShards.start();
      proxy = await startShardedProxy(shards.cluster, driver, { tables: ACCOUNT_TABLES });
      const client = await shopClient(proxy);
      await shards.refill(client);
      for (const sql of FILL) {
        await client.query(sql);
        await shards.cluster.reference(sql);
      }
      await client.end();
    });
    after(async () => {
      await proxy.stop();
      await shards.stop();
    });

    it('what chance has found is answered as by one server', async () => {
      const bind = (portal: string, name: string, value: number): Buffer =>
        B(portal, name, { values: [String(value)] });
      const [sorted, counted, one, all] = [TEXTS[1], TEXTS[3], TEXTS[9], TEXTS[10]];
      const found: Record<string, Buffer[][]> = {
        'what has been executed is executed again': [sorted, TEXTS[2], counted, TEXTS[4]].map((text) => [
          ...[P('', text), bind('', '', 3), E(''), E(''), S()],
        ]),
        'an error of what was flushed has the rest dropped': [
          [P('', TEXTS[16]), D('S', ''), H(), P('', all), bind('', '', 3), E(''), S()],
          [P('', TEXTS[16]), H(), S()],
        ],
        'a piece that ends with a Flush': [
          [
            P('', sorted),
            bind('p', '', 9),
            D('P', 'p'),
            E('p'),
            C('P', 'p'),
            bind('p', '', 9),
            E('p'),
            C('P', 'p'),
            H(),
          ].concat([
            P('', one),
            D('S', ''),
            P('a', TEXTS[14]),
            bind('', 'a', 3),
            D('P', ''),
            E(''),
            H(),
            S(),
          ]),
          [P('b', counted), bind('', 'b', 3), E(''), bind('p', 'b', 3), E('p'), C('P', 'p'), H()].concat([
            bind('p', 'b', 3),
            D('P', 'p'),
            E('p'),
            C('P', 'p'),
            S(),
          ]),
        ],
        'a portal of a write is closed on all of its shards': [
          [P('c', all), P('d', one), bind('p', 'c', 3), E('p'), S()],
          ...shards.ids.map((id) => [C('P', 'p'), bind('p', 'd', id), E('p'), S()]),
        ],
      };
      const pair = await RawPair.open(proxy, shards.cluster);
      for (const [name, steps] of Object.entries(found)) {
        for (const isInside of [false, true]) {
          if (!isInside && name.includes('portal')) continue;
          for (const client of [pair.ours, pair.theirs]) await client.query(isInside ? 'BEGIN' : 'SELECT 1');
          for (const step of steps) {
            const outcome = await compare(`${name} ${isInside}`, pair, step);
            // A text that shards are asked otherwise is not read in portions.
            if (!name.includes('again')) assert.notEqual(outcome, 'ours', name);
            else if (isInside)
              for (const client of [pair.ours, pair.theirs]) await client.query('ROLLBACK; BEGIN');
            if (isInside && name.includes('error'))
              for (const client of [pair.ours, pair.theirs]) await client.query('ROLLBACK; BEGIN');
          }
          if (isInside) for (const client of [pair.ours, pair.theirs]) await client.query('ROLLBACK');
          for (const client of [pair.ours, pair.theirs]) await client.query('DEALLOCATE ALL');
        }
      }
      pair.close();
    });

    it(`${ROUNDS} rounds are answered as by one server, or refused (BATCH_SEED=${SEED})`, async () => {
      const chance = new Chance(SEED);
      const batches = new Batches(chance);
      const pair = await RawPair.open(proxy, shards.cluster);
      const both = async (sql: string): Promise<void> => {
        const told = await Promise.all(
          [pair.ours, pair.theirs].map((client: RawClient) => client.query(sql)),
        );
        for (const { error } of told) assert.equal(error, null, sql);
      };
      const same = (sql: string): Promise<unknown> => pair.same(sql, Q(sql));
      const counts = { same: 0, ours: 0, failed: 0 };
      try {
        for (let round = 0; round < ROUNDS; round++) {
          const isInside = chance.is(60);
          await both('DEALLOCATE ALL');
          batches.begin();
          if (isInside) await both('BEGIN');
          const count = chance.between(1, 4);
          let sent = `round ${round}${isInside ? ' in a transaction' : ''}:`;
          let outcome: Awaited<ReturnType<typeof compare>> | '' = '';
          for (let index = 0; index < count && outcome !== 'ours' && outcome !== 'failed'; index++) {
            const frames = batches.next();
            sent += `\n${written(frames)}`;
            outcome = await compare(sent, pair, frames);
            counts[outcome]++;
          }
          if (isInside) {
            await both('ROLLBACK');
            continue;
          }
          // What we have refused the other has done.
          if (outcome === 'ours') for (const sql of FILL) await both(sql);
          await same('SELECT id, balance FROM account ORDER BY id');
          await same('SELECT code, name FROM country ORDER BY code');
        }
      } finally {
        pair.close();
      }
      assert.ok(counts.same > counts.ours, `mostly answered: ${JSON.stringify(counts)}`);
      await shards.assertNothingPrepared();
    });
  },
  SEED,
);
