// The data of COPY FROM STDIN, divided: the same however they are cut on their way, and each row whole at its shard.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type CopyLayout,
  type CopyProblem,
  CopySplitter,
  ShardFunction,
  type ShardRule,
} from '@pgdog-cluster/core';
import { binaryCopy, int4, int8 } from '../oracle/binary-copy.js';
import { everySplit, singleBytes } from '../support/every-split.js';

const SHARDS = 3;
const RULE: ShardRule = {
  schema: null,
  table: 'item',
  column: 'k',
  keyType: 'int8',
  function: 'hash',
  mapping: [],
  lookupQuery: null,
  lookupResult: 'shard',
};
const KEY = {
  rule: 0,
  label: 'item.k',
  index: 0,
  charactersMax: Number.POSITIVE_INFINITY,
  isNullForced: false,
  isNullBarred: false,
};
const TEXT: CopyLayout = {
  format: 'text',
  delimiter: 9,
  quote: 34,
  escape: 34,
  nullText: '\\N',
  defaultText: null,
  hasHeader: false,
  encoding: null,
  columnCount: 2,
  key: KEY,
  times: [],
};
const CSV: CopyLayout = { ...TEXT, format: 'csv', delimiter: 44, nullText: '' };

interface Parts {
  legs: string[];
  problem: CopyProblem | null;
  frames: number[];
}

interface Options {
  rule?: Partial<ShardRule>;
  isForeign?: boolean;
}

/** What each of three legs gets. */
function divide(
  layout: CopyLayout | null,
  pieces: Buffer[],
  { rule = {}, isForeign = false }: Options = {},
): Parts {
  const legs: Buffer[][] = [[], [], []];
  const frames: number[] = [];
  const own = new ShardFunction({ ...RULE, ...rule }, SHARDS);
  const splitter = new CopySplitter(SHARDS, layout, own, isForeign, (leg, bytes, start, end) => {
    const frame = Buffer.from(bytes.slice(start, end));
    assert.equal(frame.toString('latin1', 0, 1), 'd');
    assert.equal(frame.readInt32BE(1), frame.length - 1);
    frames.push(frame.length);
    legs[leg]?.push(frame.subarray(5));
  });
  for (const piece of pieces) splitter.feed(piece, 0, piece.length);
  splitter.end();
  return {
    legs: legs.map((each) => Buffer.concat(each).toString('latin1')),
    problem: splitter.problem,
    frames,
  };
}

const shardOf = (key: string): number => {
  const bytes = Buffer.from(key);
  return new ShardFunction(RULE, SHARDS).ofText(bytes, 0, bytes.length);
};

/** However it is cut, it gives this. */
async function check(layout: CopyLayout, data: Buffer | string, options: Options = {}): Promise<Parts> {
  const bytes = Buffer.from(data);
  const whole = divide(layout, [bytes], options);
  await everySplit(bytes, (pieces) => {
    const { legs, problem } = divide(layout, pieces, options);
    assert.deepEqual({ legs, problem }, { legs: whole.legs, problem: whole.problem });
  });
  const { legs, problem } = divide(layout, singleBytes(bytes), options);
  assert.deepEqual({ legs, problem }, { legs: whole.legs, problem: whole.problem });
  return whole;
}

/** Rows by key, each with its line: where they are, in order. */
function expected(rows: readonly (readonly [key: string, line: string])[]): string[] {
  return Array.from({ length: SHARDS }, (_, leg) =>
    rows
      .filter(([key]) => shardOf(key) === leg)
      .map(([, line]) => line)
      .join(''),
  );
}

