/**
 * What a server may answer, as one strict machine per client: each frame received must fit the oldest request
 * without an answer. Written from the protocol's "Message Flow" page; knows nothing of the proxy.
 */
import { columnNames, errorFields, rowValues } from '../support/frames.js';

/** Letters of the frontend messages; DS and DP are Describe of a statement and of a portal. */
export type RequestKind = 'Q' | 'P' | 'B' | 'DS' | 'DP' | 'E' | 'C' | 'S' | 'F';
type Phase = 'start' | 'rows' | 'copyIn' | 'copyOut' | 'copyOutEnd' | 'parameters' | 'failed' | 'value';

/** Something no Postgres would have sent; the run's verdict. */
export class ChaosFailure extends Error {}

/** The other side has ended the connection, with a FATAL error or without: where servers die on purpose it is no failure. */
export class ConnectionLost extends ChaosFailure {}

/** One message of the client and all that came back for it. */
export class Request {
  readonly kind: RequestKind;
  readonly label: string;
  phase: Phase = 'start';
  rows: (string | null)[][] = [];
  columns: string[] = [];
  parameterOids: number[] = [];
  tags: string[] = [];
  error: Record<string, string> | null = null;
  copied: Buffer[] = [];
  /** Status byte of its ReadyForQuery. */
  status = '';
  isSkipped = false;
  isSuspended = false;
  isEmpty = false;
  hasAnswer = false;
  /** Set once CopyInResponse came. */
  isCopyIn = false;
  isCopyEnded = false;
  /** Takes rows instead of `rows`: for results too large to keep. */
  onRow: ((body: Buffer) => void) | null = null;
  statementRows = 0;

  constructor(kind: RequestKind, label: string) {
    this.kind = kind;
    this.label = label;
  }

  get sqlstate(): string {
    return this.error?.['C'] ?? '';
  }
}

/** Which frames each kind may get in each phase, and the phase after; 'done' ends the request. */
const TABLE: Record<RequestKind, Partial<Record<Phase, Record<string, Phase | 'done'>>>> = {
  Q: {
    start: { T: 'rows', C: 'start', I: 'start', G: 'copyIn', H: 'copyOut', E: 'failed', Z: 'done' },
    rows: { D: 'rows', C: 'start', E: 'failed' },
    copyIn: { C: 'start', E: 'failed' },
    copyOut: { d: 'copyOut', c: 'copyOutEnd', E: 'failed' },
    copyOutEnd: { C: 'start', E: 'failed' },
    failed: { Z: 'done' },
  },
  P: { start: { 1: 'done', E: 'done' } },
  B: { start: { 2: 'done', E: 'done' } },
  DS: { start: { t: 'parameters', E: 'done' }, parameters: { T: 'done', n: 'done', E: 'done' } },
  DP: { start: { T: 'done', n: 'done', E: 'done' } },
  E: {
    start: { D: 'rows', C: 'done', I: 'done', s: 'done', G: 'copyIn', H: 'copyOut', E: 'done' },
    rows: { D: 'rows', C: 'done', s: 'done', E: 'done' },
    copyIn: { C: 'done', E: 'done' },
    copyOut: { d: 'copyOut', c: 'copyOutEnd', E: 'done' },
    copyOutEnd: { C: 'done', E: 'done' },
  },
  C: { start: { 3: 'done', E: 'done' } },
  S: { start: { Z: 'done', E: 'failed' }, failed: { Z: 'done' } },
  F: { start: { V: 'value', E: 'failed' }, value: { Z: 'done' }, failed: { Z: 'done' } },
};

function described(type: string, body: Buffer): string {
  return type === 'E' ? `E ${JSON.stringify(errorFields(body))}` : type;
}

export class ReplyMachine {
  readonly reported: Record<string, string> = {};
  readonly notifications: { pid: number; channel: string; payload: string }[] = [];
  lastStatus = 'I';
  #queue: Request[] = [];
  #isSkipping = false;

  get isSettled(): boolean {
    return this.#queue.length === 0;
  }

  get head(): Request | undefined {
    return this.#queue[0];
  }

