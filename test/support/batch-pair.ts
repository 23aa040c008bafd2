/** The same frames for the proxy over three shards and for one plain Postgres, and comparisons of what came of them. */
import assert from 'node:assert/strict';
import { errorFields, type Frame } from './frames.js';
import { RawClient } from './raw-client.js';
import { PGDOG_SCHEMA, SHOP, ShardCluster } from './shard-cluster.js';
import type { TomlTable } from './toml-text.js';
import { eventually } from './wire.js';

const SCHEMA = `
  CREATE TABLE thing (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0 CHECK (n >= 0), name text, at timestamptz);
  CREATE TABLE part (thing_id bigint, no int, note text, PRIMARY KEY (thing_id, no));
  CREATE TABLE whole (id bigint PRIMARY KEY, name text);
  CREATE TABLE late (id bigint, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
  ${PGDOG_SCHEMA}
  CREATE TABLE by_hash (k bigint) PARTITION BY HASH (k);`;
export const BATCH_TABLES: TomlTable[] = [
  { name: 'thing', column: 'id', data_type: 'bigint' },
  { name: 'part', column: 'thing_id', data_type: 'bigint' },
  { name: 'late', column: 'id', data_type: 'bigint' },
];
const KEPT = {
  thing: 'SELECT id, n, name, at FROM thing ORDER BY id',
  part: 'SELECT thing_id AS id, no, note FROM part ORDER BY thing_id, no',
  late: 'SELECT id FROM late ORDER BY id',
};
const WHOLE = 'SELECT * FROM whole ORDER BY id';
/** Hundreds of log-ins: their cost is other tests' affair. */
export const BATCH_GENERAL: TomlTable = { auth_type: 'trust' };
export const ROWS = 30;
const KEYS_MAX = 4000;
export const TIMEOUT_MS = 60_000;

/** What was asked at once; without `until` as many ReadyForQuery are awaited as there are Sync and Query. */
export interface Step {
  frames: Buffer[];
  /** Wait for so many frames of one type, or an error, instead. */
  until?: [type: string, count: number];
}
/** How the bytes of a step are sent. */
export type Sending = (client: RawClient, bytes: Buffer) => Promise<void>;
export const inOneWrite: Sending = async (client, bytes) => client.send(bytes);

/** The reason of a refusal; '' where both had the same. */
export type Refusal = string;

/**
 * What a client can rely on. OIDs of tables are nobody's promise, nor is how much of the answer of a statement that
 * fails comes ahead of its error: rows, what it is about, CloseComplete of what was closed in front of it.
 */
export function told(frames: Frame[]): string[] {
  const list: string[] = [];
  for (const frame of frames) {
    const { type, body } = frame;
    if (type === 'N' || type === 'S') continue;
    if (type === 'E') {
      while (/^[123DTtn] /.test(list.at(-1) ?? '')) list.pop();
      list.push(`E ${errorFields(body).C}`);
    } else if (type === 'T') list.push(`T ${columns(body).join(', ')}`);
    else list.push(`${type} ${body.length > 400 ? body.length : body.toString('latin1')}`);
  }
  return list;
}

/** Name, type, modifier, format. */
function columns(body: Buffer): string[] {
  const all: string[] = [];
  for (let at = 2; at < body.length; ) {
    const end = body.indexOf(0, at);
    const [type, modifier, format] = [
      body.readUInt32BE(end + 7),
      body.readInt32BE(end + 13),
      body.readInt16BE(end + 17),
    ];
    all.push(`${body.toString('utf8', at, end)}:${type}:${modifier}:${format}`);
    at = end + 19;
  }
  return all;
}

const readyCount = (frames: Buffer[]): number =>
  frames.filter(({ 0: type }) => type === 'S'.charCodeAt(0) || type === 'Q'.charCodeAt(0)).length;

