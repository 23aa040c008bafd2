/** The files of this repository, as the tidy test sees them: what a person wrote, nothing generated. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SourceFile } from './source-text.js';

const SKIPPED = new Set(['node_modules', 'dist', '.git', 'results']);

/** From test/dist/support or test/support alike: the directory that holds the workspace file. */
function findRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'pnpm-workspace.yaml'))) {
    if (directory === dirname(directory)) throw new Error('pnpm-workspace.yaml is nowhere above the tests');
    directory = dirname(directory);
  }
  return directory;
}

export const ROOT = findRoot();

export function existsInTree(path: string): boolean {
  return existsSync(join(ROOT, path));
}

/** Paths from the root, sorted; directories that do not exist have none. */
export function listFiles(directory: string, endings: string[]): string[] {
  const absolute = join(ROOT, directory);
  if (!existsSync(absolute)) return [];
  const paths: string[] = [];
  for (const entry of readdirSync(absolute, { withFileTypes: true })) {
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
    if (SKIPPED.has(entry.name)) continue;
    if (entry.isDirectory()) paths.push(...listFiles(path, endings));
    else if (endings.some((ending) => entry.name.endsWith(ending))) paths.push(path);
  }
  return paths.sort();
}

export function readFiles(paths: string[]): SourceFile[] {
  return paths.map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}
