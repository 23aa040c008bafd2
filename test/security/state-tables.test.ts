/** The tables that say which message may come when, cell by cell, and what the readers do with them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BACKEND,
  BACKEND_ALLOWED,
  BACKEND_TABLE,
  FRAME_LENGTH_MAX,
  FRONTEND,
  FRONTEND_ALLOWED,
  FRONTEND_TABLE,
  progress,
} from '@pgdog-cluster/core';
import { listFiles, readFiles } from '../support/tree.js';

const LENGTHS = [0, 1, 2, 3, 4, 5, 8, 9_999, 10_000, 10_001, 65_535, 65_536, 0x100_0000, FRAME_LENGTH_MAX];
const IMPOSSIBLE = [0, 1, 2, 3, FRAME_LENGTH_MAX + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

const SIDES = [
  { name: 'client', types: FRONTEND, table: FRONTEND_TABLE, allowed: FRONTEND_ALLOWED },
  { name: 'server', types: BACKEND, table: BACKEND_TABLE, allowed: BACKEND_ALLOWED },
] as const;

for (const { name, types, table, allowed } of SIDES) {
  test(`${name}: a type byte that is no message's is refused in every state, at every length`, () => {
    const known = new Set<number>(Object.values(types));
    for (const row of Object.values(allowed)) {
      for (let type = 0; type < 256; type++) {
        if (known.has(type)) continue;
        for (const length of LENGTHS) assert.equal(row.allows(type, length + 1), false, `${type} ${length}`);
      }
    }
  });

  test(`${name}: lengths that cannot be are refused for every type in every state`, () => {
    for (const row of Object.values(allowed)) {
      for (let type = 0; type < 256; type++) {
        for (const length of IMPOSSIBLE)
          assert.equal(row.allows(type, length + 1), false, `${type} ${length}`);
      }
    }
  });

  test(`${name}: every cell is as the table says`, () => {
    for (const [state, row] of Object.entries(table)) {
      for (const [message, verdict] of Object.entries(row)) {
        const type = (types as Record<string, number>)[message] ?? -1;
        const compiled = (allowed as Record<string, { allows(type: number, frameBytes: number): boolean }>)[
          state
        ];
        const isEver = LENGTHS.some((length) => compiled?.allows(type, length + 1));
        assert.equal(isEver, verdict !== 'no', `${state} ${message}`);
      }
    }
  });
}

test('a startup packet read as a frame is refused in every state: its first byte is a zero', () => {
  for (const row of Object.values(FRONTEND_ALLOWED)) {
    for (const length of LENGTHS) assert.equal(row.allows(0, length + 1), false);
  }
});

test('what may come before the login has ended is this and nothing else', () => {
  const permitted = (row: Record<string, string>): string[] =>
    Object.entries(row)
      .filter(([, verdict]) => verdict !== 'no')
      .map(([message]) => message)
      .sort();
  assert.deepEqual(permitted(FRONTEND_TABLE.startup), []);
  assert.deepEqual(permitted(FRONTEND_TABLE.settling), []);
  assert.deepEqual(permitted(FRONTEND_TABLE.password), ['PasswordMessage']);
  assert.equal(FRONTEND_TABLE.ready.PasswordMessage, 'no');
  assert.deepEqual(permitted(BACKEND_TABLE.authenticating), [
    'Authentication',
    'ErrorResponse',
    'NoticeResponse',
  ]);
  assert.equal(BACKEND_TABLE.serving.Authentication, 'no');
});

/** Words of four bytes are put together here and nowhere else; a hash and socket addresses are no lengths. */
const MAY_SHIFT = ['core/src/shard/hash-bytes.ts', 'core/src/wire/message-type.ts'];

test('lengths are read and judged in one place', () => {
  const sources = readFiles(listFiles('packages', ['.ts']));
  const shifting = sources
    .filter(({ text }) => text.includes('<< 24'))
    .map(({ path }) => path.slice('packages/'.length));
  assert.deepEqual(shifting, MAY_SHIFT);
  // What Node and OpenSSL leave in memory (system-users, tls) came from no peer.
  const places = [
    'core/src/wire',
    'core/src/auth',
    'worker/src/session',
    'worker/src/backend',
    'worker/src/wire',
  ];
  for (const { path, text } of sources.filter((file) => places.some((place) => file.path.includes(place)))) {
    for (const call of ['readUInt32BE', 'readInt32BE', 'getUint32', 'getInt32']) {
      assert.equal(
        text.includes(`.${call}(`),
        false,
        `${path} reads a word by ${call}: use core/wire/frame-header`,
      );
    }
  }
});

test("a loop over somebody else's bytes that stays where it is ends", () => {
  assert.equal(progress(3, 4), 4);
  for (const after of [3, 2, Number.NaN]) assert.throws(() => progress(3, after), /no progress/);
});
