/** How a page of metrics is written, and who wants which. */

/** `text`: format 0.0.4 of Prometheus. `openmetrics`: OpenMetrics 1.0. */
export type Exposition = 'text' | 'openmetrics';

export const CONTENT_TYPES: Readonly<Record<Exposition, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

const OPENMETRICS = 'application/openmetrics-text';
const VERSIONS: ReadonlySet<string> = new Set(['', '1.0.0', '0.0.1']);
/** Ranges of an Accept header that are looked at. */
const RANGES_MAX = 32;

/** OpenMetrics is for those who name it, and do not rather have text. */
export function expositionFor(accept: string | undefined): Exposition {
  let [open, text] = [0, 0];
  for (const range of (accept ?? '').split(',', RANGES_MAX)) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const parameterOf = (name: string) =>
      parameters.find((parameter) => parameter.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
    const quality = parameterOf('q') === '' ? 1 : Number(parameterOf('q'));
    if (!(quality >= 0 && quality <= 1)) continue;
    if (type === OPENMETRICS && VERSIONS.has(parameterOf('version'))) open = Math.max(open, quality);
    else if (type === 'text/plain') text = Math.max(text, quality);
  }
  return open > 0 && open >= text ? 'openmetrics' : 'text';
}

const TOTAL = '_total';

/**
 * What a family is called and of which type it is. OpenMetrics has counters end in _total, and calls the family by what is
 * before it; a counter of PgDog's that does not end so is of unknown type there, and keeps its name.
 */
export function familyOf(exposition: Exposition, name: string, type: string): { name: string; type: string } {
  if (exposition === 'text' || type !== 'counter') return { name, type };
  if (!name.endsWith(TOTAL)) return { name, type: 'unknown' };
  return { name: name.slice(0, -TOTAL.length), type };
}

export function helpText(exposition: Exposition, help: string): string {
  const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return exposition === 'text' ? text : text.replaceAll('"', '\\"');
}

/** Of a bucket. OpenMetrics has one text for each number: 3.2e-05, 0.000128, 1.0. */
export function boundText(exposition: Exposition, bound: number): string {
  if (exposition === 'text') return String(bound);
  if (bound < 1e-4) return bound.toExponential().replace(/e-(\d)$/, 'e-0$1');
  return Number.isInteger(bound) ? bound.toFixed(1) : String(bound);
}

/** What stands behind the last family. */
export const ENDS: Readonly<Record<Exposition, Buffer>> = {
  text: Buffer.alloc(0),
  openmetrics: Buffer.from('# EOF\n'),
};
