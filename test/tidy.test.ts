// The laws of the tree, on the tree. What each law can find is shown in unit/support-tidy.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readSource } from './support/source-text.js';
import * as laws from './support/tidy-laws.js';
import { existsInTree, listFiles, readFiles } from './support/tree.js';

/** Files over 400 lines that have no reason at their head yet, with the lines they may have. Only ever shorter. */
const RATCHET: Record<string, number> = {};

/** Where chains of imports begin: what each package.json exports, and the command's own file. */
const ENTRIES = [
  ...readFiles(['core', 'worker', 'supervisor'].map((name) => `packages/${name}/package.json`)).flatMap(
    ({ path, text }) => laws.exportedSources(path.replace('/package.json', ''), text),
  ),
  'packages/supervisor/src/main.ts',
  'packages/dashboard/src/main.ts',
];

const packages = readFiles(listFiles('packages', ['.ts'])).map(readSource);
const benches = readFiles(listFiles('bench', ['.ts'])).map(readSource);
const tests = readFiles(listFiles('test', ['.ts'])).map(readSource);
const scripts = readFiles(listFiles('scripts', ['.mjs'])).map(readSource);
const programs = [...packages, ...benches, ...scripts];
const all = [...programs, ...tests];
const documents = readFiles(listFiles('', ['.md']));

function expectNone(findings: string[]): void {
  assert.equal(findings.length, 0, `\n${findings.join('\n')}\n`);
}

describe('tidy', () => {
  it('has something to look at', () => {
    assert.ok(packages.length > 20 && tests.length > 5 && scripts.length > 2);
    assert.ok(
      packages.some(({ text }) => laws.isHotFile(text)),
      'no file is marked ●',
    );
  });
  it('files are short, or say why not', () => expectNone(laws.checkFileSizes(all, RATCHET)));
  it('the median source file has at most 180 lines', () => {
    const sorted = packages.map(({ text }) => laws.lineCount(text)).sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1] ?? 0;
    assert.ok(median <= 180, `median of ${sorted.length} files is ${median}`);
  });
  it('functions are short', () =>
    expectNone(
      laws.checkFunctionSizes([...programs, ...tests.filter(({ path }) => path.startsWith('test/support/'))]),
    ));
  it('imports point one way', () => expectNone(laws.checkImportDirection(packages)));
  it('every source file is used', () => expectNone(laws.checkDeadFiles(packages, ENTRIES)));
  it('every helper of the tests and the bench is used', () => {
    expectNone(
      laws.checkDeadFiles(
        tests,
        tests.map(({ path }) => path).filter((path) => path.endsWith('.test.ts') || path.endsWith('.d.ts')),
      ),
    );
    // The holder of idle clients and the halves of a storm are started as processes of their own.
    const micro = benches.map(({ path }) => path).filter((path) => path.startsWith('bench/micro/'));
    expectNone(
      laws.checkDeadFiles(benches, [
        'bench/main.ts',
        'bench/macro/idle-holder.ts',
        'bench/macro/storm-load.ts',
        ...micro,
      ]),
    );
  });
  it('hot files make and wait for nothing', () => expectNone(laws.checkHotFiles(packages)));
  it('the data plane has no regular expressions', () => expectNone(laws.checkDataPlaneRegex(packages)));
  it('every hot file has a micro bench', () =>
    expectNone(
      laws.checkMicroBenches(
        packages,
        benches.filter(({ path }) => path.startsWith('bench/micro/')),
      ),
    ));
  it('only commands print', () => expectNone(laws.checkPrinting(packages)));
  it('names are kebab-case', () => expectNone(laws.checkNames(all.map(({ path }) => path))));
  it('no tests under src', () => expectNone(laws.checkTestPlaces(packages.map(({ path }) => path))));
  it('nothing is unfinished, switched off or bound to one machine', () => {
    expectNone(laws.checkBannedWords(all));
    expectNone(
      laws.checkBannedWords(
        documents.map((document) => ({ ...document, code: '', withoutComments: '', regexOffsets: [] })),
      ),
    );
  });
  it('links of the documents resolve', () => expectNone(laws.checkDocLinks(documents, all, existsInTree)));
});
