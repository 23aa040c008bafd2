// The bench is a program and exports nothing as a package: its modules are loaded from where they were built.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

interface Results {
  environment: object;
  settings: Record<string, number>;
  contenders: { key: string; label: string; version: string; kind: string }[];
  cases: { key: string; group: string; title: string }[];
  measurements: { caseKey: string; contender: string; repeat: number; values: Record<string, number> }[];
  skipped: { what: string; why: string }[];
}
interface Figure {
  what: string;
  target: string;
  measured: string;
  reached: 'yes' | 'no' | 'not measured';
}

const load = async <T>(path: string): Promise<T> =>
  (await import(new URL(`../../../bench/dist/${path}`, import.meta.url).href)) as T;

const { escapeXml } = await load<{ escapeXml(text: string): string }>('report/bar-plot.js');
const { plots } = await load<{ plots(results: Results, keys: string[]): string }>('report/plots.js');
const { markdown, cell } = await load<{
  markdown(results: Results, figures: Figure[], base: string | null, plot: string): string;
  cell(text: string): string;
}>('report/markdown.js');
const { verdict } = await load<{ verdict(results: Results, roles: object): Figure[] }>('report/verdict.js');
const { parseOptions, UsageError } = await load<{
  parseOptions(
    argv: string[],
    out: string,
  ): { groups: string[]; repeatCount: number; workerCounts: number[] };
  UsageError: new () => Error;
}>('options.js');
const { message, extended } = await load<{
  message(type: string, ...parts: (string | Buffer)[]): Buffer;
  extended(sql: string, name?: string): Buffer;
}>('macro/raw-client.js');

