import { FRONTEND, FrameWriter, SqlLexer, SYNC, TOKEN_END, TOKEN_MALFORMED } from '@pgdog-cluster/core';

const SEMICOLON = 0x3b;
const lexer = new SqlLexer();
const writer = new FrameWriter(4096);

/**
 * The text bytes[start, end) as one Query per statement, and a Sync behind them. Comments stay with the statement behind them.
 * @param count statements that Postgres's grammar finds in it
 * @returns null: other borders than the grammar's would be taken for some (a function's body BEGIN ATOMIC … END)
 */
export function queryPieces(bytes: Uint8Array, start: number, end: number, count: number): Uint8Array | null {
  const pieces: Uint8Array[] = [];
  lexer.reset(bytes, start, end);
  let from = start;
  let isEmpty = true;
  for (let kind = lexer.next(); ; kind = lexer.next()) {
    if (kind === TOKEN_MALFORMED) return null;
    if (kind !== TOKEN_END && kind !== SEMICOLON) {
      isEmpty = false;
      continue;
    }
    const to = kind === TOKEN_END ? end : lexer.start;
    if (!isEmpty) pieces.push(queryOf(bytes, from, to));
    if (kind === TOKEN_END) break;
    from = lexer.end;
    isEmpty = true;
  }
  return pieces.length === count ? Buffer.concat([...pieces, SYNC]) : null;
}

function queryOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  writer.reset().begin(FRONTEND.Query).bytes(bytes, start, end).byte(0).end();
  return writer.take();
}
