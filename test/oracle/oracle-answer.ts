/** What a server answers to one step, as far as a client can see it, and whether two answers are the same. */
import { B, c, D, d, E, errorFields, type Frame, P, Q, S } from '../support/frames.js';
import type { RawClient } from '../support/raw-client.js';
import type { RowOrder, Step } from './oracle-case.js';

interface Rows {
  head: string;
  rows: string[][];
}

export interface Answer {
  /** Everything but rows, in order; rows stand as 'rows'. */
  events: string[];
  results: Rows[];
  error: Record<string, string> | null;
  status: string;
}

/** Types that users made, rows of tables for one, have other numbers in each database. */
const USER_TYPE_MIN = 16_384;

/** Names, types and formats; tables have other numbers in each database. */
function columns(body: Buffer): string {
  const parts: string[] = [];
  let at = 2;
  for (let column = 0; column < body.readUInt16BE(0); column++) {
    const end = body.indexOf(0, at);
    const name = body.toString('utf8', at, end);
    const place = end + 1;
    const [type, size] = [body.readUInt32BE(place + 6), body.readInt16BE(place + 10)];
    const typeName = type < USER_TYPE_MIN ? type : 'of users';
    parts.push(`${name}:${typeName}:${size}:${body.readInt32BE(place + 12)}:${body.readInt16BE(place + 16)}`);
    at = place + 18;
  }
  return parts.join(', ');
}

function parameters(body: Buffer): string {
  const types = Array.from({ length: body.readUInt16BE(0) }, (_, index) => body.readUInt32BE(2 + 4 * index));
  return types.map((type) => (type < USER_TYPE_MIN ? type : 'of users')).join(', ');
}

function cells(body: Buffer): string[] {
  const list: string[] = [];
  let at = 2;
  for (let column = 0; column < body.readUInt16BE(0); column++) {
    const length = body.readInt32BE(at);
    at += 4;
    list.push(length < 0 ? 'NULL' : `=${body.toString('latin1', at, at + length)}`);
    if (length > 0) at += length;
  }
  return list;
}

function note(answer: Answer, { type, body }: Frame): void {
  const row = (values: string[]): void => {
    if (answer.events.at(-1) !== 'rows') {
      answer.events.push('rows');
      answer.results.push({ head: '', rows: [] });
    }
    answer.results.at(-1)?.rows.push(values);
  };
  if (type === 'D') row(cells(body));
  else if (type === 'd') row([body.toString('latin1')]);
  else if (type === 'T') answer.events.push(`columns ${columns(body)}`);
  else if (type === 'C') answer.events.push(`tag ${body.toString('utf8', 0, body.length - 1)}`);
  else if (type === 'Z') answer.status = body.toString('latin1');
  else if (type === 'E') answer.error ??= errorFields(body);
  else if (type === 'G' || type === 'H') answer.events.push(`${type} ${body.toString('hex')}`);
  else if (type === 't') answer.events.push(`parameters ${parameters(body)}`);
  else if (!'NSA'.includes(type)) answer.events.push(type);
}

function batchOf({
  sql,
  values = [],
  types = [],
  formats = [],
  results = [],
  rowsMax,
  statement,
  followed = [],
}: Step): Buffer[] {
  const name = statement?.name ?? '';
  const parse = [P(name, sql, types), D('S', name)];
  if (statement?.phase === 'prepare') return parse;
  const bind = B('', name, { values, valueFormats: formats, resultFormats: results });
  const executes = rowsMax === undefined ? [E('')] : [E('', rowsMax), E('', rowsMax), E('')];
  const ahead = statement === undefined ? parse : [];
  return [...ahead, bind, D('P', ''), ...executes, ...followed.flatMap(batchOf)];
}

function copyData({ copy = '', copyPiece = Number.POSITIVE_INFINITY }: Step): Buffer[] {
  const data = Buffer.from(copy);
  const size = Math.min(copyPiece, Math.max(1, data.length));
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < data.length; at += size) frames.push(d(data.subarray(at, at + size)));
  return frames;
}

export async function run(client: RawClient, step: Step): Promise<Answer> {
  if (step.values === undefined) client.send(Q(step.sql));
  else client.send(...batchOf(step), S());
  const answer: Answer = { events: [], results: [], error: null, status: '' };
  while (answer.status === '') {
    const frame = await client.readFrame();
    note(answer, frame);
    if (frame.type !== 'G') continue;
    // Within a batch the Sync that was sent is read past.
    client.send(...copyData(step), c(), ...(step.values === undefined ? [] : [S()]));
  }
  return answer;
}

function rowsDiffer(ours: string[][], theirs: string[][], order: RowOrder): string | null {
  const texts = (rows: string[][]): string[] => rows.map((row) => row.join(' | '));
  const [own, their] = [texts(ours), texts(theirs)];
  if (order !== 'exact') {
    if (order !== 'any') {
      const keys = (rows: string[][]): string[][] =>
        rows.map((row) => order.map((column) => row[column] ?? ''));
      const problem = rowsDiffer(keys(ours), keys(theirs), 'exact');
      if (problem !== null) return `sorted otherwise: ${problem}`;
    }
    own.sort();
    their.sort();
  }
  const at = own.findIndex((row, i) => row !== their[i]);
  if (at < 0 && own.length === their.length) return null;
  const place = at < 0 ? own.length : at;
  return `${own.length} rows against ${their.length}; row ${place}: ${own[place]} against ${their[place]}`;
}

/** null: the same. */
export function difference(ours: Answer, theirs: Answer, order: RowOrder): string | null {
  const code = (answer: Answer): string =>
    answer.error === null ? 'no error' : `${answer.error.C} ${answer.error.M}`;
  if (ours.error?.C !== theirs.error?.C) return `${code(ours)} against ${code(theirs)}`;
  if (ours.status !== theirs.status) return `status ${ours.status} against ${theirs.status}`;
  // How many rows come before an error is nobody's promise.
  if (ours.error !== null) return null;
  const [own, their] = [ours.events.join('\n'), theirs.events.join('\n')];
  if (own !== their) return `${own} against ${their}`;
  for (const [i, { rows }] of ours.results.entries()) {
    const problem = rowsDiffer(rows, theirs.results[i]?.rows ?? [], order);
    if (problem !== null) return problem;
  }
  return null;
}
