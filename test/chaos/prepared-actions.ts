/**
 * Prepared statements by both protocols under names all clients share, with texts they do not share (and some
 * they do), and portals with row limits.
 */
import { H } from '../support/frames.js';
import type { ChaosSession } from './chaos-session.js';
import type { Request } from './reply-machine.js';
import type { Statement } from './session-model.js';
import { whoami } from './setting-actions.js';

const NAMES = ['s1', 's2', 's3', 'p_1', ''] as const;
const INT4_OID = 23;
const TEXT_OID = 25;

/** A text and what it answers; two of three kinds are the same text for every client. */
function makeStatement(s: ChaosSession): { sql: string; statement: Statement; oids: number[] } {
  const kind = s.chance.pick(['token', 'token', 'whoami', 'setting'] as const);
  if (kind === 'whoami')
    return {
      sql: 'SELECT name, $1::int4 AS n FROM whoami',
      statement: { kind, token: '', column: 'name' },
      oids: [],
    };
  if (kind === 'setting')
    return {
      sql: "SELECT coalesce(current_setting('app.token', true), '') AS token, $1::int4 AS n",
      statement: { kind, token: '', column: 'token' },
      oids: [],
    };
  const token = s.token();
  const column = `c_${token}`;
  return {
    sql: `SELECT '${token}'::text AS "${column}", $1 AS n`,
    statement: { kind, token, column },
    oids: [INT4_OID],
  };
}

function expectedText(s: ChaosSession, { kind, token }: Statement): string {
  if (kind === 'whoami') return whoami(s);
  if (kind === 'setting') return s.model.current('app.token');
  return token;
}

/** Parse under a shared name: 42P05 when this client has it already, whoever else has it. */
export async function prepare(s: ChaosSession): Promise<void> {
  const name = s.chance.pick(NAMES);
  const { sql, statement, oids } = makeStatement(s);
  const parse = s.parse(name, sql, oids);
  const describe = s.chance.is(30) ? s.describe('S', name) : null;
  s.sync();
  await s.done();
  if (name !== '' && s.model.statements.has(name)) {
    s.expectError(parse, '42P05');
    s.model.fail();
    return;
  }
  s.expectOk(parse);
  s.model.statements.set(name, statement);
  if (describe !== null) checkDescription(s, describe, statement);
}

function checkDescription(s: ChaosSession, describe: Request, statement: Statement): void {
  s.expectOk(describe);
  s.equal(describe.parameterOids.join(), statement.kind === 'sql' ? '' : String(INT4_OID), 'parameter types');
  s.equal(describe.columns.join(), `${statement.column},n`, 'columns described');
}

export async function describePrepared(s: ChaosSession): Promise<void> {
  const name = s.chance.pick(NAMES);
  const statement = s.model.statements.get(name);
  if (statement?.kind === 'sql') return;
  const describe = s.describe('S', name);
  s.sync();
  await s.done();
  if (statement === undefined) {
    s.expectError(describe, '26000');
    s.model.fail();
  } else checkDescription(s, describe, statement);
}

/** Bind and Execute one or several times in one batch. */
export async function executePrepared(s: ChaosSession): Promise<void> {
  const name = s.chance.pick(NAMES);
  const statement = s.model.statements.get(name);
  if (statement?.kind === 'sql') return;
  const rounds = Array.from({ length: s.chance.between(1, 3) }, () => {
    const n = s.chance.between(1, 99999);
    const bind = s.bind('', name, [String(n)]);
    const describe = s.chance.is(40) ? s.describe('P', '') : null;
    return { n, bind, describe, execute: s.execute('') };
  });
  s.sync();
  await s.done();
  if (statement === undefined) {
    if (rounds[0] !== undefined) s.expectError(rounds[0].bind, '26000');
    s.model.fail();
    return;
  }
  for (const { n, bind, describe, execute } of rounds) {
    s.expectOk(bind);
    if (describe !== null) s.equal(s.expectOk(describe).columns.join(), `${statement.column},n`, 'columns');
    s.expectRows(s.expectOk(execute), [[expectedText(s, statement), String(n)]]);
  }
}

