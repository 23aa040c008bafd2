/** Settings in every form, transactions and savepoints, and looking at one's own view. */
import type { ChaosSession } from './chaos-session.js';
import { ChaosFailure } from './reply-machine.js';
import { SETTINGS, type SettingName } from './session-model.js';

const VALUES: Record<SettingName, readonly string[]> = {
  application_name: [],
  work_mem: ['5MB', '6MB', '7MB', '11MB', '13MB', '17MB'],
  search_path: ['public', 'chaos_1, public', 'chaos_2, public', 'chaos_1', 'chaos_2, chaos_1'],
  TimeZone: ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Tokyo'],
  'app.token': [],
  'app.extra': [],
  role: ['chaos_role', 'none'],
};

export function chooseValue(s: ChaosSession, name: SettingName): string {
  const values = VALUES[name];
  return values.length === 0 ? s.token() : s.chance.pick(values);
}

function setText(name: SettingName, value: string, isLocal: boolean, isTo: boolean): string {
  const how = isLocal ? 'SET LOCAL' : 'SET';
  if (name === 'role') return `${how} ROLE ${value === 'none' ? 'NONE' : value}`;
  if (name === 'search_path') return `${how} search_path = ${value}`;
  if (name === 'TimeZone' && isTo) return `${how} TIME ZONE '${value}'`;
  return `${how} ${name} ${isTo ? 'TO' : '='} '${value}'`;
}

export async function setSetting(s: ChaosSession): Promise<void> {
  const name = s.chance.pick(SETTINGS);
  const value = chooseValue(s, name);
  const isLocal = s.chance.is(s.model.status === 'T' ? 40 : 5);
  const request = await s.ok(setText(name, value, isLocal, s.chance.is(50)));
  s.expectTags(request, ['SET']);
  s.model.set(name, value, isLocal);
}

/** set_config with constants, with bound values, and several in one statement. */
export async function setConfig(s: ChaosSession): Promise<void> {
  const name = s.chance.pick(SETTINGS);
  const value = chooseValue(s, name);
  const isLocal = s.chance.is(s.model.status === 'T' ? 40 : 5);
  const form = s.chance.between(0, 3);
  const request =
    form === 0
      ? await s.run(`SELECT set_config('${name}', '${value}', ${isLocal})`)
      : form === 1
        ? await s.runExtended('SELECT set_config($1, $2, $3)', [name, value, String(isLocal)])
        : form === 2
          ? await s.runExtended(`SELECT set_config('${name}', $1, ${isLocal})`, [value])
          : await s.runExtended('SELECT pg_catalog.set_config($1::text, $2::text, $3::bool)', [
              name,
              value,
              isLocal ? 't' : 'f',
            ]);
  s.expectRows(s.expectOk(request), [[value]]);
  s.model.set(name, value, isLocal);
}

export async function resetSetting(s: ChaosSession): Promise<void> {
  if (s.chance.is(15)) {
    await s.ok('RESET ALL');
    s.model.resetAll();
    return;
  }
  const name = s.chance.pick(SETTINGS);
  await s.ok(s.chance.is(70) ? `RESET ${name}` : `SET ${name} TO DEFAULT`);
  s.model.reset(name);
}

/** A SET before an error of the same batch is undone with it. */
export async function setUndone(s: ChaosSession): Promise<void> {
  if (s.model.status !== 'I') return;
  const name = s.chance.pick(['app.token', 'work_mem', 'application_name'] as const);
  s.parse('', setText(name, chooseValue(s, name), false, false));
  s.bind('', '');
  const set = s.execute('');
  s.parse('', 'SELECT 1/0');
  const bind = s.bind('', '');
  const failed = s.execute('');
  s.sync();
  await s.done();
  s.expectOk(set);
  s.expectError(bind.error === null ? failed : bind, '22012');
}

/** Settings hidden in functions: only that nobody else sees them is checked, by the token in the value. */
export async function setHidden(s: ChaosSession): Promise<void> {
  const token = s.token();
  const form = s.chance.between(0, 2);
  if (form === 0) await s.ok(`SELECT public.chaos_hide('${token}')`);
  else if (form === 1) await s.ok(`DO $$ BEGIN PERFORM set_config('app.hidden', '${token}', false); END $$`);
  else {
    const request = await s.runExtended('SELECT public.chaos_hide($1)', [token]);
    s.expectOk(request);
  }
}

