/**
 * Protocol frames for tests, written from the protocol pages ("Message Formats") and independent of core's own
 * writer, so that the two can disagree. A frame is one type byte, an Int32 length that counts itself, a body.
 */

export interface Frame {
  /** Type letter; '' for an untyped startup packet. */
  type: string;
  body: Buffer;
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** Zero-terminated text. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function frame(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(body.length + 4), body]);
}

/** Startup packet; version is major << 16 | minor: 196608 is 3.0, 196610 is 3.2. */
export function startupPacket(parameters: Record<string, string>, version = 196608): Buffer {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [text(name), text(value)]);
  const body = Buffer.concat([int32(version), ...pairs, Buffer.from([0])]);
  return Buffer.concat([int32(body.length + 4), body]);
}

export function sslRequest(): Buffer {
  return Buffer.concat([int32(8), int32(80877103)]);
}

export function cancelRequest(pid: number, secret: Buffer): Buffer {
  return Buffer.concat([int32(12 + secret.length), int32(80877102), int32(pid), secret]);
}

type Value = string | Buffer | null;

function value(of: Value): Buffer {
  if (of === null) return int32(-1);
  const bytes = typeof of === 'string' ? Buffer.from(of) : of;
  return Buffer.concat([int32(bytes.length), bytes]);
}

export interface BindOptions {
  values?: Value[];
  valueFormats?: number[];
  resultFormats?: number[];
}

/** Frontend messages by their letters. */
export const Q = (sql: string): Buffer => frame('Q', text(sql));
export const P = (name: string, sql: string, typeOids: number[] = []): Buffer =>
  frame('P', text(name), text(sql), int16(typeOids.length), ...typeOids.map(int32));
export const B = (portal: string, statement: string, options: BindOptions = {}): Buffer => {
  const { values = [], valueFormats = [], resultFormats = [] } = options;
  const formats = (list: number[]): Buffer[] => [int16(list.length), ...list.map(int16)];
  return frame(
    'B',
    text(portal),
    text(statement),
    ...formats(valueFormats),
    int16(values.length),
    ...values.map(value),
    ...formats(resultFormats),
  );
};
export const D = (kind: 'S' | 'P', name: string): Buffer => frame('D', Buffer.from(kind), text(name));
export const E = (portal: string, rowsMax = 0): Buffer => frame('E', text(portal), int32(rowsMax));
export const C = (kind: 'S' | 'P', name: string): Buffer => frame('C', Buffer.from(kind), text(name));
export const S = (): Buffer => frame('S');
export const H = (): Buffer => frame('H');
export const X = (): Buffer => frame('X');
/** FunctionCall with text arguments and a text result. */
export const F = (functionOid: number, values: Value[]): Buffer =>
  frame('F', int32(functionOid), int16(1), int16(0), int16(values.length), ...values.map(value), int16(0));
export const d = (bytes: string | Buffer): Buffer => frame('d', Buffer.from(bytes));
export const c = (): Buffer => frame('c');
export const f = (reason: string): Buffer => frame('f', text(reason));
export const p = (...parts: Buffer[]): Buffer => frame('p', ...parts);

/** Backend messages that fake servers send. */
export const backend = {
  authentication: (code: number, ...rest: Buffer[]): Buffer => frame('R', int32(code), ...rest),
  parameterStatus: (name: string, setting: string): Buffer => frame('S', text(name), text(setting)),
  keyData: (pid: number, secret: Buffer): Buffer => frame('K', int32(pid), secret),
  ready: (status: 'I' | 'T' | 'E' = 'I'): Buffer => frame('Z', Buffer.from(status)),
  complete: (tag: string): Buffer => frame('C', text(tag)),
  error: (sqlstate: string, message: string, severity = 'ERROR'): Buffer =>
    frame(
      'E',
      ...Object.entries({ S: severity, V: severity, C: sqlstate, M: message }).map(([k, v]) =>
        Buffer.concat([Buffer.from(k), text(v)]),
      ),
      Buffer.from([0]),
    ),
  notice: (message: string): Buffer =>
    frame(
      'N',
      ...Object.entries({ S: 'NOTICE', V: 'NOTICE', C: '00000', M: message }).map(([k, v]) =>
        Buffer.concat([Buffer.from(k), text(v)]),
      ),
      Buffer.from([0]),
    ),
  /** Every column is of type text (oid 25), text format. */
  rowDescription: (names: string[]): Buffer =>
    frame(
      'T',
      int16(names.length),
      ...names.map((n) =>
        Buffer.concat([text(n), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)]),
      ),
    ),
  dataRow: (values: Value[]): Buffer => frame('D', int16(values.length), ...values.map(value)),
  parseComplete: (): Buffer => frame('1'),
  bindComplete: (): Buffer => frame('2'),
  closeComplete: (): Buffer => frame('3'),
  noData: (): Buffer => frame('n'),
  emptyQuery: (): Buffer => frame('I'),
};

/** Fields of an ErrorResponse or NoticeResponse by their letters: C is the SQLSTATE, M the message. */
export function errorFields(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const part of body.toString('utf8').split('\0'))
    if (part !== '') fields[part[0] ?? ''] = part.slice(1);
  return fields;
}

/** Values of a DataRow as text; null for NULL. */
export function rowValues(body: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  let at = 2;
  for (let column = 0; column < body.readUInt16BE(0); column++) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : body.toString('utf8', at, at + length));
    if (length > 0) at += length;
  }
  return values;
}

/** Column names of a RowDescription. */
export function columnNames(body: Buffer): string[] {
  const names: string[] = [];
  let at = 2;
  for (let column = 0; column < body.readUInt16BE(0); column++) {
    const end = body.indexOf(0, at);
    names.push(body.toString('utf8', at, end));
    at = end + 1 + 18;
  }
  return names;
}

/** Collects bytes and gives whole frames; shared by the raw client and the fake server. */
export class FrameCollector {
  #rest: Buffer = Buffer.alloc(0);

  /** Whole frames now available. `isUntyped` reads startup packets (no type byte) instead: at most one. */
  push(chunk: Buffer, isUntyped = false): Frame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    const head = isUntyped ? 0 : 1;
    let at = 0;
    while (this.#rest.length - at >= head + 4) {
      const end = at + head + this.#rest.readUInt32BE(at + head);
      if (end > this.#rest.length) break;
      frames.push({
        type: isUntyped ? '' : String.fromCharCode(this.#rest[at] ?? 0),
        body: this.#rest.subarray(at + head + 4, end),
      });
      at = end;
      if (isUntyped) break;
    }
    this.#rest = this.#rest.subarray(at);
    return frames;
  }

  /** Bytes of an unfinished frame. */
  get restBytes(): number {
    return this.#rest.length;
  }
}
