// A machine with Node and npm only: npx is a program of its own, and may be missing beside them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const INSTALL = new URL('../../../scripts/install.mjs', import.meta.url).href;

test('dependencies are installed by npm, which is all that is needed beside Node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgdog-install-'));
  try {
    const npm = join(folder, 'npm');
    writeFileSync(npm, `#!/bin/sh\necho "$@" > '${folder}/asked'\n`);
    chmodSync(npm, 0o755);
    mkdirSync(join(folder, 'node_modules'));
    const program = `const { install } = await import('${INSTALL}'); process.exit(await install('${folder}'));`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      env: { PATH: folder },
      encoding: 'utf8',
    });
    assert.match(readFileSync(join(folder, 'asked'), 'utf8'), /^exec --yes -- pnpm@10 install /);
    assert.equal(status, 0, stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
