/** Writes, each under a token of its own that tells afterwards how often it was done. */
import * as frames from '../../support/frames.js';
import type { StressClient } from './stress-client.js';
import type { Entry } from './stress-ledger.js';
import { ACCOUNTS, anyKey } from './stress-reads.js';
import { SHARDS, SHOP } from './stress-settings.js';

const open = (c: StressClient, rows: number, what: string): Entry =>
  c.ledger.open(c.database, rows, `${c.name}: ${what}`);
const insert = (key: number, token: string): string =>
  `INSERT INTO ledger (id, token) VALUES (${key}, '${token}')`;

export async function insertOne(c: StressClient): Promise<void> {
  const entry = open(c, 1, 'one row');
  const key = anyKey(c);
  const answer = c.chance.is(50)
    ? await c.any('INSERT INTO ledger (id, token) VALUES ($1, $2)', [String(key), entry.token])
    : await c.any(insert(key, entry.token));
  c.ledger.settle([entry], answer);
  if (c.isDone(answer))
    c.expect(answer.tags.join() === 'INSERT 0 1' || answer.tags.join() === 'INSERT 1', `tag ${answer.tags}`);
}

export async function insertSplit(c: StressClient): Promise<void> {
  const rows = c.chance.between(2, 6);
  const entry = open(c, rows, `${rows} rows in one INSERT`);
  const values = Array.from({ length: rows }, () => `(${anyKey(c)}, '${entry.token}')`).join(', ');
  const answer = await c.any(`INSERT INTO ledger (id, token) VALUES ${values}`);
  c.ledger.settle([entry], answer);
  c.isDone(answer);
}

/** Several statements in one Query: one transaction. */
export async function insertText(c: StressClient): Promise<void> {
  const entries = Array.from({ length: c.chance.between(2, 4) }, () => open(c, 1, 'a text of several'));
  const texts = entries.map(({ token }) => insert(anyKey(c), token));
  if (c.chance.is(30))
    texts.splice(c.chance.between(0, texts.length), 0, `SELECT id FROM account WHERE id = ${anyKey(c)}`);
  const answer = await c.ask(texts.join('; '));
  c.ledger.settle(entries, answer);
  c.isDone(answer);
}

export async function insertBatch(c: StressClient): Promise<void> {
  const entries = Array.from({ length: c.chance.between(2, 4) }, () => open(c, 1, 'a batch'));
  const isOneSync = c.chance.is(50);
  const steps = entries.map(({ token }) => ({
    sql: 'INSERT INTO ledger (id, token) VALUES ($1, $2)',
    values: [String(anyKey(c)), token],
  }));
  const answers = await c.wire.batch(steps, isOneSync);
  for (const [index, answer] of answers.entries())
    c.ledger.settle(isOneSync ? entries : entries.slice(index, index + 1), answer);
  for (const answer of answers) c.isDone(answer);
}

export async function copyIn(c: StressClient): Promise<void> {
  const rows = c.chance.between(1, 12);
  const isWhole = c.chance.is(80);
  const entry = open(c, rows, `${rows} rows by COPY`);
  const lines = Array.from({ length: rows }, () => `${anyKey(c)}\t${entry.token}`);
  const answer = await c.wire.copyIn('COPY ledger (id, token) FROM STDIN', lines, isWhole);
  // CopyFail is told as a cancelled query.
  if (!isWhole && answer.code === '57014') return c.ledger.settle([entry], answer);
  c.ledger.settle([entry], answer);
  c.isDone(answer);
}

/** Every row of every shard. */
export async function updateAll(c: StressClient): Promise<void> {
  const answer = await c.any("UPDATE account SET note = md5(id::text || 'x')");
  if (c.isDone(answer) && c.isSteady)
    c.expect(answer.tags.join() === `UPDATE ${ACCOUNTS}`, `tag ${answer.tags}`);
}

/** A row of its own goes to another key, on whatever shard that is. */
export async function moveRow(c: StressClient): Promise<void> {
  const from = c.moverKey;
  if (from === null) return;
  const base = 1_000 + c.number * 100;
  const to = base + ((from - base + c.chance.between(1, 99)) % 100);
  c.moverKey = null;
  const answer = await c.any(`UPDATE mover SET id = ${to} WHERE id = ${from}`);
  if (c.isDone(answer)) {
    c.expect(answer.tags.join() === 'UPDATE 1', `tag ${answer.tags} of a move from ${from} to ${to}`);
    c.moverKey = to;
  } else if (!/^(08|57P)/.test(answer.code)) c.moverKey = from;
  if (c.moverKey === null || !c.chance.is(50)) return;
  const look = await c.any(`SELECT id FROM mover WHERE token = 'm${c.number}'`);
  // Where a server is lost behind the decision, recovery moves the other half of the row, a moment later.
  if (c.isDone(look) && c.around.excuseFor(c.talk.sinceMs) === '') c.expectRows(look, [[String(c.moverKey)]]);
}

