/** A client's frames with what the proxy makes: literals in a Query, parameters of its own in Parse and Bind. */
import {
  decodeText,
  FRONTEND,
  FrameWriter,
  type MadeEdit,
  type MadeReading,
  type ParseFields,
  SqlLexer,
  TOKEN_END,
  TOKEN_MALFORMED,
  TOKEN_PARAMETER,
  withEdits,
} from '@pgdog-cluster/core';
import { bindFrame, bindParts } from '../scatter/bind-parts.js';

const PARAMETERS_MAX = 0xffff;
const writer = new FrameWriter(1024);

/** A Query of bytes[start, end), its text, with these values. */
export function madeQuery(
  bytes: Uint8Array,
  start: number,
  end: number,
  { edits }: MadeReading,
  values: readonly string[],
): Uint8Array {
  const literals = values.map((value) => `'${value}'`);
  writer
    .reset()
    .begin(FRONTEND.Query)
    .bytes(filled(bytes, start, end, edits, literals))
    .byte(0)
    .end();
  return writer.take();
}

/**
 * The Parse whose body has these fields, with a parameter for each value, behind those that the client has.
 * @returns null: there would be too many
 */
export function madeParse(
  bytes: Uint8Array,
  fields: ParseFields,
  end: number,
  { edits }: MadeReading,
): { frame: Uint8Array; shownCount: number } | null {
  const { nameStart, textStart, textEnd, typeCount } = fields;
  const shownCount = Math.max(typeCount, lastParameter(bytes, textStart, textEnd));
  const madeCount = edits.filter(({ value }) => value !== null).length;
  if (shownCount + madeCount > PARAMETERS_MAX) return null;
  const names = Array.from({ length: madeCount }, (_, index) => `$${shownCount + 1 + index}`);
  writer
    .reset()
    .begin(FRONTEND.Parse)
    .bytes(bytes, nameStart, textStart)
    .bytes(filled(bytes, textStart, textEnd, edits, names))
    .bytes(bytes, textEnd, end)
    .end();
  return { frame: writer.take(), shownCount };
}

/** The whole Bind `frame` with these values behind its own, as text; null: it is malformed. */
export function madeBind(frame: Uint8Array, values: readonly string[]): Uint8Array | null {
  const parts = bindParts(frame);
  if (parts === null) return null;
  return bindFrame({
    ...parts,
    formats: [...parts.formats, ...values.map(() => 0)],
    values: [...parts.values, ...values.map(sized)],
  });
}

function sized(value: string): Uint8Array {
  writer.reset().value(value);
  return writer.take();
}

function filled(
  bytes: Uint8Array,
  start: number,
  end: number,
  edits: readonly MadeEdit[],
  values: readonly string[],
): Uint8Array {
  let next = 0;
  const texts = edits.map(({ start, end, before, value, after }) => {
    const text = `${before}${value === null ? '' : values[next++]}${after}`;
    return { start, end, text };
  });
  return withEdits(bytes, start, end, texts);
}

/** The highest number of a parameter in a text. */
function lastParameter(bytes: Uint8Array, start: number, end: number): number {
  const lexer = new SqlLexer();
  lexer.reset(bytes, start, end);
  let last = 0;
  for (let kind = lexer.next(); kind !== TOKEN_END && kind !== TOKEN_MALFORMED; kind = lexer.next()) {
    if (kind === TOKEN_PARAMETER)
      last = Math.max(last, Number(decodeText(bytes, lexer.start + 1, lexer.end)));
  }
  return last;
}
