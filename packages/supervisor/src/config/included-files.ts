import { statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { INCLUDED_FILES_MAX, type IncludeReader } from '@pgdog-cluster/core/config';
import type { KnownFiles } from './known-files.js';

/** Far above a file of thousands of entries; something else was meant. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;
/** Names of one directory that are looked at. */
const NAMES_MAX = 4 * INCLUDED_FILES_MAX;
/** Of a directory, what is taken for configuration. */
const IN_DIRECTORY = '*.toml';

/**
 * `*` any characters, `?` one; both none of a name that begins with a dot: what Kubernetes, editors and version control
 * keep beside files is not meant. By hand, since a pattern of many stars makes a regular expression take for ever.
 */
export function matchesGlob(pattern: string, name: string): boolean {
  if (name.startsWith('.') && !pattern.startsWith('.')) return false;
  let [at, in_] = [0, 0];
  let [star, retry] = [-1, 0];
  while (in_ < name.length) {
    if (pattern[at] === '*') [star, retry, at] = [at, in_, at + 1];
    else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[in_]))
      [at, in_] = [at + 1, in_ + 1];
    else if (star >= 0) [at, in_, retry] = [star + 1, retry + 1, retry + 1];
    else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

/** As resolve(), which takes its time: of thousands of names most are so already. */
function absolute(name: string): string {
  const isPlain = name.startsWith('/') && !name.includes('/.') && !name.includes('//') && !name.endsWith('/');
  return isPlain ? name : resolve(name);
}

const isGlob = (text: string): boolean => text.includes('*') || text.includes('?');

/** Finds and reads files that are included. Directories that were looked through are told like files: another file in one is a change. */
export class IncludedFiles implements IncludeReader {
  readonly #onRead: (path: string) => void;
  readonly #files: KnownFiles;

  constructor(onRead: (path: string) => void, files: KnownFiles) {
    this.#onRead = onRead;
    this.#files = files;
  }

  identityOf(name: string): string {
    return absolute(name);
  }

  find(pattern: string, from: string): string[] {
    const start = isAbsolute(pattern) ? '/' : dirname(from);
    const pieces = pattern.split('/').filter((piece) => piece !== '' && piece !== '.');
    const last = pieces.at(-1);
    if (last === undefined) throw new Error('expected a path');
    if (pieces.includes('**'))
      throw new Error('** is not supported: name the directories, as "tenants/*/*.toml"');
    if (pattern.includes('\0')) throw new Error('expected a path');
    const found = this.#walk(start, pieces);
    const files = found.flatMap((path) =>
      this.#isFolder(path, pattern) ? this.#matching(path, IN_DIRECTORY) : [path],
    );
    if (files.length > INCLUDED_FILES_MAX) throw new Error(`more than ${INCLUDED_FILES_MAX} files`);
    return files;
  }

  read(name: string): string {
    const path = absolute(name);
    this.#onRead(path);
    return this.#files.textOf(path, FILE_BYTES_MAX);
  }

  /** A glob means files; a plain path may be either, and with a slash at its end must be a directory. */
  #isFolder(path: string, pattern: string): boolean {
    if (isGlob(pattern) && !pattern.endsWith('/')) return false;
    if (this.#files.isDirectory(resolve(path))) return true;
    if (!pattern.endsWith('/')) return false;
    this.#onRead(resolve(path));
    statSync(path);
    throw new Error('is no directory');
  }

  #walk(start: string, pieces: readonly string[]): string[] {
    let paths = [start];
    for (const [index, piece] of pieces.entries()) {
      const isLast = index === pieces.length - 1;
      if (!isGlob(piece)) paths = paths.map((path) => join(path, piece));
      else paths = paths.flatMap((path) => this.#matching(path, piece, isLast));
      if (paths.length > NAMES_MAX) throw new Error(`more than ${NAMES_MAX} names`);
    }
    // Behind a glob a plain name need not be in every directory: tenants/*/databases.toml.
    const last = pieces.at(-1) ?? '';
    if (!isGlob(last) && pieces.some(isGlob)) return paths.filter((path) => this.#isThere(path));
    return paths;
  }

  #isThere(path: string): boolean {
    this.#onRead(resolve(path));
    return this.#files.isThere(resolve(path));
  }

  /** Sorted by the bytes of their names, wherever it runs; none when there is no such directory. */
  #matching(folder: string, pattern: string, isFile = true): string[] {
    this.#onRead(resolve(folder));
    let names: readonly string[];
    try {
      names = this.#files.namesIn(resolve(folder));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : '';
      if (code === 'ENOENT' || code === 'ENOTDIR') return [];
      throw error;
    }
    if (names.length > NAMES_MAX) throw new Error(`${folder} has more than ${NAMES_MAX} names`);
    const matching = names.filter((name) => matchesGlob(pattern, name)).sort();
    const paths = matching.map((name) => join(folder, name));
    return paths.filter((path) => this.#files.isDirectory(absolute(path)) !== isFile);
  }
}
