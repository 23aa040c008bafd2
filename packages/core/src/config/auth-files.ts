/** The files that authentication names: HBA rules and ident maps. */
import { dirname, resolve } from 'node:path';
import { type HbaRule, parseHba, type ReadHbaFile } from '../auth/hba.js';
import { type IdentMapping, parseIdentMap } from '../auth/ident-map.js';
import type { ReadSecretFile } from './entries.js';
import type { Place, ProblemList } from './problem-list.js';

export interface AuthFiles {
  /** Null when no file is named or it cannot be read; `problems` then says so. */
  hba: HbaRule[] | null;
  identMappings: IdentMapping[];
}

interface AuthFileNames {
  auth_hba_file: string | null;
  auth_ident_file: string | null;
}

/** Reads both, telling every line that cannot be obeyed with file and line. */
export function readAuthFiles(
  names: AuthFileNames,
  place: (key: string) => Place,
  readFile: ReadSecretFile,
  problems: ProblemList,
): AuthFiles {
  const files: AuthFiles = { hba: null, identMappings: [] };
  const read = (path: string | null, key: string): string | null => {
    if (path === null) return null;
    try {
      return readFile(path, place(key).source);
    } catch (error) {
      const reason = error instanceof Error && 'code' in error ? String(error.code) : 'cannot be read';
      problems.error(place(key), `file ${path}: ${reason}`);
      return null;
    }
  };
  const tell = (list: readonly { file: string; line: number; message: string }[]) => {
    for (const { file, line, message } of list) problems.error({ source: file, line, key: '' }, message);
  };

  const { auth_hba_file: hbaFile, auth_ident_file: identFile } = names;
  const identText = read(identFile, 'auth_ident_file');
  if (identFile !== null && identText !== null) {
    const { mappings, problems: found } = parseIdentMap(identFile, identText);
    files.identMappings = mappings;
    tell(found);
  }
  const hbaText = read(hbaFile, 'auth_hba_file');
  if (hbaFile !== null && hbaText !== null) {
    const readNames = namesReader(hbaFile, place('auth_hba_file').source, readFile);
    const { rules, problems: found } = parseHba(hbaFile, hbaText, readNames);
    files.hba = rules;
    tell(found);
    tell(unknownMaps(rules, files.identMappings));
  }
  return files;
}

/** `@names` stands beside the file that names it, which itself stands beside the configuration. */
function namesReader(hbaFile: string, source: string, readFile: ReadSecretFile): ReadHbaFile {
  const hbaPath = resolve(dirname(source), hbaFile);
  return (path) => {
    try {
      return readFile(path, hbaPath);
    } catch {
      return null;
    }
  };
}

/** A rule with a map that nobody defines lets nobody in: a mistyped name, most likely. */
function unknownMaps(rules: readonly HbaRule[], mappings: readonly IdentMapping[]) {
  const known = new Set(mappings.map(({ map }) => map));
  return rules
    .filter(({ map }) => map !== '' && !known.has(map))
    .map(({ file, line, map }) => ({ file, line, message: `map "${map}" is not in auth_ident_file` }));
}