describe('text', () => {
  it('rows go whole to the shard of their key, in their order', async () => {
    const rows = Array.from({ length: 20 }, (_, i): [string, string] => [`${i}`, `${i}\tvalue ${i}\n`]);
    const { legs, problem } = await check(TEXT, rows.map(([, line]) => line).join(''));
    assert.deepEqual(legs, expected(rows));
    assert.equal(problem, null);
  });

  it('escapes: of delimiters, of ends of lines, of digits in the key', async () => {
    const rows: [string, string][] = [
      ['1', '\\x31\ta\\\tb\n'],
      ['12', '1\\062\tc\\\nd\n'],
      ['7', '\\67\te\\\\\n'],
    ];
    const { legs, problem } = await check(TEXT, rows.map(([, line]) => line).join(''));
    assert.deepEqual(legs, expected(rows));
    assert.equal(problem, null);
  });

  it('NULL is where nulls are stored, if it is written bare', async () => {
    const { legs, problem } = await check(TEXT, '\\N\tx\n');
    assert.deepEqual(legs, ['\\N\tx\n', '', '']);
    assert.equal(problem, null);
    assert.match((await check(TEXT, '\\\\N\tx\n')).problem?.text ?? '', /"\\N" leads to none/);
  });

  it('all three ends of lines, and none at the end; another than the first is malformed', async () => {
    for (const end of ['\n', '\r\n', '\r']) {
      const rows = ['1', '2', '3'].map((key): [string, string] => [key, `${key}\tx${end}`]);
      const data = rows.map(([, line]) => line).join('');
      assert.deepEqual((await check(TEXT, data)).legs, expected(rows));
      const open = [...rows.slice(0, -1), ['3', '3\tx']] as [string, string][];
      assert.deepEqual((await check(TEXT, open.map(([, line]) => line).join(''))).legs, expected(open));
    }
    for (const data of [
      '1\tx\n2\ty\r\n',
      '1\tx\r\n2\ty\n',
      '1\tx\r\n2\ty\r3\tz\r\n',
      '1\tx\r2\ty\n',
      '1\tx\r\n2\ty\r',
    ]) {
      const { problem } = await check(TEXT, data);
      assert.equal(problem?.kind, 'malformed', JSON.stringify(data));
      assert.equal(problem.line, 2);
    }
  });

  it('a line of \\. alone ends the data for all; elsewhere it is suspicious', async () => {
    const { legs, problem } = await check(TEXT, '1\tx\n\\.\n2\ty\n');
    assert.equal(problem, null);
    for (const [leg, part] of legs.entries())
      assert.equal(part, `${leg === shardOf('1') ? '1\tx\n' : ''}\\.\n`);
    for (const data of ['1\tx\\.\n', '1\\.\tx\n', '1\tx\n2\t\\.\n']) {
      assert.equal((await check(TEXT, data)).problem?.kind, 'unplaced', data);
    }
  });

  it('a row that cannot be placed is the last, and some shard sees all of it', async () => {
    for (const bad of ['0x1\tfor all to see\n', 'word\tfor all to see\n', '\tfor all to see\n']) {
      const { legs, problem } = await check(TEXT, `1\tx\n${bad}2\ty\n`);
      assert.equal(problem?.kind, 'unplaced');
      assert.equal(problem.line, 2);
      assert.ok(legs[0]?.endsWith(bad));
      assert.ok(!legs.join('').includes('2\ty'));
    }
    const { problem } = await check({ ...TEXT, key: { ...KEY, index: 1 } }, 'x\t1\ny\n');
    assert.match(problem?.text ?? '', /a row ends before its sharding key/);
  });

  it('the first line is for every shard with HEADER', async () => {
    const { legs } = await check({ ...TEXT, hasHeader: true }, 'k\tv\n1\tx\n');
    assert.deepEqual(
      legs,
      expected([['1', '1\tx\n']]).map((part) => `k\tv\n${part}`),
    );
  });

  it('words for the time are seen wherever they are, in fields of a time only', async () => {
    const layout = { ...TEXT, columnCount: 3, times: [2] };
    assert.equal((await check(layout, '1\tnow\t2024-01-01 10:00:00+00\n')).problem, null);
    assert.equal((await check(layout, '1\tx\t\\N\n2\tx\tinfinity\n3\tx\tMon Oct 12\n')).problem, null);
    for (const time of ['now', ' NOW ', '10:00 Tomorrow', '\\156ow', 'yester\\day'])
      assert.match((await check(layout, `1\tx\t${time}\n`)).problem?.text ?? '', /written as a word/, time);
    const alike = { ...layout, key: null };
    const { legs, problem } = await check(alike, '1\tx\t2024-01-01\n');
    assert.deepEqual(legs, ['1\tx\t2024-01-01\n', '1\tx\t2024-01-01\n', '1\tx\t2024-01-01\n']);
    assert.equal(problem, null);
    assert.equal((await check(alike, '1\tx\tnow\n')).problem?.kind, 'unplaced');
  });

  it('texts: as their bytes, if these are stored; no longer than the column takes', async () => {
    const rule = { keyType: 'text' } as const;
    const own = new ShardFunction({ ...RULE, ...rule }, SHARDS);
    const bytes = Buffer.from('ä\tb');
    const { legs } = await check(TEXT, 'ä\\tb\tx\n', { rule });
    assert.equal(legs[own.ofText(bytes, 0, bytes.length)], Buffer.from('ä\\tb\tx\n').toString('latin1'));
    assert.equal((await check(TEXT, 'ä\tx\n', { rule, isForeign: true })).problem?.kind, 'unplaced');
    assert.equal((await check(TEXT, 'a\tx\n', { rule, isForeign: true })).problem, null);
    const short = { ...TEXT, key: { ...KEY, charactersMax: 3 } };
    assert.equal((await check(short, 'äöü\tx\nabc\ty\n', { rule })).problem, null);
    assert.equal((await check(short, 'äöü \tx\n', { rule })).problem?.kind, 'unplaced');
  });

  it('the mark of a default leaves its place to the server', async () => {
    const layout = { ...TEXT, defaultText: '\\D' };
    assert.equal((await check(layout, '1\t\\D\n')).problem, null);
    assert.match((await check(layout, '\\D\tx\n')).problem?.text ?? '', /its default was asked for/);
  });
});

