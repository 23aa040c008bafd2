import type { SettingRow } from '@pgdog-cluster/core/config';
import { column, defineShow } from './show.js';

/** Beyond what timers take, "no limit" (about 24 days). */
const DURATION_MS_MAX = 0x7fff_ffff;
const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

/** 90000 → `1m 30s`. */
export function humanDuration(durationMs: number): string {
  if (durationMs > DURATION_MS_MAX) return 'unlimited';
  const parts: string[] = [];
  let rest = durationMs;
  for (const [name, ms] of UNITS) {
    const count = Math.floor(rest / ms);
    rest -= count * ms;
    if (count > 0) parts.push(`${count}${name}`);
  }
  return parts.length === 0 ? '0ms' : parts.join(' ');
}

function humanValue(value: string | null, unit: string): string {
  if (value === null) return 'default';
  return unit === 'ms' ? humanDuration(Number(value)) : value;
}

export const SHOW_CONFIG = defineShow<SettingRow>({
  name: 'config',
  privilege: 'admin',
  description: 'Settings in force. Secrets are left out.',
  columns: [
    column(
      'name',
      'text',
      'Key in [general]; of other sections with the section in front.',
      (row) => row.name,
    ),
    column('value', 'text', 'Value in force; `default`: none set, nor needed.', (row) =>
      humanValue(row.value, row.unit),
    ),
    column('default_value', 'text', 'Value it has when nothing is configured.', (row) =>
      humanValue(row.default, row.unit),
    ),
  ],
  rows: ({ settings }) => settings(),
});