export async function closePrepared(s: ChaosSession): Promise<void> {
  const name = s.chance.pick(NAMES);
  const close = s.close('S', name);
  s.sync();
  await s.done();
  s.expectOk(close);
  s.model.statements.delete(name);
}

/** PREPARE, EXECUTE and DEALLOCATE as SQL; the names are those of the protocol's statements. */
export async function sqlPrepare(s: ChaosSession): Promise<void> {
  const name = s.chance.pick(['s1', 's2', 'p_1', 'p_2']);
  const token = s.token();
  const known = s.model.statements.get(name);
  const request = await s.run(`PREPARE ${name} (int) AS SELECT '${token}'::text AS t, $1 AS n`);
  if (known !== undefined) {
    s.expectError(request, '42P05');
    s.model.fail();
    return;
  }
  s.expectOk(request);
  s.model.statements.set(name, { kind: 'sql', token, column: 't' });
}

export async function sqlExecute(s: ChaosSession): Promise<void> {
  const name = s.chance.pick(['s1', 's2', 'p_1', 'p_2']);
  const statement = s.model.statements.get(name);
  const n = s.chance.between(1, 999);
  const request = await s.run(`EXECUTE ${name} (${n})`);
  if (statement === undefined) {
    s.expectError(request, '26000');
    s.model.fail();
  } else s.expectRows(s.expectOk(request), [[expectedText(s, statement), String(n)]]);
}

export async function sqlDeallocate(s: ChaosSession): Promise<void> {
  if (s.chance.is(15)) {
    await s.ok('DEALLOCATE ALL');
    s.model.deallocateAll();
    return;
  }
  const name = s.chance.pick(['s1', 's2', 'p_1', 'p_2']);
  const isKnown = s.model.statements.has(name);
  const request = await s.run(`DEALLOCATE ${s.chance.is(30) ? 'PREPARE ' : ''}${name}`);
  if (isKnown) {
    s.expectOk(request);
    s.model.statements.delete(name);
  } else {
    s.expectError(request, '26000');
    s.model.fail();
  }
}

export async function discardAll(s: ChaosSession): Promise<void> {
  if (s.model.status !== 'I') return;
  s.expectOk(await s.runExtended('DISCARD ALL'));
  s.model.discardAll();
  s.client.machine.notifications.length = 0;
}

/** One segment of a pipeline up to its Sync. */
interface Segment {
  token: string;
  bad: '' | 'parse' | 'bind' | 'execute';
  failing: Request | null;
  before: Request[];
  after: Request[];
  sync: Request;
}

function addSegment(s: ChaosSession, bad: Segment['bad']): Segment {
  const token = s.token();
  const query = (sql: string): Request[] => [s.parse('', sql), s.bind('', ''), s.execute('')];
  const before = query(`SELECT '${token}'`);
  let failing: Request | null = null;
  if (bad === 'parse') failing = s.parse('', 'SELEKT');
  if (bad === 'bind') failing = s.bind('', 'chaos_unknown');
  if (bad === 'execute') {
    s.parse('', 'SELECT 1/(random()*0)::int');
    s.bind('', '');
    failing = s.execute('');
  }
  const after = bad === '' && s.chance.is(50) ? [] : query(`SELECT '${token}' || 'b'`);
  return { token, bad, failing, before, after, sync: s.sync() };
}

/** Several Syncs in one write, some with an error in the middle: the rest up to Sync is skipped. */
export async function pipelinedBatches(s: ChaosSession): Promise<void> {
  const isTransaction = s.model.status === 'T';
  const segments = Array.from({ length: s.chance.between(1, 6) }, () => {
    const isBad = !isTransaction && s.chance.is(30);
    return addSegment(s, isBad ? s.chance.pick(['parse', 'bind', 'execute'] as const) : '');
  });
  await s.done();
  for (const { token, bad, failing, before, after, sync } of segments) {
    for (const request of before) s.expectOk(request);
    s.expectRows(before[2] as Request, [[token]]);
    if (failing !== null)
      s.expectError(failing, bad === 'parse' ? '42601' : bad === 'bind' ? '26000' : '22012');
    if (bad !== '') for (const request of after) s.equal(request.isSkipped, true, 'skipped after an error');
    else if (after.length > 0) s.expectRows(s.expectOk(after[2] as Request), [[`${token}b`]]);
    s.equal(sync.status, s.model.status, 'status at Sync');
  }
}

