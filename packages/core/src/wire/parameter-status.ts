import { decodeText, findNul } from './cstring.js';
import { FrameWriter } from './frame-writer.js';
import { BACKEND } from './message-type.js';

export interface ParameterStatus {
  name: string;
  value: string;
}

export function writeParameterStatus(writer: FrameWriter, name: string, value: string): void {
  writer.begin(BACKEND.ParameterStatus).cstring(name).cstring(value).end();
}

export function buildParameterStatus(name: string, value: string): Uint8Array {
  const writer = new FrameWriter();
  writeParameterStatus(writer, name, value);
  return writer.take();
}

/** Body of a ParameterStatus; null unless it is exactly two terminated strings. */
export function parseParameterStatus(bytes: Uint8Array, start: number, end: number): ParameterStatus | null {
  const nameEnd = findNul(bytes, start, end);
  if (nameEnd === -1) return null;
  const valueEnd = findNul(bytes, nameEnd + 1, end);
  if (valueEnd === -1 || valueEnd + 1 !== end) return null;
  return { name: decodeText(bytes, start, nameEnd), value: decodeText(bytes, nameEnd + 1, valueEnd) };
}
