/** What cannot be shared: temp tables, advisory locks, LISTEN, WITH HOLD cursors; and COPY and cancel. */
import { c, d, f } from '../support/frames.js';
import { sendCancel } from './chaos-client.js';
import type { ChaosSession } from './chaos-session.js';
import { ChaosFailure, type Request } from './reply-machine.js';

/** All clients use one name: seeing another's table would show. */
export async function tempTable(s: ChaosSession): Promise<void> {
  const { model } = s;
  if (model.temp === null) {
    const token = s.token();
    const form = s.chance.between(0, 2);
    if (form === 0) await s.ok(`CREATE TEMP TABLE chaos_tmp AS SELECT '${token}'::text AS token`);
    else if (form === 1) await s.ok(`SELECT '${token}'::text AS token INTO TEMPORARY chaos_tmp`);
    else {
      // Two statements, but one outcome: a Query is one transaction.
      const request = s.q(
        `CREATE TEMPORARY TABLE chaos_tmp (token text); INSERT INTO chaos_tmp VALUES ('${token}')`,
      );
      await s.done();
      s.expectOk(request);
    }
    model.temp = token;
  } else if (s.chance.is(60)) {
    const request = await s.ok('SELECT token, pg_backend_pid() FROM pg_temp.chaos_tmp');
    s.equal(request.rows.length, 1, 'rows of the temp table');
    s.equal(request.rows[0]?.[0], model.temp, 'token in the temp table');
    s.checkBackend(request.rows[0]?.[1] ?? '');
  } else {
    await s.ok('DROP TABLE pg_temp.chaos_tmp');
    model.temp = null;
    forgetBackend(s);
  }
}

/** Created and dropped by one transaction: nothing is left to pin. */
export async function tempTableOfTransaction(s: ChaosSession): Promise<void> {
  if (s.model.status !== 'I' || s.model.temp !== null) return;
  const token = s.token();
  await s.ok('BEGIN');
  s.model.begin();
  const isDropping = s.chance.is(50);
  await s.ok(`CREATE TEMP TABLE chaos_tmp (token text) ${isDropping ? 'ON COMMIT DROP' : ''}`);
  await s.ok(`INSERT INTO chaos_tmp VALUES ('${token}')`);
  s.expectRows(await s.ok('SELECT token FROM chaos_tmp'), [[token]]);
  await s.ok(isDropping ? 'COMMIT' : 'ROLLBACK');
  s.model.end(isDropping);
}

/** No table of that name may exist for a client that made none. */
export async function noTempTable(s: ChaosSession): Promise<void> {
  if (s.model.temp !== null) return;
  s.expectRows(await s.ok("SELECT to_regclass('pg_temp.chaos_tmp') IS NULL"), [['t']]);
}

function forgetBackend(s: ChaosSession): void {
  if (s.model.status === 'I' && !s.model.isPinned) s.model.serverPid = '';
}

function heldCount(s: ChaosSession): number {
  return s.model.locks.size;
}

/** Lock keys are this client's alone: none is ever waited for. */
export async function advisoryLock(s: ChaosSession): Promise<void> {
  const { locks } = s.model;
  const [held] = locks.keys();
  if (held === undefined || s.chance.is(20)) {
    const key = held !== undefined && s.chance.is(50) ? held : lockKey(s);
    const form = s.chance.between(0, 2);
    if (form === 0) await s.ok(`SELECT pg_advisory_lock(${key})`);
    else if (form === 1) s.expectRows(await s.ok(`SELECT pg_try_advisory_lock(${key})`), [['t']]);
    else s.expectOk(await s.runExtended('SELECT pg_advisory_lock($1)', [key], [20]));
    locks.set(key, (locks.get(key) ?? 0) + 1);
  } else if (s.chance.is(15)) {
    await s.ok('SELECT pg_advisory_unlock_all()');
    locks.clear();
  } else {
    s.expectRows(await s.ok(`SELECT pg_advisory_unlock(${held})`), [['t']]);
    const left = (locks.get(held) ?? 1) - 1;
    if (left > 0) locks.set(held, left);
    else locks.delete(held);
  }
  forgetBackend(s);
}