async function answer(client: RawClient, { frames, until }: Step, send: Sending): Promise<Frame[]> {
  await send(client, Buffer.concat(frames));
  const [type, count] = until ?? ['Z', readyCount(frames)];
  const list: Frame[] = [];
  for (let seen = 0; seen < count; ) {
    const next = await client.readFrame(TIMEOUT_MS).catch((error: Error) => error);
    if (next instanceof Error) {
      const got = told(list).slice(-5).join(' | ');
      throw new Error(`${next.message}, after ${list.length} frames: ${got}`);
    }
    list.push(next);
    if (next.type === type) seen++;
    else if (next.type === 'E' && type !== 'Z') break;
  }
  return list;
}

export class BatchPair {
  readonly cluster: ShardCluster;
  /** Keys of each shard, ascending; the first ten or so have rows. */
  readonly #keys: number[][] = [];
  #ours: RawClient | undefined;
  #theirs: RawClient | undefined;
  /** Ready status of the one Postgres. */
  status = 'I';

  private constructor(cluster: ShardCluster) {
    this.cluster = cluster;
  }

  static async start(): Promise<BatchPair> {
    const pair = new BatchPair(await ShardCluster.start({ schema: SCHEMA }));
    const { cluster } = pair;
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      const sql = `SELECT id::int FROM generate_series(1::bigint, ${KEYS_MAX}) id WHERE ${pair.isOn(shard)}`;
      pair.#keys.push((await cluster.shard(shard, sql)).map(({ id }) => Number(id)));
    }
    return pair;
  }

  async stop(): Promise<void> {
    this.#ours?.destroy();
    this.#theirs?.destroy();
    await this.cluster.stop();
  }

  private isOn(shard: number, id = 'id'): string {
    return `satisfies_hash_partition('by_hash'::regclass, ${this.cluster.shardCount}, ${shard}, ${id})`;
  }

  /** A key of that shard that has a row. */
  old(shard: number, index = 0): number {
    return this.#of(shard, (id) => id <= ROWS, index);
  }

  /** A key of that shard that has none. */
  fresh(shard: number, index = 0): number {
    return this.#of(shard, (id) => id > ROWS, index);
  }

  #of(shard: number, isWanted: (id: number) => boolean, index: number): number {
    const id = this.#keys[shard]?.filter(isWanted)[index];
    assert.ok(id !== undefined, `shard ${shard} has no key ${index}`);
    return id;
  }

  /** The rows of the beginning, and new clients. */
  async refill(proxy: { port: number }): Promise<void> {
    this.status = 'I';
    this.#ours?.destroy();
    this.#theirs?.destroy();
    await this.settled();
    // Of so few rows, hundreds of times, DELETE is the quicker one.
    const empty = ['thing', 'part', 'whole', 'late', 'pgdog.transactions'].map(
      (name) => `DELETE FROM ${name}`,
    );
    const insert = (table: string, what: string, where: string): string =>
      `INSERT INTO ${table} SELECT ${what} FROM generate_series(1::bigint, ${ROWS}) id WHERE ${where}`;
    const fill = (where: string): string =>
      [
        ...empty,
        insert('whole', "id, 'whole'", 'id <= 3'),
        insert('thing', "id, 10, 'thing ' || id", where),
        insert('part', "id, 1, 'part'", where),
      ].join('; ');
    await Promise.all([
      this.cluster.reference(fill('true')),
      ...this.cluster.shards.map((_, shard) => this.cluster.shard(shard, fill(this.isOn(shard)))),
    ]);
    const login = { user: 'postgres', password: 'postgres', timeoutMs: TIMEOUT_MS };
    [this.#ours, this.#theirs] = await Promise.all([
      RawClient.connect({ ...login, port: proxy.port, database: SHOP }),
      RawClient.connect({ ...login, port: this.cluster.server.port, database: 'reference' }),
    ]);
  }

  /** The client of the proxy. */
  get ours(): RawClient {
    assert.ok(this.#ours !== undefined, 'refill comes first');
    return this.#ours;
  }

  /** The client of the one Postgres. */
  get theirs(): RawClient {
    assert.ok(this.#theirs !== undefined, 'refill comes first');
    return this.#theirs;
  }

  /** Rows of all tables; a row that is on a shard where it does not belong is a fault by itself. */
  async kept(): Promise<unknown> {
    const { cluster } = this;
    const all: Record<string, unknown[]> = {};
    for (const [table, sql] of Object.entries(KEPT)) {
      const key = table === 'part' ? 'thing_id' : 'id';
      const parts = await Promise.all(
        cluster.shards.map(async (_, shard) => {
          const isOurs = `${this.isOn(shard, key)} AS is_ours`;
          const rows = await cluster.shard(shard, sql.replace(' FROM ', `, ${isOurs} FROM `));
          return rows.map(({ is_ours, ...row }) => {
            assert.equal(
              is_ours,
              true,
              `${JSON.stringify(row)} of ${table} does not belong on shard ${shard}`,
            );
            return row;
          });
        }),
      );
      all[table] = parts.flat().sort((a, b) => Number(a.id) - Number(b.id) || Number(a.no) - Number(b.no));
    }
    const wholes = await Promise.all(cluster.shards.map((_, shard) => cluster.shard(shard, WHOLE)));
    for (const whole of wholes) assert.deepEqual(whole, wholes[0], 'copies of a whole table differ');
    return { ...all, whole: wholes[0] };
  }

  async assertSameRows(): Promise<void> {
    const reference: Record<string, unknown> = {};
    for (const [table, sql] of Object.entries({ ...KEPT, whole: WHOLE }))
      reference[table] = await this.cluster.reference(sql);
    assert.deepEqual(await this.kept(), reference);
  }

  /** No transaction is open on any shard, and none is prepared. */
  async settled(): Promise<void> {
    const open =
      "SELECT 1 FROM pg_stat_activity WHERE datname LIKE 'shard_%' AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle' UNION ALL SELECT 1 FROM pg_prepared_xacts";
    await eventually(
      'no transaction is left on the shards',
      async () => (await this.cluster.reference(open)).length === 0,
      TIMEOUT_MS,
    );
  }

  /**
   * Asks both, one step after the other.
   * @returns what the proxy refused; only where `mayRefuse`, and then the script ends with it, rolled back
   */
  async same(steps: readonly Step[], send: Sending = inOneWrite, mayRefuse?: RegExp): Promise<Refusal> {
    const before = mayRefuse === undefined ? undefined : await this.kept();
    for (const [index, step] of steps.entries()) {
      const [ours, theirs] = await Promise.all([
        answer(this.ours, step, send),
        answer(this.theirs, step, inOneWrite),
      ]);
      const last = theirs.at(-1);
      if (last?.type === 'Z') this.status = last.body.toString('latin1');
      const refusal = refusalIn(ours, theirs);
      if (refusal === '' || mayRefuse === undefined) {
        const why = refusal === '' ? '' : `, refused: ${refusal}`;
        assert.deepEqual(told(ours), told(theirs), `step ${index}${why}`);
        continue;
      }
      assert.match(refusal, mayRefuse);
      for (const client of [this.ours, this.theirs])
        if (step.until === undefined) await client.query('ROLLBACK');
        else client.send(Buffer.from([0x53, 0, 0, 0, 4]));
      await this.settled();
      // Of several batches that were sent at once, others may have been done.
      if (readyCount(step.frames) < 2)
        assert.deepEqual(await this.kept(), before, `kept of what was refused: ${refusal}`);
      return refusal;
    }
    return '';
  }
}

/** The first error that one Postgres has not, if it is a refusal. */
function refusalIn(ours: Frame[], theirs: Frame[]): Refusal {
  const errors = (frames: Frame[]): Record<string, string>[] =>
    frames.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body));
  const expected = errors(theirs);
  const odd = errors(ours).find(({ C }, index) => C !== expected[index]?.C);
  return odd?.C === '0A000' ? (odd.M ?? '') : '';
}
