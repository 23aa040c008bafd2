// Each law of the tidy test shown to find what it forbids, and to leave alone what it allows.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findFunctions, findImports, readSource } from '../support/source-text.js';
import * as laws from '../support/tidy-laws.js';

const source = (path: string, text: string) => readSource({ path, text });
const lines = (count: number, line = 'x();'): string => `${line}\n`.repeat(count);
const HOT = '/** ● Walks frames. */\n';

/** `bad` must give exactly one finding that matches, `good` none. */
function expectOne(findings: string[], pattern: RegExp): void {
  assert.equal(findings.length, 1, findings.join('\n'));
  assert.match(findings[0] ?? '', pattern);
}

describe('reading sources', () => {
  it('tells code from strings, comments, templates and regular expressions', () => {
    const { code, regexOffsets } = source(
      'a.ts',
      'a = `x ${f(`in ${1}`)} {` / 2; // b {\nc = "}\\"{" + \'{\'; d = /[/{]\\/{/g; e = x / y / z;',
    );
    assert.equal(code.split('{').length, 3, code);
    assert.equal(code.split('}').length, 3, code);
    assert.equal(regexOffsets.length, 1);
  });
  it('finds functions of every form, with their length', () => {
    const text = [
      'export async function one(a: { b: number }): Promise<{ c: string }> {',
      '  if (a) { return a; }',
      '}',
      'class A { constructor() { this.x = 1; } #two<T>(x: T): x is T { return true; } get three(): number { return 3; } }',
      'const four = (a: number): void => {',
      '  for (const x of y) { z(() => { w(); }); }',
      '};',
      'const five = async x => { };',
      'const six = { a: b(1), c: { d: 2 } };',
      'const seven = a ? (b) : { c: 1 };',
      'interface B { eight(a: string): { b: number }; }',
    ].join('\n');
    const found = findFunctions(source('a.ts', text)).map(
      ({ name, line, lineCount }) => `${name}:${line}:${lineCount}`,
    );
    const expected = [
      'one:1:3',
      'constructor:4:1',
      '#two:4:1',
      'three:4:1',
      'anonymous:5:3',
      'anonymous:6:1',
      'anonymous:8:1',
    ];
    assert.deepEqual(found, expected);
  });
  it('finds imports of every form, not those in comments and strings', () => {
    const text =
      "import type { A } from './a.js';\nimport {\n  b,\n} from './b.js';\nexport * from './c.js';\nawait import('./d.js');\nimport './e.js';\nfork(new URL('f.js', import.meta.url));\n// import './g.js';\nconst s = \"import './h.js'\";";
    const found = findImports(source('x.ts', text));
    assert.deepEqual(found.map(({ name }) => name).sort(), [
      './a.js',
      './b.js',
      './c.js',
      './d.js',
      './e.js',
      'f.js',
    ]);
    assert.deepEqual(
      found.filter(({ isType }) => isType).map(({ name }) => name),
      ['./a.js'],
    );
  });
});

