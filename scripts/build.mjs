/** Compiles and bundles what changed; a stamp over sizes and times skips even the compiler's own look. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { runCommand } from './run-command.mjs';

const TREES = [
  'packages/core',
  'packages/worker',
  'packages/supervisor',
  'packages/dashboard',
  'test',
  'bench',
];
const SKIPPED = new Set(['node_modules', 'results']);

function* filesBelow(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (SKIPPED.has(entry.name)) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

/** Sources and compiled files by name, size and time: a deleted dist/ is seen as well as an edited source. */
function treeHash(root) {
  const hash = createHash('sha256').update(process.version);
  for (const tree of TREES) {
    for (const path of existsSync(join(root, tree)) ? filesBelow(join(root, tree)) : []) {
      const { size, mtimeMs } = statSync(path);
      hash.update(`${path} ${size} ${mtimeMs}\n`);
    }
  }
  for (const file of [
    'tsconfig.json',
    'tsconfig.base.json',
    'node_modules/.pgdog-install',
    'scripts/bundle.mjs',
  ]) {
    if (existsSync(join(root, file))) hash.update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

/**
 * Compiled files whose source is gone: the compiler leaves them, and the test runner would run them. A package
 * compiles src/ to dist/, test and bench compile . to dist/.
 */
function removeOrphans(root) {
  for (const tree of TREES) {
    const dist = join(root, tree, 'dist');
    if (!existsSync(dist)) continue;
    const source = tree.startsWith('packages/') ? join(root, tree, 'src') : join(root, tree);
    for (const path of filesBelow(dist)) {
      if (!path.endsWith('.js')) continue;
      const stem = path.slice(dist.length + 1, -'.js'.length);
      if (existsSync(join(source, `${stem}.ts`))) continue;
      for (const ending of ['.js', '.js.map', '.d.ts', '.d.ts.map'])
        rmSync(join(dist, stem + ending), { force: true });
    }
  }
}

/** Exit code. */
export async function build(root) {
  const stamp = join(root, 'node_modules', '.pgdog-build');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === treeHash(root)) return 0;
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const code = await runCommand(process.execPath, [compiler, '-b'], { cwd: root });
  if (code !== 0) return 1;
  removeOrphans(root);
  if ((await bundle(root)) !== 0) return 1;
  writeFileSync(stamp, treeHash(root));
  return 0;
}
