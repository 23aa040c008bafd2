/** Defaults of what says where the configuration comes from, and is kept. */
import { row } from './default-row.js';

export const SOURCE_DEFAULTS = {
  persist_file: row(
    null as string | null,
    '',
    'File of ours that keeps ADD, ALTER and DROP … PERSIST; relative to pgdog.toml. Its directory must be ours to write in. Unset: such changes are gone at a restart.',
    'nothing is written unless asked for',
    'ours',
  ),
} as const;
