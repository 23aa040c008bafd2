/**
 * Installs dependencies when what is installed was made from other manifests. pnpm itself takes about a second
 * to find out that nothing is to do; comparing a hash takes a few milliseconds.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './run-command.mjs';

/** By npm, which runs this: npx, which is a program of its own, is not everywhere beside it. */
const PNPM = [
  'exec',
  '--yes',
  '--',
  'pnpm@10',
  'install',
  '--frozen-lockfile',
  '--prefer-offline',
  '--reporter=append-only',
  '--loglevel=warn',
];

/** Hash of the lock file and every manifest: any of them decides what node_modules must hold. */
export function manifestHash(root) {
  const packages = existsSync(join(root, 'packages')) ? readdirSync(join(root, 'packages')).sort() : [];
  const files = [
    'package.json',
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
    ...packages.map((name) => join('packages', name, 'package.json')),
  ];
  const hash = createHash('sha256').update(`${process.platform}-${process.arch}`);
  for (const file of files) {
    const path = join(root, file);
    hash.update(`\n${file}\n`).update(existsSync(path) ? readFileSync(path) : '');
  }
  return hash.digest('hex');
}

/** Exit code; 0 as well when nothing had to be done. */
export async function install(root) {
  const stamp = join(root, 'node_modules', '.pgdog-install');
  const wanted = manifestHash(root);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return 0;
  console.log('installing dependencies (once; some 200 MB with the Postgres of the demo and the tests)');
  // CI=true: pnpm must never ask before it replaces a node_modules directory.
  const environment = {
    ...process.env,
    CI: 'true',
    npm_config_loglevel: 'error',
    npm_config_update_notifier: 'false',
  };
  const code = await runCommand(process.platform === 'win32' ? 'npm.cmd' : 'npm', PNPM, {
    cwd: root,
    env: environment,
  });
  if (code === 0) writeFileSync(stamp, wanted);
  else
    console.error('installing failed (needs the npm registry, or a mirror in .npmrc); nothing was started');
  return code === 0 ? 0 : 1;
}