/** Well-formed enough: tags nest and close, attributes are quoted once each, no bare & or <. */
function assertWellFormed(xml: string): void {
  const open: string[] = [];
  const tag = /<(\/?)([a-zA-Z]+)((?:\s+[a-zA-Z:-]+="[^"<]*")*)\s*(\/?)>/y;
  let position = 0;
  while (position < xml.length) {
    const text = /[^<]*/y;
    text.lastIndex = position;
    const words = text.exec(xml)?.[0] ?? '';
    assert.doesNotMatch(words, /&(?!(amp|lt|gt|quot);)/, 'a bare & in text');
    position += words.length;
    if (position === xml.length) break;
    tag.lastIndex = position;
    const match = tag.exec(xml);
    assert.ok(match !== null, `not a tag: ${xml.slice(position, position + 60)}`);
    const [whole, slash, name, attributes, selfClosing] = match;
    assert.doesNotMatch(attributes, /&(?!(amp|lt|gt|quot);)/, 'a bare & in an attribute');
    const names = [...attributes.matchAll(/([a-zA-Z:-]+)=/g)].map((one) => one[1]);
    assert.equal(new Set(names).size, names.length, `an attribute twice in ${whole}`);
    if (slash === '/') assert.equal(open.pop(), name);
    else if (selfClosing === '') open.push(name);
    position += whole.length;
  }
  assert.deepEqual(open, []);
}

const HOSTILE = 'a <b> & "c" \u0001 | d';
const ROLES = {
  uring: 'ours-io_uring-2',
  epoll: 'ours-epoll-2',
  uringOneWorker: 'ours-io_uring-2',
  epollOneWorker: 'ours-epoll-2',
  pgbouncers: [{ key: 'pgbouncer', label: 'PgBouncer' }],
  smallPoolOne: { io_uring: 'ours-io_uring-1', epoll: 'ours-epoll-1' },
  smallPoolMany: { io_uring: 'ours-io_uring-4', epoll: 'ours-epoll-4' },
  smallPoolSize: 4,
  routing: [{ driver: 'epoll', plain: 'plain', routed: 'routed' }],
  sharding: [{ driver: 'epoll', plain: 'one', sharded: 'three' }],
  copies: [{ driver: 'epoll', plain: 'direct', split: 'split' }],
};

function resultsWith(
  values: [caseKey: string, contender: string, repeat: number, values: Record<string, number>][],
): Results {
  const keys = ['direct', 'ours-io_uring-2', 'ours-epoll-2', 'pgbouncer'];
  const kinds = ['direct', 'ours', 'ours', 'pgbouncer'];
  const cases = [...new Set(values.map(([caseKey]) => caseKey))];
  return {
    environment: {
      date: '2000-01-01',
      command: 'x',
      kernel: HOSTILE,
      cpu: HOSTILE,
      coreCount: 2,
      memoryMb: 1,
      node: 'v20',
      versions: { [HOSTILE]: '1' },
    },
    settings: { poolSize: 20 },
    contenders: keys.map((key, index) => ({
      key,
      label: `${key} ${HOSTILE}`,
      version: '1',
      kind: kinds[index],
    })),
    cases: cases.map((key) => ({ key, group: 'g', title: HOSTILE })),
    measurements: values.map(([caseKey, contender, repeat, one]) => ({
      caseKey,
      contender,
      repeat,
      values: one,
    })),
    skipped: [{ what: HOSTILE, why: 'first\nsecond | third' }],
  };
}

const figureOf = (figures: Figure[], ...words: string[]): Figure => {
  const found = figures.filter((figure) => words.every((word) => figure.what.includes(word)));
  assert.equal(found.length, 1, `${words.join(' ')}: ${found.length} figures`);
  return found[0];
};

describe('SVG', () => {
  it('is well formed whatever the labels and values are', () => {
    const results = resultsWith([
      ['select-simple-32', 'direct', 0, { tps: 1000, p99Ms: 0 }],
      ['select-simple-32', 'pgbouncer', 0, { tps: 500, cpuUsPerQuery: 16.6 }],
      ['select-simple-32', 'pgbouncer', 1, { tps: 700, cpuUsPerQuery: 17 }],
      ['idle', 'pgbouncer', 0, { idleQueryKb: -0.5 }],
      ['reconnect-trust', 'ours-epoll-2', 0, { tps: 123_456 }],
    ]);
    const svg = plots(results, ['direct', 'pgbouncer', 'ours-epoll-2']);
    assertWellFormed(svg);
    assert.match(svg, /16\.8/, 'the median of both repeats');
    assert.doesNotMatch(svg, /NaN|Infinity|undefined|width="-/);
    assert.doesNotMatch(svg, /io_uring/, 'only the contenders asked for');
    assertWellFormed(plots(resultsWith([]), []));
  });

  it('has a checker that can fail', () => {
    for (const broken of ['<a>', '<a></b>', '<a x="1" x="2"/>', '<a>&</a>', '<a b=1/>', '<a><b></a></b>']) {
      assert.throws(() => assertWellFormed(broken), broken);
    }
    assert.equal(escapeXml(HOSTILE), 'a &lt;b&gt; &amp; &quot;c&quot;  | d');
  });
});

describe('verdict', () => {
  it('judges each target by the median of paired ratios, unrounded', () => {
    const figures = verdict(
      resultsWith([
        ['select-simple-128', 'ours-io_uring-2', 0, { cpuUsPerQuery: 7.504, tps: 111, p99Ms: 2 }],
        ['select-simple-128', 'ours-epoll-2', 0, { cpuUsPerQuery: 11 }],
        ['select-simple-128', 'pgbouncer', 0, { cpuUsPerQuery: 10, tps: 100, p99Ms: 2 }],
      ]),
      ROLES,
    );
    // 0.7504 reads 0.75 in the table and is not reached all the same.
    assert.equal(figureOf(figures, 'CPU per query, io_uring', 'simple, 128').reached, 'no');
    assert.equal(figureOf(figures, 'CPU per query, epoll', 'simple, 128').reached, 'yes');
    assert.equal(figureOf(figures, 'throughput', 'simple, 128').reached, 'yes');
    assert.equal(figureOf(figures, 'p99', 'simple, 128').reached, 'yes');
    assert.equal(figureOf(figures, 'p99', 'extended, 128').reached, 'not measured');
  });

  it('takes a limit as broken when one repeat broke it', () => {
    const small = (
      repeat: number,
      serverConnectionsMax: number,
    ): [string, string, number, Record<string, number>] => [
      'small-pool',
      'ours-io_uring-4',
      repeat,
      { serverConnectionsMax, tps: 95 },
    ];
    const one = [0, 1, 2].map(
      (repeat): ReturnType<typeof small> => ['small-pool', 'ours-io_uring-1', repeat, { tps: 100 }],
    );
    const broken = verdict(resultsWith([small(0, 4), small(1, 5), small(2, 4), ...one]), ROLES);
    assert.equal(figureOf(broken, 'io_uring: server connections').reached, 'no');
    assert.equal(figureOf(broken, 'io_uring: throughput').reached, 'yes');
    const kept = verdict(resultsWith([small(0, 4), small(1, 4), ...one]), ROLES);
    assert.equal(figureOf(kept, 'io_uring: server connections').reached, 'yes');
  });

  it('what routing costs is a difference within a repeat, not of medians', () => {
    const cost = (repeat: number, plain: number, routed: number) =>
      [
        ['routing-prepared', 'plain', repeat, { cpuUsPerQuery: plain }],
        ['routing-prepared', 'routed', repeat, { cpuUsPerQuery: routed }],
      ] as const;
    const judged = (...repeats: Parameters<typeof cost>[]) =>
      figureOf(
        verdict(resultsWith(repeats.flatMap((one) => cost(...one).map((row) => [...row]))), ROLES),
        'routing, epoll: CPU per query, prepared',
      );
    assert.equal(judged([0, 10, 11], [1, 20, 21], [2, 30, 40]).measured, '1.00 us more (1.00 to 10.00)');
    assert.equal(judged([0, 10, 11]).reached, 'yes');
    assert.equal(judged([0, 10, 12.1]).reached, 'no');
    assert.equal(judged().reached, 'not measured');
  });
});

describe('Markdown', () => {
  it('keeps every table row in its columns and shows what was skipped', () => {
    const results = resultsWith([
      ['select-simple-32', 'ours-epoll-2', 0, { tps: 500, cpuUsPerQuery: 5 }],
      ['select-simple-32', 'pgbouncer', 0, { tps: 500, cpuUsPerQuery: 10 }],
    ]);
    const text = markdown(results, verdict(results, ROLES), 'pgbouncer', 'x.svg');
    let columns = 0;
    for (const line of text.split('\n')) {
      const count = line.startsWith('|') ? line.replaceAll('\\|', '').split('|').length : 0;
      if (columns > 0 && count > 0) assert.equal(count, columns, line);
      columns = count;
    }
    assert.match(text, /0\.50/);
    assert.match(text, /## Not measured/);
    assert.equal(cell('a|b\nc'), 'a\\|b c');
  });
});

describe('options', () => {
  it('refuses what it does not know', () => {
    for (const argv of [
      ['--only', 'idle,typo'],
      ['--repeats', '0'],
      ['--repeats', 'x'],
      ['--workers', '2,'],
      ['--fast'],
      ['word'],
    ]) {
      assert.throws(() => parseOptions(argv, '.'), UsageError, argv.join(' '));
    }
  });

  it('reads lists', () => {
    const options = parseOptions(
      ['--quick', '--only', 'idle,texts', '--repeats', '4', '--workers', '3,1'],
      '.',
    );
    assert.deepEqual(options.groups, ['idle', 'texts']);
    assert.deepEqual(options.workerCounts, [3, 1]);
    assert.equal(options.repeatCount, 4);
  });
});

describe('raw client messages', () => {
  it('have the length that counts itself', () => {
    assert.deepEqual([...message('Q', 'ab')], [0x51, 0, 0, 0, 7, 0x61, 0x62, 0]);
    assert.deepEqual([...message('S')], [0x53, 0, 0, 0, 4]);
    const batch = extended('SELECT 1', 'n');
    const types: string[] = [];
    for (let at = 0; at < batch.length; at += batch.readInt32BE(at + 1) + 1)
      types.push(String.fromCharCode(batch[at]));
    assert.deepEqual(types, ['P', 'B', 'E']);
  });
});