function lockKey(s: ChaosSession): string {
  const [, run = '0', client = '0'] = s.id.split('_');
  return String((Number(run) % 1000) * 1_000_000_000 + Number(client) * 1000 + s.chance.between(1, 999));
}

/** The backend holds as many locks as this client has. */
export async function lookAtLocks(s: ChaosSession): Promise<void> {
  const request = await s.ok(
    "SELECT count(*), pg_backend_pid() FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
  );
  s.equal(request.rows[0]?.[0], String(heldCount(s)), 'advisory locks held');
  s.checkBackend(request.rows[0]?.[1] ?? '');
}

/** Ends with its statement, or with its transaction. */
export async function transactionLock(s: ChaosSession): Promise<void> {
  if (s.model.status !== 'I') return;
  const key = lockKey(s);
  const request = s.q(`SELECT pg_advisory_xact_lock(${key})`);
  await s.done();
  s.expectOk(request);
  // Not ours any more: a false answer, with a warning.
  if (!s.model.locks.has(key)) s.expectRows(await s.ok(`SELECT pg_advisory_unlock(${key})`), [['f']]);
}

export async function listen(s: ChaosSession): Promise<void> {
  const { model, client } = s;
  if (model.status !== 'I') return;
  if (model.channel === null) {
    const channel = `chaos_${s.id.toLowerCase()}`;
    model.channel = channel;
    await s.ok(`LISTEN ${channel}`);
  } else if (s.chance.is(60)) {
    const payload = s.token();
    const count = client.machine.notifications.length;
    await s.ok(`NOTIFY ${model.channel}, '${payload}'`);
    await client.until(() => client.machine.notifications.length > count);
    s.equal(client.machine.notifications.at(-1)?.payload, payload, 'payload of the notification');
  } else {
    await s.ok(s.chance.is(50) ? 'UNLISTEN *' : `UNLISTEN ${model.channel}`);
    model.channel = null;
    client.machine.notifications.length = 0;
    forgetBackend(s);
  }
}

export async function holdCursor(s: ChaosSession): Promise<void> {
  const { model } = s;
  if (model.status !== 'I') return;
  if (model.cursor === null) {
    const token = s.token();
    await s.ok(
      `DECLARE chaos_cursor SCROLL CURSOR WITH HOLD FOR SELECT '${token}' FROM generate_series(1, 5)`,
    );
    model.cursor = token;
  } else if (s.chance.is(60)) {
    s.expectRows(await s.ok('FETCH FIRST FROM chaos_cursor'), [[model.cursor]]);
  } else {
    await s.ok(s.chance.is(50) ? 'CLOSE chaos_cursor' : 'CLOSE ALL');
    model.cursor = null;
    model.portals.clear();
    forgetBackend(s);
  }
}

function copyLines(s: ChaosSession, token: string, count: number): Buffer[] {
  const text = Buffer.from(Array.from({ length: count }, (_, index) => `${token}\t${index}\n`).join(''));
  const parts: Buffer[] = [];
  // CopyData need not end with a line.
  for (let at = 0; at < text.length; ) {
    const bytes = s.chance.between(1, 4000);
    parts.push(text.subarray(at, at + bytes));
    at += bytes;
  }
  return parts;
}

