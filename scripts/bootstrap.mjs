/**
 * What `npm run demo`, `npm test` and `npm run bench` go through: install if needed, build, run. Plain JavaScript
 * without dependencies, since it runs before there are any.
 *
 *   node scripts/bootstrap.mjs demo|test|bench|build [arguments]
 *
 * Exit code: that of what ran; 1 when installing or building failed; 2 for a wrong call or Node too old.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_MIN = [20, 19];
const root = dirname(dirname(fileURLToPath(import.meta.url)));

function nodeProblem(version) {
  const [major, minor] = version.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return '';
  return `pgdog-cluster needs Node ${NODE_MIN.join('.')} or newer; this is Node ${version}. See https://nodejs.org/en/download`;
}

const problem = nodeProblem(process.versions.node);
if (problem !== '') {
  console.error(problem);
  process.exit(2);
}

// Imported only now: the files below may use what an older Node cannot parse.
const { install } = await import('./install.mjs');
const { build } = await import('./build.mjs');

/**
 * Goes on as the program itself, in this process: one process less between Ctrl-C and what must clean up, and
 * the exit code is the program's own.
 */
async function become(path, args) {
  process.argv = [process.execPath, path, ...args];
  process.setSourceMapsEnabled(true);
  await import(pathToFileURL(path).href);
  return undefined;
}

const commands = {
  demo: (args) => become(join(root, 'packages', 'supervisor', 'bin', 'pgdog-cluster.js'), ['demo', ...args]),
  test: async (args) => (await import('./run-tests.mjs')).runTests(root, args),
  bench: (args) => become(join(root, 'bench', 'dist', 'main.js'), args),
  build: async () => 0,
};

const [name = '', ...args] = process.argv.slice(2);
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command === undefined) {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  console.error(
    `usage: node scripts/bootstrap.mjs ${Object.keys(commands).join('|')} [arguments]  (npm run ${Object.keys(scripts).join(', ')})`,
  );
  process.exit(2);
}

let code = await install(root);
if (code === 0) code = await build(root);
if (code === 0) code = await command(args);
if (code !== undefined) process.exitCode = code;
