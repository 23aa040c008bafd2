import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { deriveVerifier, formatVerifier, md5Hash } from '@pgdog-cluster/core';
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

export interface HashOptions {
  /** Other users of the machine can read it from the list of processes: better left out. */
  password?: string;
  iterations?: number;
  /** User whose md5 hash is wanted instead: the name is part of it. */
  md5?: string;
}

/** `pgdog-cluster hash`: what stands for a password in password_hash or in a role on the server. */
export async function hash({ password, iterations, md5 }: HashOptions, io: CommandIo): Promise<ExitCode> {
  if (md5 === '' || (md5 !== undefined && iterations !== undefined)) {
    io.err(
      md5 === '' ? 'error: --md5 needs the name of a user' : 'error: --iterations is for SCRAM verifiers',
    );
    return EXIT_USAGE;
  }
  const text = password ?? (await readPassword());
  if (text === '' || text.length > PASSWORD_BYTES_MAX) {
    io.err(text === '' ? 'error: the password is empty' : 'error: the password is too long');
    return EXIT_USAGE;
  }
  io.out(md5 === undefined ? formatVerifier(deriveVerifier(text, iterations)) : `md5${md5Hash(text, md5)}`);
  return EXIT_OK;
}
