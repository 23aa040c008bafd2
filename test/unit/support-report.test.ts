// The last line of `npm test` is what people and machines believe: it must not overlook a failure.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../support/tree.js';

const HEAD = "import { describe, it } from 'node:test';\nimport assert from 'node:assert';\n";

describe('test report', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'pgdog-report-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  /** Runs the files through the report in a process of its own (node:test does not nest); its output and code. */
  function report(
    files: Record<string, string>,
    timeoutMs = 60_000,
  ): { lines: string[]; code: number | null } {
    const paths = Object.entries(files).map(([name, body]) => {
      const path = join(directory, name);
      writeFileSync(path, HEAD + body);
      return path;
    });
    const module = pathToFileURL(join(ROOT, 'scripts', 'test-report.mjs')).href;
    const program = [
      `import { run } from 'node:test'; import { TestReport } from '${module}';`,
      'const report = new TestReport(process.stdout);',
      `await report.read(run({ files: ${JSON.stringify(paths)}, timeout: ${timeoutMs} }), '${directory}');`,
      'process.exitCode = report.finish();',
    ].join('\n');
    // Without the variable that makes a nested runner report to its parent instead of running files.
    const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
    const main = join(directory, 'main.mjs');
    writeFileSync(main, program);
    const { stdout, status } = spawnSync(process.execPath, [main], { encoding: 'utf8', env });
    return { lines: stdout.trimEnd().split('\n'), code: status };
  }

  it('counts tests, not suites, and gives reasons of skips', () => {
    const { lines, code } = report({
      'good.test.mjs':
        "describe('s', () => { it('a', () => {}); it('b', () => {}); it('c', { skip: 'no psql here' }, () => {}); });\nit('d', () => {});",
    });
    assert.equal(lines.at(-1), '3 passed, 0 failed, 1 skipped');
    assert.equal(code, 0);
    assert.match(lines.join('\n'), /skipped: no psql here/);
  });
  it('counts a failure once and shows it, with what its file has said', () => {
    const { lines, code } = report({
      'bad.test.mjs':
        "console.log('said before'); describe('s', () => { describe('t', () => { it('broken', () => assert.equal(1, 2)); }); it('fine', () => {}); });",
      'good.test.mjs': "console.log('said by a good one'); it('fine', () => {});",
    });
    assert.equal(lines.at(-1), '2 passed, 1 failed');
    assert.equal(code, 1);
    assert.match(lines.join('\n'), /FAIL bad\.test\.mjs: broken\n[\s\S]*said before/);
    assert.doesNotMatch(lines.join('\n'), /said by a good one/);
  });
  it('counts a file that crashes, one that hangs, and a failing hook', () => {
    for (const body of [
      "throw new Error('at load');",
      'await new Promise(() => setInterval(() => {}, 1000));',
      "process.nextTick(() => process.exit(7));\nit('x', () => new Promise(() => setInterval(() => {}, 1000)));",
    ]) {
      const { lines, code } = report({ 'crash.test.mjs': body }, 3000);
      assert.match(lines.at(-1) ?? '', /^\d passed, [1-9]\d* failed$/, body);
      assert.equal(code, 1, body);
    }
    const hook = report({
      'hook.test.mjs':
        "import { before } from 'node:test';\ndescribe('s', () => { before(() => { throw new Error('hook'); }); it('a', () => {}); });",
    });
    assert.match(hook.lines.at(-1) ?? '', / [1-9]\d* failed$/);
    assert.equal(hook.code, 1);
  });
  it('no test at all is no success', () => {
    assert.equal(report({ 'empty.test.mjs': "describe('s', () => {});" }).code, 1);
  });
});