describe('laws', () => {
  it('file size: wall, reason, ratchet', () => {
    const check = (text: string, ratchet: Record<string, number> = {}): string[] =>
      laws.checkFileSizes([{ path: 'a.ts', text }], ratchet);
    expectOne(check(lines(801)), /801 lines, the wall/);
    expectOne(check(lines(401)), /say at its head/);
    assert.deepEqual(check(`/** Is ${laws.LONG_FILE_PHRASE}: one table. */\n${lines(401)}`), []);
    assert.deepEqual(check(lines(400)), []);
    assert.deepEqual(check(lines(450), { 'a.ts': 450 }), []);
    expectOne(check(lines(451), { 'a.ts': 450 }), /ratchet says 450/);
    expectOne(check(lines(300), { 'a.ts': 450 }), /take it off/);
    expectOne(check('', { 'gone.ts': 1 }), /gone/);
  });
  it('function size: wall and share', () => {
    const of = (count: number): string => `function f(): void {\n${lines(count - 2)}}\n`;
    expectOne(laws.checkFunctionSizes([source('a.ts', of(71) + of(5).repeat(20))]), /f has 71 lines/);
    assert.deepEqual(laws.checkFunctionSizes([source('a.ts', of(70) + of(40).repeat(9))]), []);
    expectOne(laws.checkFunctionSizes([source('a.ts', of(41) + of(40).repeat(8))]), /only 8 of 9/);
  });
  it('import direction', () => {
    const check = (path: string, text: string): string[] => laws.checkImportDirection([source(path, text)]);
    expectOne(
      check('packages/core/src/a.ts', "import { x } from '@pgdog-cluster/worker';"),
      /nothing of ours/,
    );
    expectOne(check('packages/core/src/a.ts', "import { x } from 'node:net';"), /no I\/O/);
    assert.deepEqual(
      check('packages/core/src/a.ts', "import type { x } from 'node:worker_threads';\nimport 'node:crypto';"),
      [],
    );
    expectOne(check('packages/worker/src/a.ts', "export * from 'pgdog-cluster';"), /worker only core/);
    expectOne(
      check('packages/supervisor/src/a.ts', "await import('@pgdog-cluster/worker/serve');"),
      /supervisor imports/,
    );
    expectOne(check('packages/supervisor/src/a/b.ts', "import '../../../worker/src/x.js';"), /leaves/);
    assert.deepEqual(
      check(
        'packages/worker/src/a/b.ts',
        "import '@pgdog-cluster/core';\nimport '../c.js';\nimport 'koffi';",
      ),
      [],
    );
  });
  it('parts of core are for the supervisor, not for every worker thread', () => {
    const text = "import { a } from '@pgdog-cluster/core/config';";
    assert.deepEqual(laws.checkImportDirection([source('packages/supervisor/src/a.ts', text)]), []);
    expectOne(laws.checkImportDirection([source('packages/worker/src/a.ts', text)]), /worker only core/);
  });
  it('entries are what package.json exports', () => {
    const exports = {
      '.': { default: './dist/index.js' },
      './demo/*': { default: './dist/demo/*.js' },
      './package.json': './package.json',
    };
    assert.deepEqual(laws.exportedSources('packages/a', JSON.stringify({ exports })), [
      'packages/a/src/index.ts',
    ]);
  });
  it('dead files', () => {
    const tree = [
      source('s/index.ts', "export * from './a/b.js';"),
      source('s/a/b.ts', "new URL('c.js', here)"),
      source('s/a/c.ts', ''),
      source('s/d.ts', ''),
    ];
    expectOne(laws.checkDeadFiles(tree, ['s/index.ts']), /^s\/d\.ts/);
  });
  it('hot files', () => {
    const check = (text: string, head = HOT): string[] =>
      laws.checkHotFiles([source('packages/core/src/a.ts', head + text)]);
    for (const bad of [
      'await f();',
      'JSON.parse(x);',
      'console.error(x);',
      'Buffer.concat([a]);',
      "new RegExp('x');",
      'function f() { return new Map(); }',
      'class A { b() { const c = new Set(); } }',
    ]) {
      expectOne(check(bad), /^packages\/core\/src\/a\.ts:2: /);
      expectOne(check(bad, '// ● per-frame path\n'), /a\.ts:2: /);
      assert.deepEqual(check(bad, '/** Cold. */\n'), []);
    }
    assert.deepEqual(
      check(
        "const a = new Map();\nclass B { c = new Set(); constructor() { this.d = new Map(); } }\nconst s = 'await JSON.'; // await\n",
      ),
      [],
    );
  });
  it('a rule may be broken where a comment says why', () => {
    const check = (text: string): string[] =>
      laws.checkHotFiles([source('packages/core/src/a.ts', HOT + text)]);
    assert.deepEqual(check('// exempt: once per turn, so that timers run.\nawait f();'), []);
    expectOne(check('// exempt:\nawait f();'), /await/);
    expectOne(check("const a = 'exempt: me';\nawait f();"), /await/);
    expectOne(check('// exempt: far away.\n\n\nawait f();'), /await/);
  });
  it('regular expressions in the data plane only', () => {
    const text = 'const a = 4 / 2; const b = /x/.test(c);';
    expectOne(laws.checkDataPlaneRegex([source('packages/worker/src/a.ts', text)]), /a\.ts:1/);
    expectOne(laws.checkDataPlaneRegex([source('packages/core/src/wire/a.ts', text)]), /a\.ts:1/);
    assert.deepEqual(laws.checkDataPlaneRegex([source('packages/core/src/config/a.ts', text)]), []);
  });
  it('micro benches, printing, names, places', () => {
    const hot = source('packages/core/src/frame-walk.ts', HOT);
    expectOne(laws.checkMicroBenches([hot], [source('bench/micro/a.ts', 'other')]), /mentions frame-walk/);
    expectOne(
      laws.checkMicroBenches([hot], [source('bench/micro/a.ts', '// frame-walker')]),
      /mentions frame-walk/,
    );
    assert.deepEqual(laws.checkMicroBenches([hot], [source('bench/micro/a.ts', '// frame-walk')]), []);
    expectOne(laws.checkPrinting([source('packages/worker/src/a.ts', 'console.log(1);')]), /use the logger/);
    assert.deepEqual(
      laws.checkPrinting([source('packages/supervisor/src/demo/a.ts', 'console.log(1);')]),
      [],
    );
    assert.equal(
      laws.checkNames(['a/b-c.ts', 'test/b-c.test.ts', 'a/frameWalk.ts', 'A/b.ts', 'a/b_c.mjs']).length,
      3,
    );
    expectOne(
      laws.checkTestPlaces(['packages/a/src/b.ts', 'test/unit/b.test.ts', 'packages/a/src/b.test.ts']),
      /src\/b\.test/,
    );
  });
  it('banned words', () => {
    const check = (text: string): string[] => laws.checkBannedWords([source('a.ts', text)]);
    const machine = ['', 'work', 'main'].join('/');
    const onlyWord = 'only';
    for (const bad of [
      'let a: any;',
      'f(x as any);',
      'let b: Map<string, any>;',
      'let c: any[];',
      `it.${onlyWord}('x');`,
      `// ${'TO'}DO later`,
      `/* ${'FIX'}ME */`,
      `// @ts-${'ignore'}`,
      `const p = '${machine}';`,
      `// see ${'issue'} 12`,
    ]) {
      expectOne(check(bad), /^a\.ts:1/);
    }
    assert.deepEqual(
      check(
        "Promise.any(x); const any = f(); g(fd, any, any.length); const many = 'any'; // any of them\nconst any_ = 1; // todo lists are fine",
      ),
      [],
    );
  });
  it('links of documents', () => {
    const exists = (path: string): boolean => ['README.md', 'guide/a.md', 'guide'].includes(path);
    const docs = (text: string) => [
      { path: 'guide/a.md', text },
      { path: 'README.md', text: '# The `big` one: 2 words\n' },
    ];
    const check = (text: string): string[] => laws.checkDocLinks(docs(text), [], exists);
    assert.deepEqual(
      check(
        '[a](../README.md#the-big-one-2-words) [b](https://example.com/x) [c](#here)\n## Here\n```\n[d](none.md)\n```\n',
      ),
      [],
    );
    expectOne(check('[a](missing.md)'), /guide\/a\.md:1: missing\.md leads nowhere/);
    expectOne(check('\n[a](../README.md#other)'), /:2: README\.md has no heading #other/);
    expectOne(
      laws.checkDocLinks([], [{ path: 'x.ts', text: `// See ${'docs'}/internals/gone.md.` }], exists),
      /does not exist/,
    );
  });
});