  /** In the order of sending. After an error in a batch all but Sync is ignored, as the server does. */
  expect(request: Request): void {
    if (this.#isSkipping && request.kind !== 'S') request.isSkipped = true;
    else {
      this.#queue.push(request);
      if (request.kind === 'S') this.#isSkipping = false;
    }
  }

  noteParameter(body: Buffer): void {
    const [name = '', setting = ''] = body.toString('utf8').split('\0');
    this.reported[name] = setting;
  }

  #noteNotification(body: Buffer): void {
    const [channel = '', payload = ''] = body.toString('utf8', 4).split('\0');
    this.notifications.push({ pid: body.readUInt32BE(0), channel, payload });
  }

  accept(type: string, body: Buffer): void {
    if (type === 'N') return;
    if (type === 'S') {
      this.noteParameter(body);
      return;
    }
    if (type === 'A') {
      this.#noteNotification(body);
      return;
    }
    const fatal = type === 'E' ? errorFields(body) : {};
    if (fatal['V'] === 'FATAL') throw new ConnectionLost(`FATAL ${fatal['C']} ${fatal['M']}`);
    const request = this.#queue[0];
    if (request === undefined) throw new ChaosFailure(`unsolicited frame ${described(type, body)}`);
    const next = TABLE[request.kind][request.phase]?.[type];
    if (next === undefined)
      throw new ChaosFailure(
        `frame ${described(type, body)} in phase ${request.phase} of ${request.kind} (${request.label}), ` +
          `after ${JSON.stringify(request.error ?? request.tags)}`,
      );
    this.#note(request, type, body);
    request.hasAnswer = true;
    if (next !== 'done') request.phase = next;
    else this.#finish(type);
  }

  #note(request: Request, type: string, body: Buffer): void {
    if (type === 'D') {
      request.statementRows += 1;
      if (request.onRow !== null) request.onRow(body);
      else request.rows.push(rowValues(body));
    } else if (type === 'T') request.columns = columnNames(body);
    else if (type === 'C') this.#noteTag(request, body.toString('utf8', 0, body.length - 1));
    else if (type === 'E') this.#noteError(request, errorFields(body));
    else if (type === 'd') request.copied.push(Buffer.from(body));
    else if (type === 'V') request.rows.push([body.toString('utf8', 4)]);
    else if (type === 's') request.isSuspended = true;
    else if (type === 'I') request.isEmpty = true;
    else if (type === 'G') request.isCopyIn = true;
    else if (type === 't')
      for (let at = 2; at < body.length; at += 4) request.parameterOids.push(body.readUInt32BE(at));
    else if (type === 'Z') {
      if (!request.hasAnswer && request.kind !== 'S')
        throw new ChaosFailure(`ReadyForQuery without an answer (${request.label})`);
      request.status = body.toString('latin1');
      this.lastStatus = request.status;
    }
  }

  #noteError(request: Request, fields: Record<string, string>): void {
    if (fields['V'] === 'FATAL' || fields['V'] === 'PANIC')
      throw new ChaosFailure(`FATAL ${fields['C']} ${fields['M']} (${request.label})`);
    request.error = fields;
  }

  #noteTag(request: Request, tag: string): void {
    if (request.phase === 'copyIn' && !request.isCopyEnded)
      throw new ChaosFailure(`${tag} before CopyDone (${request.label})`);
    // CREATE TABLE AS and SELECT INTO complete as SELECT and send no row.
    const hasRows = !request.label.includes(' TEMP');
    if (hasRows && tag.startsWith('SELECT ') && Number(tag.slice(7)) !== request.statementRows)
      throw new ChaosFailure(`${tag} after ${request.statementRows} rows (${request.label})`);
    request.statementRows = 0;
    request.tags.push(tag);
  }

  #finish(type: string): void {
    this.#queue.shift();
    if (type !== 'E') return;
    // Skip to Sync: all that waits before the next one gets no answer.
    while (this.#queue.length > 0 && this.#queue[0]?.kind !== 'S') {
      const skipped = this.#queue.shift();
      if (skipped !== undefined) skipped.isSkipped = true;
    }
    this.#isSkipping = this.#queue.length === 0;
  }
}
