/**
 * The laws of the tree as functions from texts to findings, so that each can be shown to find something. A
 * finding is one line: path, line where there is one, what is wrong, what to do.
 */
import { posix } from 'node:path';
import {
  type FunctionSpan,
  findFunctions,
  findImports,
  lineAt,
  type ReadSource,
  type SourceFile,
} from './source-text.js';

export const FILE_LINES_WALL = 800;
export const FILE_LINES_EXPLAINED = 400;
export const FUNCTION_LINES_WALL = 70;
export const FUNCTION_LINES_USUAL = 40;
export const FUNCTION_USUAL_SHARE = 0.9;

/** What the head of a file over 400 lines must say, with its reason. */
export const LONG_FILE_PHRASE = 'over 400 lines';

export function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

/** The comments a file begins with, up to its first line of code; empty when it begins with code. */
export function headComment(text: string): string {
  const head: string[] = [];
  let isInBlock = false;
  for (const line of text.split('\n')) {
    const start = line.trimStart();
    const isComment =
      isInBlock || start === '' || start.startsWith('//') || start.startsWith('/*') || start.startsWith('#!');
    if (!isComment) break;
    head.push(line);
    isInBlock = (isInBlock || start.startsWith('/*')) && !line.includes('*/');
  }
  return head.join('\n');
}

/**
 * Size of files. `ratchet` lists files over 400 lines without a reason yet, with the lines they may have: they
 * may shrink, and leave the list when they are short enough.
 */
export function checkFileSizes(files: SourceFile[], ratchet: Record<string, number>): string[] {
  const findings: string[] = [];
  for (const { path, text } of files) {
    const lines = lineCount(text);
    const allowed = ratchet[path];
    if (lines > FILE_LINES_WALL)
      findings.push(`${path}: ${lines} lines, the wall is ${FILE_LINES_WALL}: split it by nouns`);
    else if (allowed !== undefined && lines > allowed)
      findings.push(`${path}: ${lines} lines, its ratchet says ${allowed}: do not grow it`);
    else if (
      allowed === undefined &&
      lines > FILE_LINES_EXPLAINED &&
      !headComment(text).includes(LONG_FILE_PHRASE)
    ) {
      findings.push(`${path}: ${lines} lines: split it, or say at its head why it is ${LONG_FILE_PHRASE}`);
    }
    if (allowed !== undefined && lines <= FILE_LINES_EXPLAINED)
      findings.push(`${path}: ${lines} lines: take it off the ratchet`);
  }
  for (const path of Object.keys(ratchet)) {
    if (!files.some((file) => file.path === path)) findings.push(`${path}: on the ratchet, but gone`);
  }
  return findings;
}

/** Length of functions: the wall for each, and the share of usual ones for all together. */
export function checkFunctionSizes(sources: ReadSource[]): string[] {
  const findings: string[] = [];
  let usual = 0;
  let total = 0;
  for (const source of sources) {
    for (const { name, line, lineCount: lines } of findFunctions(source)) {
      total++;
      if (lines <= FUNCTION_LINES_USUAL) usual++;
      if (lines > FUNCTION_LINES_WALL)
        findings.push(
          `${source.path}:${line}: ${name} has ${lines} lines, the wall is ${FUNCTION_LINES_WALL}`,
        );
    }
  }
  if (total > 0 && usual / total < FUNCTION_USUAL_SHARE) {
    findings.push(
      `only ${usual} of ${total} functions have at most ${FUNCTION_LINES_USUAL} lines; ${FUNCTION_USUAL_SHARE * 100} % must`,
    );
  }
  return findings;
}

/** core does no I/O: nothing that opens files, sockets, processes or threads; types are free. */
const IO_MODULES = new Set(
  'fs fs/promises net http https tls dgram dns child_process worker_threads cluster readline os process'
    .split(' ')
    .map((name) => `node:${name}`)
    .concat('pg', 'koffi', 'pino', 'piscina', 'postgres'),
);
const OURS = ['@pgdog-cluster/core', '@pgdog-cluster/worker', 'pgdog-cluster'];

const DIRECTION = 'core imports nothing of ours, worker only core, supervisor only core and its parts';

/** core/config brings zod and the schemas with it: nothing for every worker thread. */
function mayImport(packageName: string, name: string): boolean {
  if (packageName === 'core') return false;
  // A browser loads it: of ours only what was made for that.
  if (packageName === 'dashboard') return name === '@pgdog-cluster/core/status';
  const isPart = packageName === 'supervisor' && name.startsWith('@pgdog-cluster/core/');
  return isPart || name === '@pgdog-cluster/core';
}

/** Source files that a package.json's `exports` name; wildcards name files that something else must reach. */
export function exportedSources(packagePath: string, manifest: string): string[] {
  const { exports = {} } = JSON.parse(manifest) as { exports?: Record<string, string | { default: string }> };
  return Object.values(exports)
    .map((target) => (typeof target === 'string' ? target : target.default))
    .filter((target) => target.startsWith('./dist/') && !target.includes('*'))
    .map((target) => `${packagePath}/src/${target.slice('./dist/'.length).replace(/\.js$/, '.ts')}`);
}