/** Unset and emptied look alike here: Postgres itself keeps a custom setting as '' once it was known. */
function same(got: string | null | undefined, wanted: string): boolean {
  return (got ?? '') === wanted;
}

export async function lookAtSettings(s: ChaosSession): Promise<void> {
  if (s.chance.is(40)) {
    const name = s.chance.pick(SETTINGS);
    if (!name.startsWith('app.')) {
      const request = await s.ok(`SHOW ${name}`);
      s.equal(request.rows[0]?.[0], s.model.current(name), `SHOW ${name}`);
      return;
    }
  }
  const list = [...SETTINGS, 'app.hidden'].map((name) => `current_setting('${name}', true)`);
  const request = await s.ok(`SELECT ${list.join(', ')}, pg_backend_pid(), current_user`);
  const row = request.rows[0] ?? [];
  for (const [index, name] of SETTINGS.entries())
    if (!same(row[index], s.model.current(name)))
      throw new ChaosFailure(`${name} is ${row[index]} instead of ${s.model.current(name)}`);
  const hidden = row[SETTINGS.length] ?? '';
  if (hidden !== '' && !hidden.startsWith(`${s.id}-`))
    throw new ChaosFailure(`app.hidden is ${hidden}, of another client`);
  s.checkBackend(row[SETTINGS.length + 1] ?? '');
  const role = s.model.current('role');
  s.equal(row[SETTINGS.length + 2], role === 'none' ? s.target.user : role, 'current_user');
}

/** Which of two tables of one name is found shows the search path the statement really ran with. */
export async function lookAtPath(s: ChaosSession): Promise<void> {
  const request = await s.ok('SELECT name FROM whoami');
  s.expectRows(request, [[whoami(s)]]);
}

export function whoami(s: ChaosSession): string {
  const first = s.model.current('search_path').split(', ')[0];
  return first === 'chaos_1' || first === 'chaos_2' ? first : 'public';
}

export async function begin(s: ChaosSession): Promise<void> {
  if (s.model.status !== 'I') return;
  await s.ok(s.chance.pick(['BEGIN', 'START TRANSACTION', 'begin isolation level read committed']));
  s.model.begin();
}

/** COMMIT or ROLLBACK, of a failed transaction too. */
export async function endTransaction(s: ChaosSession): Promise<void> {
  if (s.model.status === 'I') return;
  const isCommit = s.chance.is(60);
  const { openRows, status } = s.model;
  const hasCommitted = isCommit && status === 'T';
  // From here until the answer nobody knows whether the rows are there.
  s.model.openRows = [];
  const request = await s.ok(s.chance.pick(isCommit ? ['COMMIT', 'END'] : ['ROLLBACK', 'ABORT']));
  s.expectTags(request, [hasCommitted ? 'COMMIT' : 'ROLLBACK']);
  s.model.end(isCommit);
  for (const token of openRows) (hasCommitted ? s.ledger.committed : s.ledger.absent).add(token);
}

export async function savepoint(s: ChaosSession): Promise<void> {
  const { model } = s;
  if (model.status === 'I') return;
  const names = model.savepoints;
  const form = s.chance.between(0, 3);
  if (form <= 1 && model.status === 'T') {
    const name = s.chance.pick(['a', 'b']);
    await s.ok(`SAVEPOINT ${name}`);
    model.savepoint(name);
  } else if (names.length > 0 && form === 2 && model.status === 'T') {
    const name = s.chance.pick(names);
    await s.ok(`RELEASE ${name}`);
    model.release(name);
  } else if (names.length > 0 && model.temp === null) {
    const name = s.chance.pick(names);
    // Rows since the savepoint are undone; the ledger only keeps what is certain.
    model.openRows = [];
    await s.ok(`ROLLBACK TO SAVEPOINT ${name}`);
    model.rollbackTo(name);
  }
}

export async function insertRow(s: ChaosSession): Promise<void> {
  const token = s.token();
  if (s.model.status === 'T') s.model.openRows.push(token);
  const request = await s.ok(`INSERT INTO public.chaos_rows VALUES ('${token}')`);
  s.expectTags(request, ['INSERT 0 1']);
  if (s.model.status === 'I') s.ledger.committed.add(token);
}

/** In a failed transaction all but its end is refused. */
export async function refusedInFailed(s: ChaosSession): Promise<void> {
  s.expectError(await s.run(`SELECT '${s.token()}'`), '25P02');
}
