import { readFile } from 'node:fs/promises';

export const DASHBOARD_FILES = {
  '/': { name: 'index.html', contentType: 'text/html; charset=utf-8' },
  '/dashboard.js': { name: 'main.js', contentType: 'text/javascript; charset=utf-8' },
  '/dashboard.css': { name: 'style.css', contentType: 'text/css; charset=utf-8' },
  '/dashboard.svg': { name: 'icon.svg', contentType: 'image/svg+xml' },
} as const;

export type DashboardPath = keyof typeof DASHBOARD_FILES;

export function isDashboardPath(path: string): path is DashboardPath {
  return Object.hasOwn(DASHBOARD_FILES, path);
}

/** As the build has put them there. Both the compiled files and the bundle lie one level below the package. */
const DIRECTORY = new URL('../bundle/dashboard/', import.meta.url);
const read = new Map<DashboardPath, Buffer>();

/** Read at first use. @throws when the package is not whole. */
export async function dashboardFile(path: DashboardPath): Promise<Buffer> {
  const known = read.get(path);
  if (known !== undefined) return known;
  const bytes = await readFile(new URL(DASHBOARD_FILES[path].name, DIRECTORY));
  read.set(path, bytes);
  return bytes;
}