/** COPY in by either protocol, waiting for CopyInResponse or not, then completed, refused or broken. */
export async function copyIn(s: ChaosSession): Promise<void> {
  const token = s.token();
  const count = s.chance.between(0, 400);
  const how = s.chance.pick(['done', 'done', 'done', 'fail', 'broken'] as const);
  const isExtended = s.chance.is(50);
  const sql = 'COPY public.chaos_copy FROM STDIN';
  let request: Request;
  if (isExtended) {
    s.parse('', sql);
    s.bind('', '');
    request = s.execute('');
  } else request = s.q(sql);
  if (s.chance.is(60)) {
    s.client.flush();
    await s.client.until(() => request.phase === 'copyIn' || request.error !== null);
  }
  s.note(`copy ${count} ${how}`);
  if (how !== 'done') s.ledger.absent.add(token);
  for (const part of copyLines(s, token, count)) {
    s.client.raw(d(part));
    if (s.chance.is(10)) s.client.flush();
  }
  if (how === 'broken') s.client.raw(d(`${token}\tnot a number\n`));
  request.isCopyEnded = true;
  s.client.raw(how === 'fail' ? f('no more') : c());
  if (isExtended) s.sync();
  await s.done();
  if (how === 'done') {
    s.expectTags(s.expectOk(request), [`COPY ${count}`]);
    await checkCopied(s, token, count);
    return;
  }
  s.expectError(request, how === 'fail' ? '57014' : '22P02');
  s.model.fail();
}

async function checkCopied(s: ChaosSession, token: string, count: number): Promise<void> {
  const request = s.expectOk(
    await s.run(
      `COPY (SELECT token, n FROM public.chaos_copy WHERE token = '${token}' ORDER BY n) TO STDOUT`,
    ),
  );
  const lines = Buffer.concat(request.copied).toString().split('\n');
  s.equal(lines.length - 1, count, 'lines copied out');
  for (let index = 0; index < count; index++) s.equal(lines[index], `${token}\t${index}`, 'line copied out');
  s.expectTags(request, [`COPY ${count}`]);
  await s.ok(`DELETE FROM public.chaos_copy WHERE token = '${token}'`);
}

/** COPY out without a table. */
export async function copyOut(s: ChaosSession): Promise<void> {
  const token = s.token();
  const count = s.chance.between(0, 2000);
  const request = s.expectOk(
    await s.run(`COPY (SELECT '${token}', g FROM generate_series(1, ${count}) g) TO STDOUT`),
  );
  const lines = Buffer.concat(request.copied).toString().split('\n');
  s.equal(lines.length - 1, count, 'lines copied out');
  if (count > 0) s.equal(lines[count - 1], `${token}\t${count}`, 'last line copied out');
}

/** Cancels its own pg_sleep, which may be waiting for a server still. */
export async function cancelOwn(s: ChaosSession): Promise<void> {
  const { client, target } = s;
  s.note('pg_sleep and cancel');
  const request = s.chance.is(50) ? s.q('SELECT pg_sleep(20)') : null;
  let execute: Request | null = null;
  if (request === null) {
    s.parse('', 'SELECT pg_sleep(20)');
    s.bind('', '');
    execute = s.execute('');
    s.sync();
  }
  client.flush();
  await new Promise((resolve) => setTimeout(resolve, s.chance.between(0, 60)));
  const startMs = performance.now();
  // One that comes before the statement does hits nothing, as on Postgres: it is sent again.
  do await sendCancel(target, client.pid, client.secret);
  while (!(await client.settledWithin(300)) && performance.now() - startMs < 15_000);
  if (!client.machine.isSettled) throw new ChaosFailure('a cancelled statement went on for 15 s');
  const answered = request ?? execute;
  if (answered !== null && !answered.isSkipped) s.expectError(answered, '57014');
  s.model.fail();
}

/** Cancels that must hit nothing: wrong secret, a key nobody has, and one's own while idle. */
export async function cancelNothing(s: ChaosSession): Promise<void> {
  const { client, chance, target, ledger } = s;
  const form = chance.between(0, 3);
  const other = ledger.otherKeys.length > 0 ? chance.pick(ledger.otherKeys) : null;
  s.note(`cancel of nothing, form ${form}`);
  if (form === 0) await sendCancel(target, client.pid, client.secret);
  else if (form === 1) await sendCancel(target, client.pid, chance.bytes(client.secret.length));
  else if (form === 2 && other !== null) await sendCancel(target, other.pid, chance.bytes(other.secretBytes));
  else await sendCancel(target, chance.between(0, 0x7fffffff), chance.bytes(4));
}
