/** Reads a page of metrics as promtool would: what is not quite right is refused. */
import assert from 'node:assert/strict';

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface Family {
  help: string;
  type: string;
  samples: Sample[];
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_';
const isName = (text: string) =>
  LETTERS.includes(text[0]) &&
  [...text].every((unit) => LETTERS.includes(unit) || (unit >= '0' && unit <= '9'));

/** Labels of one line, from after `{`; strict about quoting. Returns where the `}` stands. */
function parseLabels(line: string, from: number): { labels: Record<string, string>; end: number } {
  const labels: Record<string, string> = {};
  let at = from;
  while (line[at] !== '}') {
    const equals = line.indexOf('="', at);
    assert.ok(equals > at, line);
    const name = line.slice(at, equals);
    assert.ok(isName(name) && !Object.hasOwn(labels, name), line);
    let value = '';
    for (at = equals + 2; line[at] !== '"'; at++) {
      assert.ok(at < line.length, `unterminated label: ${line}`);
      if (line[at] !== '\\') value += line[at];
      else {
        at++;
        assert.ok('\\"n'.includes(line[at]), `escape \\${line[at]}`);
        value += line[at] === 'n' ? '\n' : line[at];
      }
    }
    labels[name] = value;
    at++;
    assert.ok(line[at] === ',' || line[at] === '}', line);
    if (line[at] === ',') at++;
  }
  return { labels, end: at };
}

function parseSample(line: string): Sample {
  const brace = line.indexOf('{');
  const name = line.slice(0, brace === -1 ? line.indexOf(' ') : brace);
  assert.ok(isName(name), line);
  const { labels, end } = brace === -1 ? { labels: {}, end: name.length - 1 } : parseLabels(line, brace + 1);
  assert.equal(line[end + 1], ' ', line);
  const text = line.slice(end + 2);
  const value = Number(text);
  assert.ok(text === '+Inf' || (text !== '' && text.trim() === text && Number.isFinite(value)), line);
  return { name, labels, value };
}

/**
 * Text format 0.0.4, strictly: HELP, TYPE, then the samples of that family and no other, none twice; histograms are
 * cumulative, and their bucket +Inf is their count.
 */
export function parsePage(page: Buffer | string): Map<string, Family> {
  return parseFamilies(page.toString(), ['gauge', 'counter', 'histogram'], (type) =>
    type === 'histogram' ? HISTOGRAM_SUFFIXES : [''],
  );
}

/**
 * OpenMetrics 1.0, as strictly: counters end in _total, which is not in the name of their family; bounds of buckets are
 * written as Python and Go do; # EOF ends it, and no line is empty.
 */
export function parseOpenMetrics(page: Buffer | string): Map<string, Family> {
  const text = page.toString();
  assert.ok(text.endsWith('\n# EOF\n'));
  assert.ok(!text.includes('\n\n') && text.indexOf('# EOF') === text.length - '# EOF\n'.length);
  const families = parseFamilies(
    text.slice(0, -'# EOF\n'.length),
    ['gauge', 'counter', 'histogram', 'unknown'],
    (type) => (type === 'histogram' ? HISTOGRAM_SUFFIXES : type === 'counter' ? ['_total'] : ['']),
  );
  const names = [...families].flatMap(([name, { type }]) =>
    type === 'counter'
      ? [name, `${name}_total`]
      : type === 'histogram'
        ? [name, `${name}_count`, `${name}_sum`]
        : [name],
  );
  assert.equal(new Set(names).size, names.length, 'two families have one name');
  for (const [name, { help, samples }] of families) {
    assert.ok(!/(^|[^\\])"/.test(help), `an unescaped quote: ${help}`);
    for (const { labels, value } of samples) {
      const { le } = labels;
      if (le !== undefined) assert.match(le, /^(\d+\.\d+|\d(\.\d+)?e-\d\d|\+Inf)$/, name);
      if (le !== undefined && le !== '+Inf') assert.ok(le.includes('e') === Number(le) < 1e-4, le);
      assert.ok(families.get(name)?.type !== 'counter' || value >= 0, name);
    }
  }
  return families;
}

const HISTOGRAM_SUFFIXES = ['_bucket', '_sum', '_count'];

function parseFamilies(
  text: string,
  types: readonly string[],
  suffixesOf: (type: string) => readonly string[],
): Map<string, Family> {
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current = '';
  assert.ok(text.endsWith('\n'));
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [mark, kind, name, ...rest] = line.split(' ');
    if (mark === '#' && kind === 'HELP') {
      assert.ok(!families.has(name), `two families ${name}`);
      families.set(name, { help: rest.join(' '), type: '', samples: [] });
      current = name;
    } else if (mark === '#') {
      assert.equal(kind, 'TYPE');
      assert.equal(name, current);
      families.get(name)!.type = rest.join(' ');
    } else {
      const sample = parseSample(line);
      const family = families.get(current)!;
      const suffixes = suffixesOf(family.type);
      assert.ok(
        suffixes.some((suffix) => sample.name === `${current}${suffix}`),
        line,
      );
      const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`;
      assert.ok(!seen.has(key), `twice: ${line}`);
      seen.add(key);
      family.samples.push(sample);
    }
  }
  for (const [name, { help, type }] of families) {
    assert.ok(help.length > 0 && types.includes(type), name);
  }
  for (const family of families.values()) if (family.type === 'histogram') checkHistogram(family);
  return families;
}

/** Of each set of labels: buckets in order, none smaller than the one before, the last one +Inf and equal to the count. */
function checkHistogram({ samples }: Family): void {
  const counts = new Map<string, number>();
  let [last, bound, key] = [0, Number.NEGATIVE_INFINITY, ''];
  for (const { name, labels, value } of samples) {
    const { le, ...others } = labels;
    const own = JSON.stringify(others);
    if (!name.endsWith('_bucket')) {
      assert.equal(le, undefined);
      if (name.endsWith('_count')) assert.equal(value, counts.get(own), `${name}${own}`);
      continue;
    }
    if (own !== key) [last, bound, key] = [0, Number.NEGATIVE_INFINITY, own];
    const end = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
    assert.ok(end > bound && value >= last, `${name}${own} le=${le}`);
    [last, bound] = [value, end];
    if (le === '+Inf') counts.set(own, value);
  }
}