/** A named Parse before an error of its batch stays, one after it does not. */
export async function parseAroundError(s: ChaosSession): Promise<void> {
  if (s.model.status !== 'I' || s.model.statements.has('s1') || s.model.statements.has('s2')) return;
  const token = s.token();
  const statement: Statement = { kind: 'token', token, column: `c_${token}` };
  s.parse('s1', `SELECT '${token}'::text AS "c_${token}", $1 AS n`, [INT4_OID]);
  const failing = s.bind('', 'chaos_unknown');
  const skipped = s.parse('s2', `SELECT 'never'::text, $1 AS n`, [INT4_OID]);
  s.sync();
  await s.done();
  s.expectError(failing, '26000');
  s.equal(skipped.isSkipped, true, 'Parse after an error');
  s.model.statements.set('s1', statement);
}

/** Flush instead of Sync: the answers come all the same. */
export async function flushed(s: ChaosSession): Promise<void> {
  const token = s.token();
  s.parse('', 'SELECT $1 AS t', [TEXT_OID]);
  const describe = s.describe('S', '');
  s.client.raw(H());
  await s.done();
  s.equal(s.expectOk(describe).columns.join(), 't', 'columns after Flush');
  s.bind('', '', [token]);
  const execute = s.execute('');
  s.client.raw(H());
  await s.done();
  s.expectRows(s.expectOk(execute), [[token]]);
  s.sync();
  await s.done();
}

/** Execute with a limit again and again within one batch. */
export async function limitedPortal(s: ChaosSession): Promise<void> {
  const token = s.token();
  const count = s.chance.between(1, 12);
  const limit = s.chance.between(1, 5);
  s.parse('', `SELECT '${token}', g FROM generate_series(1, ${count}) g`);
  s.bind('', '');
  const parts = Array.from({ length: Math.floor(count / limit) + 1 }, () => s.execute('', limit));
  s.sync();
  await s.done();
  const rows = parts.flatMap((part) => s.expectOk(part).rows);
  s.equal(rows.length, count, 'rows of a limited portal');
  for (const [index, row] of rows.entries()) s.equal(row.join(), `${token},${index + 1}`, 'row of a portal');
  for (const [index, part] of parts.entries())
    s.equal(part.isSuspended, index < parts.length - 1, 'PortalSuspended');
}

/** A named portal that lives over several batches of one transaction. */
export async function openPortal(s: ChaosSession): Promise<void> {
  if (s.model.status !== 'T') return;
  const token = s.token();
  const name = `portal_${token}`;
  const last = s.chance.between(3, 30);
  s.parse('', `SELECT '${token}', g FROM generate_series(1, ${last}) g`);
  const bind = s.bind(name, '');
  s.sync();
  await s.done();
  s.expectOk(bind);
  s.model.portals.set(name, { next: 1, last, token });
}

export async function fetchPortal(s: ChaosSession): Promise<void> {
  const [entry] = s.model.portals;
  if (s.model.status !== 'T' || entry === undefined) return;
  const [name, portal] = entry;
  const limit = s.chance.between(1, 10);
  const execute = s.execute(name, limit);
  s.sync();
  await s.done();
  s.expectOk(execute);
  const count = Math.min(limit, portal.last - portal.next + 1);
  const rows = Array.from({ length: count }, (_, index) => [portal.token, String(portal.next + index)]);
  s.expectRows(execute, rows);
  s.equal(execute.isSuspended, count === limit, 'PortalSuspended of a named portal');
  portal.next += count;
  if (!execute.isSuspended || s.chance.is(30)) {
    s.expectOk(s.close('P', name));
    s.sync();
    await s.done();
    s.model.portals.delete(name);
  }
}
