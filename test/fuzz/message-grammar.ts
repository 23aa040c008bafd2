/** Messages of both directions as a peer that knows the protocol would send them; mutate() then breaks them. */
import {
  B,
  backend,
  C,
  c,
  cancelRequest,
  D,
  d,
  E,
  F,
  f,
  frame,
  H,
  int16,
  int32,
  P,
  p,
  Q,
  S,
  startupPacket,
  text,
  X,
} from '../support/frames.js';
import type { FuzzRandom } from './fuzz-random.js';

type Make = (random: FuzzRandom) => Buffer;

/** SQL that a proxy looks at more closely, with what lexers stumble over. */
const TEXTS = [
  'SELECT 1',
  '',
  ';',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'BEGIN; SELECT 1; COMMIT',
  'SAVEPOINT a',
  'ROLLBACK TO a',
  "SET search_path TO 'a', b",
  "SET LOCAL TimeZone = 'UTC'",
  'RESET ALL',
  'DISCARD ALL',
  'SET SESSION AUTHORIZATION postgres',
  "SELECT set_config('search_path', $1, false)",
  'PREPARE s AS SELECT 1',
  'EXECUTE s',
  'DEALLOCATE ALL',
  'LISTEN x',
  'NOTIFY x',
  'CREATE TEMP TABLE t (x int)',
  'SELECT pg_advisory_lock(1)',
  'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
  'COPY t FROM STDIN',
  'COPY t TO STDOUT',
  'SHOW pgdog.version',
  'SHOW pgdog.pools',
  '/* /* nested */ */ SELECT $$a$$, $t$b$t$',
  "SELECT E'\\'' '\\', U&'x' UESCAPE '!'",
  "SELECT 'unterminated",
  '$tag$ no end',
  '/* no end',
  'DO $$ BEGIN END $$',
  'SELECT currval($1)',
];
const NAMES = ['', '', 's', 'S_1', 'pgdog', '__pgdog_cluster_1', 'ü', 'a'.repeat(63)];

export const sqlText: Make = (random) => {
  const words = random.pick(TEXTS);
  if (random.oneIn(6)) return Buffer.concat([Buffer.from(`${words};`), sqlText(random)]);
  if (random.oneIn(12))
    return Buffer.concat([Buffer.from(words), Buffer.alloc(random.size(), 0x20), Buffer.from('--')]);
  return Buffer.from(words);
};

const name = (random: FuzzRandom): string => random.pick(NAMES);
const sql = (random: FuzzRandom): string => sqlText(random).toString('latin1');
const kind = (random: FuzzRandom): 'S' | 'P' => random.pick(['S', 'P'] as const);

function bind(random: FuzzRandom): Buffer {
  const count = random.below(4);
  const values = Array.from({ length: count }, () =>
    random.oneIn(4) ? null : random.buffer(random.size(3000)),
  );
  const formats = random.pick([[], [0], [1], Array.from({ length: count }, () => random.below(2))]);
  return B(name(random), name(random), {
    values,
    valueFormats: formats,
    resultFormats: random.pick([[], [1]]),
  });
}

/** Requests of a client that has logged in. */
export const FRONTEND_MAKERS: readonly Make[] = [
  (random) => Q(sql(random)),
  (random) => Q(sql(random)),
  (random) => P(name(random), sql(random), random.pick([[], [23], [25, 0]])),
  bind,
  (random) => D(kind(random), name(random)),
  (random) => E(name(random), random.pick([0, 1, 0xffffffff])),
  (random) => C(kind(random), name(random)),
  () => S(),
  () => S(),
  () => H(),
  (random) => d(random.buffer(random.size(2000))),
  () => c(),
  () => f('no'),
  (random) => F(random.word(), [random.buffer(random.size(40)), null]),
  (random) => p(text('secret'), random.buffer(random.below(9))),
  () => X(),
  // A whole batch, so that deep states are reached.
  (random) => Buffer.concat([P('', sql(random)), B('', ''), D('P', ''), E(''), S()]),
  (random) => Buffer.concat([P('s', sql(random)), B('p', 's'), E('p', 1), C('S', 's'), S()]),
  () => startupPacket({ user: 'postgres', database: 'postgres' }),
];

/** What a server may answer. */
export const BACKEND_MAKERS: readonly Make[] = [
  (random) => backend.ready(random.pick(['I', 'T', 'E'] as const)),
  () => backend.parseComplete(),
  () => backend.bindComplete(),
  () => backend.closeComplete(),
  () => backend.noData(),
  () => backend.emptyQuery(),
  () => frame('s'),
  (random) => backend.complete(random.pick(['SELECT 1', 'BEGIN', 'COMMIT', 'ROLLBACK', 'SET', 'COPY 3', ''])),
  (random) => backend.rowDescription(Array.from({ length: random.below(4) }, (_, index) => `c${index}`)),
  (random) =>
    backend.dataRow(
      Array.from({ length: random.below(4) }, () =>
        random.oneIn(4) ? null : random.buffer(random.size(3000)),
      ),
    ),
  (random) =>
    backend.error(
      random.pick(['42601', '26000', '0A000', '57P01', '25P02', '']),
      random.pick(['no', 'cached plan must not change result type', '\n\x1b[31m', 'x'.repeat(random.size())]),
      random.pick(['ERROR', 'FATAL', 'PANIC', '']),
    ),
  () => frame('E', Buffer.from([0])),
  () => backend.notice('hello'),
  (random) =>
    backend.parameterStatus(random.pick(['TimeZone', 'search_path', 'x']), random.pick(['UTC', '', "'"])),
  (random) => frame('A', int32(random.word()), text('channel'), text('payload')),
  (random) => backend.keyData(random.word(), random.buffer(random.pick([0, 3, 4, 32, 256, 257]))),
  (random) => frame(random.pick(['G', 'H', 'W']), Buffer.from([0]), int16(1), int16(0)),
  (random) => d(random.buffer(random.size(3000))),
  () => c(),
  (random) => frame('t', int16(1), int32(random.word())),
  (random) => frame('V', int32(random.pick([0xffffffff, 0, 4, 0x7fffffff])), random.buffer(random.below(8))),
  (random) => frame('v', int32(196608), int32(random.pick([0, 1, 0xffffffff])), text('_pq_.x')),
  authentication,
];