export function checkImportDirection(sources: ReadSource[]): string[] {
  const findings: string[] = [];
  for (const source of sources) {
    const [, packageName = ''] = source.path.split('/');
    const root = `packages/${packageName}/src/`;
    for (const { name, isType, offset } of findImports(source)) {
      const place = `${source.path}:${lineAt(source.text, offset)}`;
      const isOurs = OURS.some((ours) => name === ours || name.startsWith(`${ours}/`));
      if (isOurs && !mayImport(packageName, name)) {
        findings.push(`${place}: ${packageName} imports ${name}; ${DIRECTION}`);
      }
      if (packageName === 'core' && !isType && IO_MODULES.has(name))
        findings.push(`${place}: core imports ${name}, but does no I/O`);
      if (name.startsWith('.') && !posix.join(posix.dirname(source.path), name).startsWith(root))
        findings.push(`${place}: ${name} leaves ${root}`);
    }
  }
  return findings;
}

/** Files of `sources` that no chain of imports from `entries` reaches. */
export function checkDeadFiles(sources: ReadSource[], entries: string[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const reached = new Set<string>();
  const queue = entries.filter((path) => byPath.has(path));
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const source = byPath.get(path);
    if (source === undefined) continue;
    for (const { name } of findImports(source)) {
      const target = posix.join(posix.dirname(path), name).replace(/\.js$/, '.ts');
      if (byPath.has(target)) queue.push(target);
    }
  }
  return sources
    .filter(({ path }) => !reached.has(path))
    .map(({ path }) => `${path}: nothing imports it: export it, use it, or delete it`);
}

/** A file on the per-frame path says so in the first line of its head. */
export function isHotFile(text: string): boolean {
  const first =
    headComment(text)
      .split('\n')
      .find((line) => !line.startsWith('#!') && /\w|●/.test(line)) ?? '';
  return first.includes('●');
}

const HOT_BANS: [RegExp, string][] = [
  [/\bawait\b/g, 'await: the loop never waits'],
  [/\basync\b/g, 'async: the loop never waits'],
  [/\bJSON\./g, 'JSON: it allocates; read bytes in place'],
  [/\bconsole\./g, 'console: log over the control port'],
  [/\bBuffer\.concat\b/g, 'Buffer.concat: it copies; keep cursors'],
  [/\bnew RegExp\b/g, 'RegExp: no regular expressions in the data plane'],
];
const COLLECTION = /\bnew (?:Map|Set|WeakMap)\b/g;

/** Collections may be made once, by a module, a field or a constructor; not by what runs per frame. */
function isMadeOnce(functions: FunctionSpan[], offset: number): boolean {
  const around = functions.filter(({ start, end }) => start < offset && offset < end);
  return around.every(
    ({ name }) => name === 'constructor' || name.startsWith('create') || name.startsWith('open'),
  );
}

/**
 * Any rule may be broken where a comment says why: `exempt: reason` on the line or one of the two above it.
 */
export function isExempt(text: string, offset: number): boolean {
  const line = lineAt(text, offset);
  const near = text.split('\n').slice(Math.max(0, line - 3), line);
  return near.some((each) => /(?:\/\/|\*).*\bexempt: \w/.test(each));
}

export function checkHotFiles(sources: ReadSource[]): string[] {
  const findings: string[] = [];
  for (const source of sources.filter(({ text }) => isHotFile(text))) {
    const at = (offset: number): string => `${source.path}:${lineAt(source.text, offset)}`;
    for (const [pattern, why] of HOT_BANS) {
      for (const match of source.code.matchAll(pattern)) {
        if (!isExempt(source.text, match.index)) findings.push(`${at(match.index)}: ${why}`);
      }
    }
    const functions = findFunctions(source);
    for (const match of source.code.matchAll(COLLECTION)) {
      if (!isMadeOnce(functions, match.index) && !isExempt(source.text, match.index))
        findings.push(`${at(match.index)}: ${match[0]} per call: make it once`);
    }
  }
  return findings;
}

const DATA_PLANE = [
  'packages/worker/src/',
  'packages/core/src/wire/',
  'packages/core/src/sql/',
  'packages/core/src/shm/',
  'packages/core/src/route/',
];

export function checkDataPlaneRegex(sources: ReadSource[]): string[] {
  return sources
    .filter(({ path }) => DATA_PLANE.some((prefix) => path.startsWith(prefix)))
    .flatMap(({ path, text, regexOffsets }) =>
      regexOffsets.map(
        (offset) => `${path}:${lineAt(text, offset)}: regular expression in the data plane: compare bytes`,
      ),
    );
}

/** Every hot file's name must occur, as a word of its own, in some micro bench. */
export function checkMicroBenches(sources: SourceFile[], benches: SourceFile[]): string[] {
  const words = new Set(benches.flatMap(({ text }) => text.match(/[\w-]+/g) ?? []));
  return sources
    .filter(({ path, text }) => isHotFile(text) && !words.has(posix.basename(path, '.ts')))
    .map(
      ({ path }) => `${path}: marked ●, but no file of bench/micro mentions ${posix.basename(path, '.ts')}`,
    );
}

