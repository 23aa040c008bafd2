/** One statement, or a few in one session, run on the proxy and on the reference. */

export interface Step {
  sql: string;
  /** Present: Parse, Bind, Describe, Execute; else a Query. */
  values?: (string | Buffer | null)[];
  types?: number[];
  formats?: number[];
  results?: number[];
  /** Rows of each Execute; the portal is asked three times. */
  rowsMax?: number;
  /** Further statements of the same batch, before its Sync. */
  followed?: Step[];
  /** A named statement is only prepared, or is executed that was prepared before. */
  statement?: { name: string; phase: 'prepare' | 'execute' };
  /** For COPY FROM STDIN. */
  copy?: string | Buffer;
  /** Its bytes in one CopyData; all of them by default. */
  copyPiece?: number;
}

/** `exact`: ORDER BY decides all of it; numbers: the columns it decides. */
export type RowOrder = 'exact' | 'any' | number[];

export interface OracleCase {
  /** A line of the table in the documentation. */
  construct: string;
  steps: Step[];
  order: RowOrder;
  /** Rows may have changed afterwards. */
  isWrite: boolean;
  /** Leaves something in the session. */
  isSession: boolean;
  /** Refused or not: a transaction that any shard can begin begins on the one of the session's number, and may have to leave it. */
  isByHome?: boolean;
}

/** A batch of the one statement, with its values. */
export const p = (sql: string, values: Step['values'] = [], more: Partial<Step> = {}): Step => ({
  sql,
  values,
  ...more,
});

type Text = string | Step;

const toStep = (text: Text): Step => (typeof text === 'string' ? { sql: text } : text);

export function anyOrder(construct: string, ...texts: Text[]): OracleCase[] {
  return texts.map((text) => ({
    construct,
    steps: [toStep(text)],
    order: 'any',
    isWrite: false,
    isSession: false,
  }));
}

export function sorted(construct: string, ...texts: Text[]): OracleCase[] {
  return texts.map((text) => ({
    construct,
    steps: [toStep(text)],
    order: 'exact',
    isWrite: false,
    isSession: false,
  }));
}

/** Sorted by these columns only, from 0. */
export function sortedBy(construct: string, columns: number[], ...texts: Text[]): OracleCase[] {
  return texts.map((text) => ({
    construct,
    steps: [toStep(text)],
    order: columns,
    isWrite: false,
    isSession: false,
  }));
}

export function writes(construct: string, ...texts: Text[]): OracleCase[] {
  return texts.map((text) => ({
    construct,
    steps: [toStep(text)],
    order: 'any',
    isWrite: true,
    isSession: false,
  }));
}

/** Several statements one after the other in a session that is ended afterwards. */
export function script(construct: string, ...texts: Text[]): OracleCase {
  return { construct, steps: texts.map(toStep), order: 'any', isWrite: true, isSession: true };
}

/** A script that is refused or not by the number of its client: OracleCase.isByHome. */
export function byHome(construct: string, ...texts: Text[]): OracleCase {
  return { ...script(construct, ...texts), isByHome: true };
}

export function describeCase({ steps }: OracleCase): string {
  return steps
    .flatMap((step) => [step, ...(step.followed ?? [])])
    .map((step) => `${step.sql}${describeValues(step)}${describeCopy(step)}`)
    .join(' ;; ');
}

function describeValues({ values }: Step): string {
  if (values === undefined) return '';
  const texts = values.map((v) => (typeof v === 'string' ? v : v === null ? 'NULL' : v.toString('hex')));
  return ` /* ${texts.join(' | ')} */`;
}

function describeCopy({ copy, copyPiece }: Step): string {
  if (copy === undefined) return '';
  const data = JSON.stringify(Buffer.from(copy).toString('latin1'));
  return ` < ${data}${copyPiece === undefined ? '' : ` by ${copyPiece} bytes`}`;
}
