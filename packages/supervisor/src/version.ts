import { readFileSync } from 'node:fs';

/** Version of the published package, from its package.json: one place to bump. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version;