function authentication(random: FuzzRandom): Buffer {
  const code = random.pick([0, 0, 2, 3, 5, 7, 8, 9, 10, 10, 11, 12, random.word()]);
  if (code === 5) return backend.authentication(5, random.buffer(4));
  if (code === 10)
    return backend.authentication(
      10,
      text('SCRAM-SHA-256'),
      ...(random.oneIn(2) ? [text('SCRAM-SHA-256-PLUS')] : []),
      Buffer.from([0]),
    );
  if (code === 11) return backend.authentication(11, serverFirst(random));
  if (code === 12)
    return backend.authentication(12, Buffer.from(random.pick(['v=AAAA', 'e=other-error', 'v=', ''])));
  return backend.authentication(code, random.buffer(random.below(5)));
}

/** "r=…,s=…,i=…" as a server might word it. `nonce`: the client's own, when it is known. */
export function serverFirst(random: FuzzRandom, nonce = 'fyko+d2lbbFgONRv9qkxdawL'): Buffer {
  const salt = random.buffer(random.pick([0, 1, 16, 64])).toString('base64');
  const iterations = random.pick([
    '1',
    '4096',
    '0',
    '-1',
    '4294967297',
    '100001',
    '99999999999',
    '4096x',
    '',
    '1e3',
  ]);
  return Buffer.from(
    `r=${nonce}${'x'.repeat(random.size(2000))},s=${salt},i=${random.oneIn(3) ? iterations : '1'}`,
  );
}

/** First packets of a client. */
export const STARTUP_MAKERS: readonly Make[] = [
  () => startupPacket({ user: 'postgres', database: 'postgres' }),
  (random) => startupPacket({ user: 'x'.repeat(random.size(9000) || 1), database: 'postgres' }),
  (random) => startupPacket({ user: 'postgres', database: 'd'.repeat(random.size(9000)) }),
  (random) => startupPacket({ user: 'postgres', options: startupOptions(random) }),
  (random) =>
    startupPacket({
      user: 'postgres',
      [random.pick(['TimeZone', 'role', 'replication', '_pq_.x', ''])]: 'on',
    }),
  (random) =>
    startupPacket(
      { user: 'postgres' },
      random.pick([196608, 196609, 196610, 196617, 0x20000, random.word()]),
    ),
  () => Buffer.concat([int32(8), int32(80877103)]),
  () => Buffer.concat([int32(8), int32(80877104)]),
  () => Buffer.concat([int32(8), int32(80877103), startupPacket({ user: 'postgres' }), Q('SELECT 1')]),
  // Direct TLS: the head of a ClientHello.
  (random) => Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), random.buffer(200)]),
  (random) => cancelRequest(random.word(), random.buffer(random.pick([0, 3, 4, 32, 256, 257]))),
];

export function startupOptions(random: FuzzRandom): string {
  const parts = [
    '-c',
    '-c=',
    '-c a=b',
    '-ca=b',
    '--a-b=c',
    '--',
    '-',
    '-c a',
    '\\',
    '\\ ',
    ' ',
    '\t',
    '=',
    '-d',
    '-c a=\\',
    "'",
    '-cé=ü',
  ];
  return Array.from({ length: random.below(7) }, () => random.pick(parts)).join(random.pick(['', ' ']));
}

export function passwordMessage(random: FuzzRandom): Buffer {
  const first = random.pick([
    'n,,n=,r=abc',
    'y,,n=,r=abc',
    'p=tls-unique,,n=,r=abc',
    'n,a=x,n=,r=abc',
    'n,,m=x,n=,r=a',
    'n,,n=,r=',
    ',,',
    '',
  ]);
  return random.pick([
    p(text('SCRAM-SHA-256'), int32(first.length), Buffer.from(first)),
    p(text('SCRAM-SHA-256'), int32(random.word()), Buffer.from(first)),
    p(text('SCRAM-SHA-256'), int32(0xffffffff)),
    p(text('SCRAM-SHA-256-PLUS'), int32(first.length), Buffer.from(first)),
    p(Buffer.from(`c=biws,r=abc${'x'.repeat(random.size(1200))},p=${random.buffer(32).toString('base64')}`)),
    p(text('secret')),
    p(text('x'.repeat(random.size()))),
    p(),
  ]);
}

/** Several messages in a row, each whole or broken. */
export function conversation(random: FuzzRandom, makers: readonly Make[], countMax = 8): Buffer {
  return Buffer.concat(Array.from({ length: 1 + random.below(countMax) }, () => random.pick(makers)(random)));
}
