/** How figures are written for people, in the browser and in the terminal: short, three digits that mean something. */

const NONE = '–';

function threeDigits(value: number): string {
  if (value >= 99.95) return String(Math.round(value));
  return value >= 9.95 ? value.toFixed(1).replace('.0', '') : value.toFixed(2).replace('.00', '');
}

/** 0, 0.4, 12.3, 950, 12.4k, 3.1M */
export function formatCount(value: number): string {
  if (value >= 999_500) return `${threeDigits(value / 1e6)}M`;
  if (value >= 9_999.5) return `${threeDigits(value / 1e3)}k`;
  if (value >= 99.5 || Number.isInteger(value)) return String(Math.round(value));
  return value < 0.05 ? '0' : value.toFixed(1);
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : threeDigits(value)} ${BYTE_UNITS[unit]}`;
}

/** A time that is measured: 850 µs, 12.4 ms, 3.2 s */
export function formatUs(us: number | null): string {
  if (us === null) return NONE;
  if (us < 999.5) return `${Math.round(us)} µs`;
  if (us < 999_500) return `${threeDigits(us / 1e3)} ms`;
  return us < 60e6 ? `${threeDigits(us / 1e6)} s` : formatSpan(us / 1e3);
}

/** A time that passes: 850 ms, 42 s, 3 min 20 s, 5 h 12 min, 12 d 3 h */
export function formatSpan(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function formatPercent(value: number): string {
  return value > 0 && value < 1 ? '<1 %' : `${Math.round(value)} %`;
}
