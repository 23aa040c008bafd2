/** The command line as a user runs it, to its end. */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const programPath = join(
  dirname(createRequire(import.meta.url).resolve('pgdog-cluster/package.json')),
  'bin',
  'pgdog-cluster.js',
);

export function runProgram(args: string[], cwd: string): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [programPath, ...args], { cwd }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err });
    });
  });
}
