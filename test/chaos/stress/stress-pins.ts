/** What keeps a server connection: temporary tables, advisory locks, LISTEN. Of one server, so of the plain database. */

import type { StressClient } from './stress-client.js';
import { anyKey } from './stress-reads.js';

const NO_TABLE = '42P01';

export async function tempTable(c: StressClient): Promise<void> {
  const { own } = c;
  if (own.tempToken === null) {
    const word = c.word();
    const answer = await c.any(`CREATE TEMP TABLE scratch AS SELECT '${word}'::text AS word`);
    if (c.isDone(answer)) own.tempToken = word;
    // It may be there.
    else await c.talk.vanish('reset');
    return;
  }
  const answer = await c.any('SELECT word FROM scratch');
  if (!c.isDone(answer)) return;
  c.expectRows(answer, [[own.tempToken]]);
  if (c.chance.is(50) && c.isDone(await c.any('DROP TABLE scratch'))) own.tempToken = null;
  else if (own.tempToken !== null && c.chance.is(30)) await c.talk.vanish('destroy');
}

/** Nobody sees another's. */
export async function noTempTable(c: StressClient): Promise<void> {
  if (c.own.tempToken !== null) return;
  const answer = await c.any("SELECT to_regclass('pg_temp.scratch')");
  if (c.isDone(answer)) c.expectRows(answer, [[null]]);
  const read = await c.any('SELECT word FROM scratch');
  if (read.code !== NO_TABLE) c.expect(!c.isDone(read), `another client's table: ${read.rows}`);
}

export async function advisoryLock(c: StressClient): Promise<void> {
  const key = `${c.number}`;
  if (c.own.locks.has(key)) {
    const answer = await c.any(`SELECT pg_advisory_unlock(${key})`);
    if (!c.isDone(answer)) return c.talk.vanish('destroy');
    c.expectRows(answer, [['t']]);
    c.own.locks.delete(key);
    return;
  }
  const answer = await c.any(`SELECT pg_try_advisory_lock(${key})`);
  if (!c.isDone(answer)) return c.talk.vanish('destroy');
  // One that vanished a moment ago may have it still.
  if (answer.rows[0]?.[0] === 't') c.own.locks.add(key);
}

export async function lookAtLocks(c: StressClient): Promise<void> {
  const answer = await c.any(
    "SELECT objid::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted",
  );
  if (c.isDone(answer))
    c.expectRows(
      answer,
      [...c.own.locks].map((key) => [key]),
    );
}

export async function listen(c: StressClient): Promise<void> {
  const { own } = c;
  if (own.channel === null) {
    // Before the answer: what is notified may come ahead of it.
    own.channel = `channel_${c.number}`;
    c.isDone(await c.ask(`LISTEN ${own.channel}`));
  } else c.isDone(await c.ask(`NOTIFY ${own.channel}, '${c.word()}'`));
}

/** One server's rows in one transaction, through a cursor that outlives it or not. */
export async function cursor(c: StressClient): Promise<void> {
  const isHeld = c.chance.is(30);
  if (!c.isDone(await c.ask('BEGIN'))) return;
  c.isInTransaction = true;
  const made = await c.any(
    `DECLARE reader CURSOR ${isHeld ? 'WITH HOLD' : ''} FOR SELECT id FROM account ORDER BY id`,
  );
  const isMade = c.isDone(made);
  if (isMade) {
    const answer = await c.any('FETCH 2 FROM reader');
    if (c.isDone(answer)) c.expectRows(answer, [['1'], ['2']]);
    await c.any(`SELECT balance FROM account WHERE id = ${anyKey(c)}`);
  }
  const ended = await c.endTransaction('COMMIT');
  if (ended.code !== '' || !isMade || !isHeld || ended.tags[0] !== 'COMMIT') return;
  const more = await c.any('FETCH 1 FROM reader');
  if (c.isDone(more)) c.expectRows(more, [['3']]);
  if (!c.isDone(await c.any('CLOSE reader'))) await c.talk.vanish('destroy');
}
