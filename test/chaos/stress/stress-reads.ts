/** Reads of one shard and of several, and what a client finds of its own settings and statements while it reads. */
import type { StressClient } from './stress-client.js';

export const ACCOUNTS = 48;
export const BALANCE = 100;

export const anyKey = (c: StressClient): number => c.chance.between(1, ACCOUNTS);

/** One row, with a word of its own and the setting that the session has. */
export async function readOne(c: StressClient): Promise<void> {
  const [key, word] = [anyKey(c), c.word()];
  const isBound = c.chance.is(50);
  const sql = isBound
    ? "SELECT $2::text, coalesce(current_setting('app.mine', true), ''), id FROM account WHERE id = $1"
    : `SELECT '${word}', coalesce(current_setting('app.mine', true), ''), id FROM account WHERE id = ${key}`;
  const answer = await c.any(sql, isBound ? [String(key), word] : []);
  if (!c.isDone(answer)) return;
  const [row] = answer.rows;
  // Where the number of shards has changed its row is on another one.
  if (row === undefined && !c.isSteady) return;
  c.expect(row?.[0] === word, `word ${row?.[0]} instead of ${word}`);
  c.expect(c.own.mine.includes(row?.[1] ?? ''), `setting '${row?.[1]}' instead of '${c.own.mine}'`);
}

/** What can be had in portions. */
const LISTS = [
  'SELECT id FROM account ORDER BY id',
  "SELECT id, repeat('x', 20000) FROM account ORDER BY id",
  'SELECT id, balance FROM account WHERE id > 0',
];
const SORTED_BY_COLLATION = 'SELECT id FROM account ORDER BY note, id';

export async function readAll(c: StressClient): Promise<void> {
  const answer = await c.any(c.chance.pick([...LISTS, SORTED_BY_COLLATION]));
  if (!c.isDone(answer) || !c.isSteady) return;
  const keys = new Set(answer.rows.map(([id]) => id));
  c.expect(
    keys.size === ACCOUNTS && answer.rows.length === ACCOUNTS,
    `${answer.rows.length} rows with ${keys.size} keys`,
  );
}

export async function countAll(c: StressClient): Promise<void> {
  const word = String(c.chance.between(1, 1_000_000));
  const answer = await c.any(`SELECT count(*), min(${word}) FROM account`);
  if (c.isDone(answer) && c.isSteady) c.expectRows(answer, [[String(ACCOUNTS), word]]);
}

export async function readPortions(c: StressClient): Promise<void> {
  const [portion, count] = [c.chance.between(1, 9), c.chance.between(1, 4)];
  const answer = await c.wire.portions(c.chance.pick(LISTS), portion, count);
  if (c.isDone(answer) && c.isSteady)
    c.expect(answer.rows.length === Math.min(ACCOUNTS, portion * count), `${answer.rows.length} rows`);
}

/** One that takes its time: there is something to cancel. */
export async function readSlowly(c: StressClient): Promise<void> {
  const seconds = c.chance.between(1, 20) / 1000;
  const where = c.chance.is(50) ? `WHERE id = ${anyKey(c)} AND` : 'WHERE id < 4 AND';
  c.isDone(await c.any(`SELECT id FROM account ${where} pg_sleep(${seconds}) IS NOT NULL`));
}

export async function copyOut(c: StressClient): Promise<void> {
  const answer = await c.ask('COPY account (id) TO STDOUT');
  if (!c.isDone(answer) || !c.isSteady) return;
  const lines = answer.copied.trim().split('\n');
  c.expect(new Set(lines).size === ACCOUNTS && lines.length === ACCOUNTS, `${lines.length} lines`);
}

export async function setMine(c: StressClient): Promise<void> {
  const value = c.word();
  const [before] = c.own.mine;
  // In doubt until it is answered, and when that is an error: it may have been cancelled behind the deed.
  c.own.mine = [...c.own.mine, value];
  const sql = c.chance.pick([
    `SET app.mine = '${value}'`,
    `SELECT set_config('app.mine', '${value}', false)`,
  ]);
  const answer = await c.any(sql);
  if (c.isDone(answer)) c.own.mine = [value];
  else if (answer.code === '58000') c.own.mine = [before ?? ''];
}

export async function lookAtMine(c: StressClient): Promise<void> {
  const answer = await c.any("SELECT coalesce(current_setting('app.mine', true), '')");
  if (!c.isDone(answer)) return;
  const got = answer.rows[0]?.[0] ?? '';
  c.expect(c.own.mine.includes(got), `setting '${got}' instead of '${c.own.mine}'`);
  c.own.mine = [got];
}

export async function setLocally(c: StressClient): Promise<void> {
  if (!c.isDone(await c.ask('BEGIN'))) return;
  c.isInTransaction = true;
  const [key, value] = [anyKey(c), c.word()];
  // First, so that it has the server connection of this shard only: what any shard can do is done on the client's own, and who goes on
  // from there to one ahead of it goes against the order of the shards (docs/internals/limits.md).
  const isThere = c.isDone(await c.any('SELECT id FROM account WHERE id = $1', [String(key)]));
  if (isThere && c.isDone(await c.any(`SET LOCAL app.mine = '${value}'`))) {
    const answer = await c.any(
      `SELECT coalesce(current_setting('app.mine', true), '') FROM account WHERE id = ${key}`,
    );
    if (c.isDone(answer) && c.isSteady) c.expectRows(answer, [[value]]);
  }
  await c.endTransaction('ROLLBACK');
}

/** PREPARE, EXECUTE and DEALLOCATE as statements of SQL. */
export async function executePrepared(c: StressClient): Promise<void> {
  const name = c.chance.pick(['p1', 'p2', 'p3']);
  const known = c.own.prepared.get(name);
  if (known === undefined) {
    const word = c.word();
    const answer = await c.ask(`PREPARE ${name} (bigint) AS SELECT '${word}', id FROM account WHERE id = $1`);
    if (c.isDone(answer)) c.own.prepared.set(name, word);
    else await forget(c, name);
    return;
  }
  if (c.chance.is(20)) return forget(c, name);
  const key = anyKey(c);
  // Over shards by a Query alone.
  const answer = c.isSharded
    ? await c.ask(`EXECUTE ${name}(${key})`)
    : await c.any(`EXECUTE ${name}(${key})`);
  if (c.isDone(answer) && c.isSteady) c.expectRows(answer, [[known, String(key)]]);
}

/** It may be there or not; afterwards it is not, or the client ends. */
async function forget(c: StressClient, name: string): Promise<void> {
  const { code } = await c.ask(`DEALLOCATE ${name}`);
  if (code === '' || code === '26000') c.own.prepared.delete(name);
  else c.own.prepared.set(name, '?');
  if (c.own.prepared.get(name) === '?') await c.talk.vanish('destroy');
}
