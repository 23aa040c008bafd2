/**
 * PgBouncer's ini syntax: `[section]`, `key = value` to the end of the line, comments only at the start of one, `%include
 * file` relative to the working directory. Gives the lines in order; what they mean is said elsewhere.
 */
import { resolve } from 'node:path';
import type { ReadSecretFile } from '../entries.js';
import { type SourceText, suggestion } from '../parse-document.js';
import type { Place, ProblemList } from '../problem-list.js';

export interface IniLine {
  section: string;
  key: string;
  /** Without the blanks around it. */
  value: string;
  /** File as it was named. */
  source: string;
  line: number;
}

/** As deep as PgBouncer follows them; ends a file that includes itself. */
const INCLUDE_DEPTH_MAX = 10;
const INCLUDE = '%include';

interface Reading {
  lines: IniLine[];
  /** Names that are known. */
  sections: readonly string[];
  /** Goes on through an included file and back. */
  section: string;
  readFile: ReadSecretFile;
  problems: ProblemList;
}

/** Tells every line that is none with its number, never with its text: it may hold a password. */
export function readIni(
  source: SourceText,
  sections: readonly string[],
  readFile: ReadSecretFile,
  problems: ProblemList,
): IniLine[] {
  const reading: Reading = { lines: [], sections, section: '', readFile, problems };
  readText(source, reading, 0);
  return reading.lines;
}

function readText(source: SourceText, reading: Reading, depth: number): void {
  for (const [index, raw] of source.text.split('\n').entries()) {
    const text = raw.trim();
    if (text === '' || text.startsWith(';') || text.startsWith('#')) continue;
    const place = { source: source.name, line: index + 1, key: '' };
    if (text.startsWith('%')) {
      include(text, place, reading, depth);
    } else if (text.startsWith('[')) {
      beginSection(text, place, reading);
    } else {
      const pair = splitPair(text);
      if (pair === null) reading.problems.error(place, 'expected "key = value", "[section]" or a comment');
      else if (reading.section === '') reading.problems.error(place, 'stands before the first [section]');
      else if (!reading.sections.includes(reading.section)) continue;
      else reading.lines.push({ ...pair, section: reading.section, source: place.source, line: place.line });
    }
  }
}

function beginSection(text: string, place: Place, reading: Reading): void {
  if (!text.endsWith(']')) {
    reading.problems.error(place, 'expected "[section]", alone on its line');
    return;
  }
  reading.section = text.slice(1, -1).trim();
  const { section, sections } = reading;
  if (sections.includes(section)) return;
  reading.problems.error({ ...place, key: section }, `unknown section${suggestion(section, sections)}`);
}

function include(text: string, place: Place, reading: Reading, depth: number): void {
  const name = text.slice(INCLUDE.length).trim();
  const isInclude = text.startsWith(INCLUDE) && /^\s/.test(text.slice(INCLUDE.length)) && name !== '';
  if (!isInclude) {
    reading.problems.error(place, 'expected "%include file"');
    return;
  }
  if (depth >= INCLUDE_DEPTH_MAX) {
    reading.problems.error(place, `files include each other more than ${INCLUDE_DEPTH_MAX} deep`);
    return;
  }
  try {
    readText({ name, text: reading.readFile(resolve(name), place.source) }, reading, depth + 1);
  } catch (error) {
    reading.problems.error(place, `file ${name}: ${readFailure(error)}`);
  }
}

/** The system's code for why a file could not be read. */
export function readFailure(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'cannot be read';
}

/** A key in double quotes may hold anything, a quote doubled. */
function splitPair(text: string): { key: string; value: string } | null {
  if (!text.startsWith('"')) {
    const at = text.indexOf('=');
    const key = text.slice(0, at).trim();
    return at < 1 || /\s/.test(key) ? null : { key, value: text.slice(at + 1).trim() };
  }
  const match = /^"((?:[^"]|"")*)"\s*=/.exec(text);
  if (match === null || match[1] === '') return null;
  return { key: match[1].replaceAll('""', '"'), value: text.slice(match[0].length).trim() };
}
