import {
  readSqlBytes,
  SqlLexer,
  type SqlParser,
  type SqlPlan,
  TOKEN_END,
  TOKEN_MALFORMED,
} from '@pgdog-cluster/core';

const BYTE_SEMICOLON = 0x3b;
const BYTE_NEWLINE = 0x0a;

/** One statement of a file. */
export interface FileStatement {
  /** From 1: where its first token stands. */
  readonly line: number;
  /** Without white space around it; comments in front belong to it, since they may be directives. */
  readonly text: string;
  /** Type of its node; null: it cannot be read. */
  readonly kind: string | null;
  readonly plan: SqlPlan;
}

/** Statements of a file of any length, each read by itself: one that cannot be read spoils no other. */
export function splitStatements(file: string, parser: SqlParser): FileStatement[] {
  const bytes = Buffer.from(file);
  const lexer = new SqlLexer();
  lexer.reset(bytes, 0, bytes.length);
  const found: FileStatement[] = [];
  let start = 0;
  let first = -1;
  for (;;) {
    const kind = lexer.next();
    const isEnd = kind === TOKEN_END || kind === TOKEN_MALFORMED;
    if (!isEnd && kind !== BYTE_SEMICOLON) {
      if (first < 0) first = lexer.start;
      continue;
    }
    if (kind === TOKEN_MALFORMED && first < 0) first = start;
    const end = isEnd ? bytes.length : lexer.start;
    if (first >= 0) {
      const read = readPiece(bytes.subarray(start, end), parser);
      // The body of a function (BEGIN ATOMIC …; …; END) is no end: it goes on until it can be read.
      if (read.kind === null && !isEnd && isAtomic(read.text)) continue;
      found.push({ ...read, line: lineOf(bytes, first) });
    }
    if (isEnd) return found;
    start = lexer.end;
    first = -1;
  }
}

function readPiece(bytes: Uint8Array, parser: SqlParser): Omit<FileStatement, 'line'> {
  const text = Buffer.from(bytes).toString('utf8').trim();
  const plan = readSqlBytes(bytes, 0, bytes.length, parser, true);
  const statements = plan.statements.length === 0 ? null : parser.parse(text);
  const kind = statements === null || statements === 'unread' ? null : statements[0].kind;
  return { text, kind, plan };
}

function isAtomic(text: string): boolean {
  return /\bbegin\s+atomic\b/i.test(text);
}

function lineOf(bytes: Uint8Array, at: number): number {
  let line = 1;
  for (let i = 0; i < at; i++) if (bytes[i] === BYTE_NEWLINE) line++;
  return line;
}