describe('csv', () => {
  it('quoted ends of lines, quotes and delimiters', async () => {
    const rows: [string, string][] = [
      ['1', '"1","a\nb"\n'],
      ['22', '2"2","c""d\r\n,"\n'],
      ['3', '3,"e"f"\n"\n'],
    ];
    const { legs, problem } = await check(CSV, rows.map(([, line]) => line).join(''));
    assert.deepEqual(legs, expected(rows));
    assert.equal(problem, null);
  });

  it('an escape that is no quote', async () => {
    const layout = { ...CSV, quote: 39, escape: 92 };
    const rows: [string, string][] = [
      ['1', "'1','a\\'\nb'\n"],
      ['2', "2,'c\\\\'\n"],
      ['3', "3,'d\\e\n\\'f'\n"],
    ];
    const { legs, problem } = await check(layout, rows.map(([, line]) => line).join(''));
    assert.deepEqual(legs, expected(rows));
    assert.equal(problem, null);
  });

  it('lines within quotes are counted', async () => {
    assert.equal((await check(CSV, '1,"a\nb\nc"\n2,x\nword,y\n')).problem?.line, 5);
  });

  it('NULL: bare, unless it is barred; quoted, if it is forced', async () => {
    const rule = { keyType: 'text' } as const;
    const own = new ShardFunction({ ...RULE, ...rule }, SHARDS);
    const layout = { ...CSV, nullText: 'N' };
    const ofText = own.ofText(Buffer.from('N'), 0, 1);
    const where = async (line: string, key: Partial<typeof KEY>): Promise<number> => {
      const { legs, problem } = await check({ ...layout, key: { ...KEY, ...key } }, line, { rule });
      assert.equal(problem, null);
      return legs.indexOf(line);
    };
    assert.notEqual(ofText, own.ofNull);
    assert.equal(await where('N,1\n', {}), own.ofNull);
    assert.equal(await where('"N",1\n', {}), ofText);
    assert.equal(await where('"N",1\n', { isNullForced: true }), own.ofNull);
    assert.equal(await where('N,1\n', { isNullBarred: true }), ofText);
    assert.equal(await where('N,1\n', { isNullBarred: true, isNullForced: true }), ofText);
    assert.equal(await where('"N",1\n', { isNullBarred: true, isNullForced: true }), own.ofNull);
  });

  it('quotes that never end, and a lone \\.', async () => {
    assert.match((await check(CSV, '1,x\n"2,y\n')).problem?.text ?? '', /leads to none/);
    assert.equal((await check(CSV, '1,"x\n2,y\n')).problem, null);
    assert.match((await check(CSV, '1,x\n\\.\n')).problem?.text ?? '', /two meanings/);
    assert.equal((await check({ ...CSV, hasHeader: true }, '\\.\n1,x\n')).problem, null);
  });
});

