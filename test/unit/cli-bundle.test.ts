/** Which code the command runs: the bundle, unless somebody has compiled since; and that its traces name the sources. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { databaseOf, startProxy } from '../support/proxy.js';
import { ROOT } from '../support/tree.js';

const COMMAND = 'packages/supervisor/bin/pgdog-cluster.js';
const directory = mkdtempSync(join(tmpdir(), 'pgdog-bundle-'));
after(() => rmSync(directory, { recursive: true }));

/** A tree whose files are as old as said, in seconds; what the command says of itself there. */
function whatRuns(name: string, ages: Record<string, number>): string {
  const root = join(directory, name);
  cpSync(join(ROOT, COMMAND), join(root, COMMAND));
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  const nowS = Date.now() / 1000;
  for (const [file, ageS] of Object.entries({ 'packages/supervisor/dist/main.js': 0, ...ages })) {
    const path = join(root, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.endsWith('main.js') ? `console.log(${JSON.stringify(file)});` : '');
    utimesSync(path, nowS - ageS, nowS - ageS);
  }
  return execFileSync(process.execPath, [join(root, COMMAND)], { encoding: 'utf8' }).trim();
}

const BUNDLE = { 'packages/supervisor/bundle/main.js': 50, 'packages/supervisor/bundle/serve.js': 50 };
const stamps = (core: number, worker: number, supervisor: number): Record<string, number> => ({
  'packages/core/dist/.tsbuildinfo': core,
  'packages/worker/dist/.tsbuildinfo': worker,
  'packages/supervisor/dist/.tsbuildinfo': supervisor,
});

test('the bundle runs when nothing was compiled after it, and in a package, where nothing is compiled', () => {
  assert.equal(whatRuns('built', { ...BUNDLE, ...stamps(60, 60, 60) }), 'packages/supervisor/bundle/main.js');
  assert.equal(whatRuns('published', BUNDLE), 'packages/supervisor/bundle/main.js');
});

test('compiled later, or bundled in part, or not at all: what the compiler wrote', () => {
  const compiled = 'packages/supervisor/dist/main.js';
  assert.equal(whatRuns('core', { ...BUNDLE, ...stamps(40, 60, 60) }), compiled);
  assert.equal(whatRuns('worker', { ...BUNDLE, ...stamps(60, 40, 60) }), compiled);
  assert.equal(whatRuns('supervisor', { ...BUNDLE, ...stamps(60, 60, 40) }), compiled);
  assert.equal(
    whatRuns('part', { 'packages/supervisor/bundle/main.js': 0, ...stamps(60, 60, 60) }),
    compiled,
  );
  assert.equal(whatRuns('none', stamps(60, 60, 60)), compiled);
});

test('the trace of a crash names the file of the source, of a worker as well', async () => {
  const proxy = await startProxy({
    workers: 1,
    databases: [databaseOf({ host: '127.0.0.1', port: 1 })],
    general: { log_format: 'json', min_pool_size: 0 },
  });
  try {
    await proxy.adminQuery('CRASH WORKER 0').catch(() => undefined);
    await proxy.waitForOutput('worker_crashed');
    const line = proxy.output.split('\n').find((text) => text.includes('worker_crashed')) ?? '{}';
    const { fields } = JSON.parse(line) as { fields: { stack: string } };
    assert.match(fields.stack, /packages\/worker\/src\/loop\.ts:\d+/);
  } finally {
    await proxy.stop();
  }
});
