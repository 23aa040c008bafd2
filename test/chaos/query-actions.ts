/** Simple queries, errors, large results, function calls. Each action leaves the model as a server would be. */
import type { ChaosSession } from './chaos-session.js';
import { ChaosFailure } from './reply-machine.js';

const INT4PL_OID = 177;

const ERRORS: [sql: string, sqlstate: string][] = [
  ['SELECT 1/0', '22012'],
  ['SELEKT 1', '42601'],
  ['SELECT * FROM chaos_no_such_table', '42P01'],
  ["SELECT 'x'::int", '22P02'],
  ["SET work_mem = 'much'", '22023'],
  ['SET no_such_setting = 1', '42704'],
  ['EXECUTE chaos_never_prepared', '26000'],
];

export async function tokenQuery(s: ChaosSession): Promise<void> {
  const token = s.token();
  const count = s.chance.between(0, 20);
  const request = await s.ok(`SELECT '${token}' AS t, g FROM generate_series(1, ${count}) g`);
  s.expectRows(
    request,
    Array.from({ length: count }, (_, index) => [token, String(index + 1)]),
  );
}

export async function emptyQuery(s: ChaosSession): Promise<void> {
  const request = await s.run(s.chance.pick(['', ' ', ';', ' ; ;', '-- nothing', '/* /* nested */ */']));
  s.expectOk(request);
  s.equal(request.isEmpty, true, 'EmptyQueryResponse');
}

export async function failingQuery(s: ChaosSession): Promise<void> {
  const [sql, sqlstate] = s.chance.pick(ERRORS);
  s.expectError(await s.run(sql), sqlstate);
  s.model.fail();
}

export async function multiStatement(s: ChaosSession): Promise<void> {
  const tokens = Array.from({ length: s.chance.between(2, 5) }, () => s.token());
  const isFailing = s.chance.is(25);
  const list = tokens.map((token) => `SELECT '${token}'`);
  const failAt = isFailing ? s.chance.between(0, list.length - 1) : list.length;
  if (isFailing) list[failAt] = 'SELECT 1/0';
  const request = s.q(list.join('; '));
  await s.done();
  s.expectRows(
    request,
    tokens.slice(0, failAt).map((token) => [token]),
  );
  if (isFailing) {
    s.expectError(request, '22012');
    s.model.fail();
  } else s.expectOk(request);
}

/** Several statements in one Query are one transaction: what an error follows is undone, settings too. */
export async function multiUndone(s: ChaosSession): Promise<void> {
  if (s.model.status !== 'I') return;
  const token = s.token();
  const request = s.q(
    `INSERT INTO public.chaos_rows VALUES ('${token}'); SET app.token = '${token}'; SET work_mem = '63MB'; SELECT 1/0`,
  );
  s.ledger.absent.add(token);
  await s.done();
  s.expectError(request, '22012');
}

/** A whole transaction in one Query; SET LOCAL ends with it. */
export async function multiTransaction(s: ChaosSession): Promise<void> {
  if (s.model.status !== 'I') return;
  const token = s.token();
  const isCommit = s.chance.is(50);
  const request = s.q(
    `BEGIN; SET LOCAL app.token = '${token}'; INSERT INTO public.chaos_rows VALUES ('${token}'); ` +
      `SELECT current_setting('app.token'); ${isCommit ? 'COMMIT' : 'ROLLBACK'}`,
  );
  if (!isCommit) s.ledger.absent.add(token);
  await s.done();
  s.expectOk(request);
  s.expectRows(request, [[token]]);
  if (isCommit) s.ledger.committed.add(token);
}

/** 1 to 5 MB, read with rests. */
export async function largeResult(s: ChaosSession): Promise<void> {
  const token = s.token();
  const count = s.chance.between(1000, 5000);
  const request = s.q(`SELECT '${token}' || repeat('x', 1000) FROM generate_series(1, ${count})`);
  let rows = 0;
  const head = Buffer.from(token);
  request.onRow = (body) => {
    rows += 1;
    if (body.length !== 6 + head.length + 1000 || !body.subarray(6, 6 + head.length).equals(head))
      throw new ChaosFailure(`row ${rows} of a large result is not ours`);
  };
  const isSlow = s.chance.is(60);
  const rests = isSlow ? s.chance.between(1, 4) : 0;
  s.client.flush();
  for (let rest = 0; rest < rests; rest++) {
    s.client.pause();
    await new Promise((resolve) => setTimeout(resolve, s.chance.between(5, 80)));
    s.client.resume();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await s.client.settled();
  s.expectOk(request);
  s.equal(rows, count, 'rows of a large result');
}

/** One value of about a megabyte. */
export async function largeValue(s: ChaosSession): Promise<void> {
  const token = s.token();
  const length = s.chance.between(100_000, 1_200_000);
  const request = s.expectOk(await s.run(`SELECT '${token}' || repeat('y', ${length})`));
  const value = request.rows[0]?.[0] ?? '';
  s.equal(value.length, token.length + length, 'length of a large value');
  s.equal(value.startsWith(token), true, 'token of a large value');
}

/** A request of many kilobytes, answered by its length. */
export async function largeRequest(s: ChaosSession): Promise<void> {
  const token = s.token();
  const filler = 'z'.repeat(s.chance.between(10_000, 300_000));
  const request = s.chance.is(50)
    ? await s.run(`SELECT '${token}', length('${filler}')`)
    : await s.runExtended(`SELECT '${token}', length($1)`, [filler], [25]);
  s.expectRows(s.expectOk(request), [[token, String(filler.length)]]);
}

/** Several Query messages in one write: an answer each, in order. */
export async function pipelinedQueries(s: ChaosSession): Promise<void> {
  const count = s.chance.between(2, 8);
  const list = Array.from({ length: count }, () => ({ token: s.token(), isBad: s.chance.is(20) }));
  const requests = list.map(({ token, isBad }) => s.q(isBad ? 'SELECT 1/0' : `SELECT '${token}'`));
  await s.done();
  for (const [index, { token, isBad }] of list.entries()) {
    const request = requests[index];
    if (request === undefined) continue;
    if (s.model.status === 'E') s.expectError(request, '25P02');
    else if (isBad) {
      s.expectError(request, '22012');
      s.model.fail();
    } else s.expectRows(s.expectOk(request), [[token]]);
    s.equal(request.status, s.model.status, 'status within a pipeline');
  }
}

export async function functionCall(s: ChaosSession): Promise<void> {
  const left = s.chance.between(1, 1000);
  const request = s.call(INT4PL_OID, [String(left), '7']);
  await s.done();
  s.expectRows(s.expectOk(request), [[String(left + 7)]]);
}