describe('binary', () => {
  const layout: CopyLayout = { ...TEXT, format: 'binary' };
  const head = binaryCopy([], { extension: Buffer.from('ext'), hasTrailer: false }).toString('latin1');
  const rowOf = (key: bigint, value: number): string =>
    binaryCopy([[int8(key), int4(value)]], { hasTrailer: false }).toString('latin1', 19);

  it('header and trailer for all, rows for one', async () => {
    const keys = [1n, 2n, -3n, 2n ** 60n];
    const data = binaryCopy([...keys.map((key) => [int8(key), int4(7)]), [null, int4(8)]], {
      extension: Buffer.from('ext'),
    });
    const { legs, problem } = await check(layout, data);
    const rows = expected(keys.map((key) => [`${key}`, rowOf(key, 7)]));
    rows[0] += binaryCopy([[null, int4(8)]], { hasTrailer: false }).toString('latin1', 19);
    assert.deepEqual(
      legs,
      rows.map((part) => `${head}${part}\xff\xff`),
    );
    assert.equal(problem, null);
  });

  it('what cannot be followed goes to a shard, and is the last', async () => {
    const row = [int8(1n), int4(1)];
    const cases: Buffer[] = [
      Buffer.from('this is no header at all'),
      binaryCopy([row, [...row, int4(1)], row]),
      binaryCopy([row, [Buffer.from('123'), int4(1)], row]),
      Buffer.concat([
        binaryCopy([row], { hasTrailer: false }),
        Buffer.from('0002ffffff00', 'hex'),
        binaryCopy([row]),
      ]),
      binaryCopy([row]).subarray(0, 30),
    ];
    for (const data of cases)
      assert.equal((await check(layout, data)).problem?.kind, 'unplaced', data.toString('hex'));
  });
});

describe('size', () => {
  it('many rows leave in large frames, long ones in pieces', () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `${i}\t${'x'.repeat(i % 50)}\n`);
    const long = `1\t${'y'.repeat(1_000_000)}\n`;
    const data = Buffer.from([...lines, long].join(''));
    const { legs, frames, problem } = divide(TEXT, [data]);
    assert.equal(problem, null);
    assert.equal(legs.join('').length, data.length);
    assert.ok(frames.length < 20 + data.length / 30_000, `${frames.length} frames`);
  });

  it('a key that does not come within 16 MB ends it, whatever else comes', () => {
    const piece = Buffer.alloc(1 << 20, 'x');
    const splitter = new CopySplitter(
      SHARDS,
      { ...TEXT, key: { ...KEY, index: 1 } },
      new ShardFunction(RULE, SHARDS),
      false,
      () => assert.fail('nothing has a place'),
    );
    for (let i = 0; i < 16; i++) splitter.feed(piece, 0, piece.length);
    assert.ok(!splitter.isEnded);
    splitter.feed(piece, 0, piece.length);
    assert.equal(splitter.problem?.kind, 'tooLong');
    assert.ok(splitter.isEnded);
  });

  it('every leg gets all where nothing is divided', () => {
    assert.deepEqual(divide(null, [Buffer.from('any'), Buffer.from('thing')]).legs, [
      'anything',
      'anything',
      'anything',
    ]);
  });
});
