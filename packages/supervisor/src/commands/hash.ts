import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { deriveVerifier, formatVerifier } from '@pgdog-cluster/core';
import { type CommandIo, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.js';

/** Longer than any password Postgres or PgBouncer takes. */
const PASSWORD_BYTES_MAX = 65_536;

/** One line typed at a terminal, unseen: readline edits and echoes into nothing. */
async function askPassword(): Promise<string> {
  process.stderr.write('password: ');
  const nothing = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: nothing, terminal: true });
  try {
    return await reader.question('');
  } finally {
    reader.close();
    process.stderr.write('\n');
  }
}

/** The first line; what `echo` or an editor adds is not part of the password. */
async function readPassword(): Promise<string> {
  if (process.stdin.isTTY) return askPassword();
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk;
    if (text.includes('\n') || text.length > PASSWORD_BYTES_MAX) break;
  }
  const [line] = text.split('\n');
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

/** `pgdog-cluster hash`: a password's SCRAM verifier, for password_hash or a role on the server. */
export async function hash(password: string | undefined, io: CommandIo): Promise<ExitCode> {
  const text = password ?? (await readPassword());
  if (text === '' || text.length > PASSWORD_BYTES_MAX) {
    io.err(text === '' ? 'error: the password is empty' : 'error: the password is too long');
    return EXIT_USAGE;
  }
  io.out(formatVerifier(deriveVerifier(text)));
  return EXIT_OK;
}