/** A definition on all shards, of a table that others write one row at a time. */
export async function define(c: StressClient): Promise<void> {
  const { around } = c;
  if (around.isDefining) return;
  around.isDefining = true;
  try {
    const sql = c.chance.pick([
      'ALTER TABLE note ADD COLUMN IF NOT EXISTS more int',
      'ALTER TABLE note DROP COLUMN IF EXISTS more',
    ]);
    c.isDone(await c.any(sql));
  } finally {
    around.isDefining = false;
  }
}

export async function noteOne(c: StressClient): Promise<void> {
  c.isDone(await c.any('INSERT INTO note (id, a) VALUES ($1, 1)', [String(anyKey(c))]));
}

/**
 * A transaction that moves money from key to key: over shards, in their order and that of the keys, so that no two wait for
 * each other where nobody could see it.
 */
export async function transfer(c: StressClient): Promise<void> {
  const { chance } = c;
  const keys = orderedKeys(c, chance.between(1, 4));
  if (!c.isDone(await c.ask('BEGIN'))) return;
  c.isInTransaction = true;
  const entries: Entry[] = [];
  let isGood = true;
  // Ahead of all others, for it takes every shard.
  if (chance.is(20)) isGood = c.isDone(await c.any('SELECT count(*) FROM account'));
  for (const [index, key] of keys.entries()) {
    if (!isGood) break;
    // What the first gives the last gets.
    const delta = index === 0 ? 1 - keys.length : 1;
    isGood = c.isDone(
      await c.any('UPDATE account SET balance = balance + $1 WHERE id = $2', [`${delta}`, `${key}`]),
    );
    if (isGood) isGood = await insertInTransaction(c, key, entries);
    if (isGood && chance.is(25)) isGood = await savepoint(c, key, entries);
    if (chance.is(20)) await new Promise((resolve) => setTimeout(resolve, chance.between(0, 10)));
  }
  await endTransfer(c, entries, isGood);
}

function orderedKeys(c: StressClient, count: number): number[] {
  const { homes } = c.around;
  // Of a database whose shards nobody knows, and where who waits for a row may have the places that its owner waits for: one key.
  const wanted = (c.database === SHOP && !c.around.isTight) || !c.isSharded ? count : 1;
  const keys = new Set(Array.from({ length: wanted }, () => anyKey(c)));
  const rank = (key: number): number => (c.isSharded ? (homes.get(key) ?? SHARDS) : 0) * 1_000 + key;
  return [...keys].sort((a, b) => rank(a) - rank(b));
}

async function insertInTransaction(c: StressClient, key: number, entries: Entry[]): Promise<boolean> {
  const entry = open(c, 1, 'in a transaction');
  c.ledger.end([entry], 'absent', 'nothing, and no COMMIT was sent');
  entries.push(entry);
  return c.isDone(await c.any('INSERT INTO ledger (id, token) VALUES ($1, $2)', [String(key), entry.token]));
}

async function savepoint(c: StressClient, key: number, entries: Entry[]): Promise<boolean> {
  if (!c.isDone(await c.ask('SAVEPOINT s'))) return false;
  const inner: Entry[] = [];
  const isGood = await insertInTransaction(c, key, inner);
  if (isGood && c.chance.is(50)) {
    entries.push(...inner);
    return c.isDone(await c.ask('RELEASE SAVEPOINT s'));
  }
  const answer = await c.ask('ROLLBACK TO SAVEPOINT s');
  return c.isDone(answer);
}

async function endTransfer(c: StressClient, entries: Entry[], isGood: boolean): Promise<void> {
  const { chance, ledger } = c;
  if (!isGood || chance.is(15)) {
    if (chance.is(30)) {
      await c.talk.vanish(chance.pick(['reset', 'fin', 'destroy', 'terminate']));
      return;
    }
    await c.endTransaction('ROLLBACK');
  } else {
    ledger.end(entries, 'doubt', 'nothing of its COMMIT');
    const answer = await c.endTransaction('COMMIT');
    ledger.settle(entries, answer);
    // Of one that had failed.
    if (answer.code === '' && answer.tags[0] !== 'COMMIT') ledger.end(entries, 'absent', answer.tags.join());
  }
}

/** Half a request, a whole one, or a batch without its Sync, and gone. */
export async function leave(c: StressClient): Promise<void> {
  const { chance } = c;
  const how = chance.pick(['reset', 'fin', 'destroy'] as const);
  const entry = open(c, 1, 'sent by a client that vanished');
  const sql = insert(anyKey(c), entry.token);
  const query = frames.Q(sql);
  const batch = Buffer.concat([frames.P('', sql), frames.B('', ''), frames.E('')]);
  switch (chance.between(0, 2)) {
    case 0:
      return c.wire.leaveWith(query, query.length, how);
    case 1:
      c.ledger.end([entry], 'absent', 'nothing: half of its Query was sent');
      return c.wire.leaveWith(query, chance.between(1, query.length - 1), how);
    default:
      c.ledger.end([entry], 'absent', 'nothing: its Sync was not sent');
      return c.wire.leaveWith(batch, chance.between(1, batch.length), how);
  }
}