/** Programs talk to people in these places; everything else logs. */
const MAY_PRINT = [
  'packages/supervisor/src/cli.ts',
  'packages/supervisor/src/commands/',
  'packages/supervisor/src/demo/',
];

export function checkPrinting(sources: ReadSource[]): string[] {
  return sources
    .filter(({ path }) => !MAY_PRINT.some((prefix) => path.startsWith(prefix)))
    .flatMap(({ path, text, code }) =>
      [...code.matchAll(/\bconsole\.\w+/g)].map(
        (match) => `${path}:${lineAt(text, match.index)}: ${match[0]}: use the logger`,
      ),
    );
}

export function checkNames(paths: string[]): string[] {
  const part = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
  return paths
    .filter((path) => {
      const folders = path.split('/');
      const stem = (folders.pop() ?? '').replace(/(?:\.test)?\.(?:d\.ts|ts|mjs|js)$/, '');
      return ![...folders, stem].every((name) => part.test(name));
    })
    .map((path) => `${path}: names are kebab-case`);
}

export function checkTestPlaces(paths: string[]): string[] {
  return paths
    .filter((path) => path.includes('/src/') && /\.(?:test|spec)\.|__tests__|\/tests?\//.test(path))
    .map((path) => `${path}: a listing of src/ is the design; tests live in test/`);
}

const CODE_BANS: [RegExp, string][] = [
  // In the place of a type; a variable may have the name.
  [
    /(?:(?::|[<|&]|=>|\bas|\bextends)\s*any\b|,\s*any\s*>|\bany\[\])/g,
    'the type any: name the type, or unknown',
  ],
  [/\b(?:it|test|describe)\.only\b/g, '.only: it silences every other test'],
  [/\bonly: true\b/g, 'only: it silences every other test'],
];
/** In pieces, so that this file does not break its own law. */
const TEXT_BANS: [RegExp, string][] = [
  [
    new RegExp(
      `\\b(?:${['TO', 'FIX'].map((half, index) => half + ['DO', 'ME'][index]).join('|')}|X{3})\\b`,
      'g',
    ),
    'unfinished work: do it, or leave it out',
  ],
  [new RegExp(`@ts-${'(?:ignore|expect-error|nocheck)'}\\b`, 'g'), 'switches the compiler off'],
  [/\/(?:work|root|Users|home)\/\w/g, 'a path of one machine'],
  [/\bissues? #?\d+\b/gi, 'an issue number: say what it is about'],
];

/** Words that must not be anywhere; code bans look at code only, text bans at comments and strings as well. */
export function checkBannedWords(sources: ReadSource[]): string[] {
  return sources.flatMap(({ path, text, code }) => {
    const look = (where: string, bans: [RegExp, string][]): string[] =>
      bans.flatMap(([pattern, why]) =>
        [...where.matchAll(pattern)].map(
          (match) => `${path}:${lineAt(text, match.index)}: '${match[0]}': ${why}`,
        ),
      );
    return [...look(code, CODE_BANS), ...look(text, TEXT_BANS)];
  });
}

/** As forges make anchors of headings. */
export function anchorOf(heading: string): string {
  const kept = heading
    .replaceAll('`', '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '');
  return kept.trim().replaceAll(/\s/g, '-');
}

function anchors(markdown: string): Set<string> {
  const outside = markdown.replaceAll(/^```[\s\S]*?^```/gm, '');
  return new Set([...outside.matchAll(/^#{1,6} (.+)$/gm)].map((match) => anchorOf(match[1])));
}

/** Relative links of Markdown files, with their anchors, and `docs/….md` named in sources. */
export function checkDocLinks(
  documents: SourceFile[],
  sources: SourceFile[],
  exists: (path: string) => boolean,
): string[] {
  const findings: string[] = [];
  const byPath = new Map(documents.map((document) => [document.path, document]));
  for (const { path, text } of documents) {
    const outside = text.replaceAll(/^```[\s\S]*?^```/gm, (block) => block.replaceAll(/[^\n]/g, ' '));
    for (const match of outside.matchAll(/\]\(([^)\s]+)\)/g)) {
      const link = match[1];
      if (/^[a-z]+:/.test(link)) continue;
      const [file, anchor] = link.split('#');
      const target = file === '' ? path : posix.normalize(posix.join(posix.dirname(path), file));
      const place = `${path}:${lineAt(text, match.index)}`;
      if (!exists(target)) findings.push(`${place}: ${link} leads nowhere`);
      const document = byPath.get(target);
      if (anchor !== undefined && document !== undefined && !anchors(document.text).has(anchor))
        findings.push(`${place}: ${target} has no heading #${anchor}`);
    }
  }
  for (const { path, text } of sources) {
    for (const match of text.matchAll(/\bdocs\/[\w/-]+\.md\b/g)) {
      if (!exists(match[0]))
        findings.push(`${path}:${lineAt(text, match.index)}: ${match[0]} does not exist`);
    }
  }
  return findings;
}
