import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  buildCancelRequest,
  buildSslRequest,
  buildStartupMessage,
  FrameWriter,
  parseStartupOptions,
  parseStartupPacket,
  SeededRandom,
  STARTUP_PACKET_BYTES_MAX,
  type StartupPacket,
} from '@pgdog-cluster/core';

const parse = (bytes: Uint8Array): StartupPacket => parseStartupPacket(bytes, 0, bytes.length);
const packet = (code: number, body: Uint8Array | string): Uint8Array =>
  new FrameWriter().beginPacket().int32(code).bytes(Buffer.from(body)).end().take();

function refusal(bytes: Uint8Array): [sqlstate: string, hasReply: boolean, message: string] {
  const parsed = parse(bytes);
  assert.equal(parsed.kind, 'refused');
  assert.ok(parsed.kind === 'refused');
  return [parsed.error.sqlstate, parsed.hasReply, parsed.error.message];
}

test('StartupMessage: parameters in order, options apart, database defaults to the user', () => {
  const bytes = buildStartupMessage(
    [
      ['user', 'ann'],
      ['_pq_.x', '1'],
      ['options', '-c a=b'],
      ['DateStyle', 'ISO'],
    ],
    9999,
  );
  const parsed = parse(bytes);
  assert.ok(parsed.kind === 'startup');
  assert.deepEqual([parsed.major, parsed.minor, parsed.user, parsed.database], [3, 9999, 'ann', 'ann']);
  assert.deepEqual(
    [...parsed.parameters],
    [
      ['user', 'ann'],
      ['options', '-c a=b'],
      ['DateStyle', 'ISO'],
    ],
  );
  assert.deepEqual(parsed.unsupportedOptions, ['_pq_.x']);
  assert.equal(parsed.packetBytes, bytes.length);
  const named = parse(
    buildStartupMessage([
      ['database', 'd'],
      ['user', 'ann'],
    ]),
  );
  assert.ok(named.kind === 'startup');
  assert.equal(named.database, 'd');
});

test('bytes pipelined behind the packet are not part of it', () => {
  const bytes = Buffer.concat([Buffer.from([9, 9]), buildSslRequest(), buildStartupMessage([['user', 'x']])]);
  assert.deepEqual(parseStartupPacket(bytes, 2, bytes.length), { kind: 'ssl', packetBytes: 8 });
});

test('SSLRequest, GSSENCRequest and CancelRequest', () => {
  assert.deepEqual(parse(buildSslRequest()), { kind: 'ssl', packetBytes: 8 });
  assert.deepEqual(parse(packet(80877104, '')), { kind: 'gss', packetBytes: 8 });
  assert.deepEqual(refusal(packet(80877103, 'x')).slice(0, 2), ['08P01', false]);
  for (const secretBytes of [4, 5, 32, 256]) {
    const secret = new SeededRandom(secretBytes).bytes(secretBytes);
    const cancel = buildCancelRequest(-5, secret);
    assert.deepEqual(parse(cancel), { kind: 'cancel', pid: -5, secret, packetBytes: cancel.length });
  }
  for (const bodyBytes of [0, 3, 4, 7, 261]) {
    assert.deepEqual(refusal(packet(80877102, new Uint8Array(bodyBytes))).slice(0, 2), ['08P01', false]);
  }
});

test('hostile lengths are refused as soon as the four bytes are here', () => {
  for (const length of [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    STARTUP_PACKET_BYTES_MAX + 1,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
  ]) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, length);
    const text = `invalid length of startup packet: ${length} bytes, 8 to ${STARTUP_PACKET_BYTES_MAX} are allowed`;
    assert.deepEqual(refusal(bytes), ['08P01', false, text]);
  }
  const most = new Uint8Array(4);
  new DataView(most.buffer).setUint32(0, STARTUP_PACKET_BYTES_MAX);
  assert.deepEqual(parse(most), { kind: 'incomplete', bytesNeeded: STARTUP_PACKET_BYTES_MAX });
  assert.equal(refusal(Buffer.from('GET / HTTP/1.1\r\n'))[1], false);
});

test('a packet cut at each offset is awaited, never misread', () => {
  const whole = [
    buildStartupMessage([
      ['user', 'ann'],
      ['database', 'd'],
    ]),
    buildCancelRequest(1, new Uint8Array(32)),
    buildSslRequest(),
  ];
  for (const bytes of whole) {
    for (let cut = 0; cut < bytes.length; cut += 1) {
      const parsed = parseStartupPacket(bytes, 0, cut);
      assert.deepEqual(parsed, { kind: 'incomplete', bytesNeeded: cut < 4 ? 8 : bytes.length });
    }
  }
});

test('the length word cut short at each offset is refused or is another valid packet, never a throw', () => {
  const bytes = buildStartupMessage([
    ['user', 'ann'],
    ['database', 'd'],
  ]);
  for (let length = 8; length < bytes.length; length += 1) {
    const shorter = bytes.slice(0, length);
    new DataView(shorter.buffer).setUint32(0, length);
    assert.ok(['08P01', '28000'].includes(refusal(shorter)[0]), `${length}`);
  }
});

test('layout: terminator last, nothing missing, nothing behind it', () => {
  const layout = ['08P01', true, 'invalid startup packet layout: expected terminator as last byte'];
  for (const body of [
    '',
    'user\0ann\0',
    'user\0ann',
    'user\0',
    'user\0\0',
    'user\0ann\0\0x',
    'user\0ann\0\0\0',
  ]) {
    assert.deepEqual(refusal(packet(0x30000, body)), layout, JSON.stringify(body));
  }
});

test('names: missing user, two values for one name, bad UTF-8', () => {
  const nobody = ['28000', true, 'no PostgreSQL user name specified in startup packet'];
  assert.deepEqual(refusal(packet(0x30000, '\0')), nobody);
  assert.deepEqual(refusal(packet(0x30000, 'user\0\0\0')), nobody);
  assert.deepEqual(refusal(packet(0x30000, 'database\0d\0\0')), nobody);
  assert.deepEqual(refusal(packet(0x30000, 'user\0a\0user\0b\0\0')).slice(0, 2), ['08P01', true]);
  assert.equal(parse(packet(0x30000, 'user\0a\0user\0a\0\0')).kind, 'startup');
  const latin1 = Buffer.from('user\0\xe9\0\0', 'latin1');
  assert.deepEqual(refusal(packet(0x30000, latin1)).slice(0, 2), ['22021', true]);
});

test('long names in every field arrive whole or are refused by length', () => {
  for (const count of [63, 64, 1000, 9000]) {
    const name = 'n'.repeat(count);
    const parsed = parse(buildStartupMessage([['user', name]]));
    assert.ok(parsed.kind === 'startup' && parsed.user === name);
  }
  assert.equal(refusal(buildStartupMessage([['user', 'n'.repeat(65_536)]]))[0], '08P01');
  assert.equal(
    refusal(
      buildStartupMessage([
        ['user', 'u'],
        ['k'.repeat(10_000), ''],
      ]),
    )[0],
    '08P01',
  );
});

test('other major versions are refused in the words of Postgres', () => {
  const text = 'unsupported frontend protocol 2.0: server supports 3.0 to 3.2';
  assert.deepEqual(refusal(packet(0x20000, new Uint8Array(288))), ['0A000', true, text]);
  assert.equal(refusal(packet(0x40000, '\0'))[0], '0A000');
  assert.equal(refusal(packet(0, ''))[0], '0A000');
});

test('random packets never throw', () => {
  const seed = Date.now() % 1_000_000;
  const random = new SeededRandom(seed);
  for (let round = 0; round < 5000; round += 1) {
    const body = random.bytes(random.below(60)).map((byte) => (byte < 90 ? 0 : byte & 0x7f));
    const code = [0x30000, 80877102, 80877103, 80877104, random.next()][random.below(5)];
    const { kind } = parse(packet(code, body));
    assert.notEqual(kind, 'incomplete', `seed ${seed} round ${round}`);
  }
});

test('options as Postgres splits them', () => {
  const settings = (text: string) => {
    const { settings: found, error } = parseStartupOptions(text);
    assert.equal(error, null, text);
    return found;
  };
  assert.deepEqual(settings(''), []);
  assert.deepEqual(settings(' \t\n'), []);
  assert.deepEqual(settings('-c work_mem=64MB  -cgeqo=off --statement-timeout=5s'), [
    ['work_mem', '64MB'],
    ['geqo', 'off'],
    ['statement_timeout', '5s'],
  ]);
  assert.deepEqual(settings('-c search_path=a\\ b\\\\c'), [['search_path', 'a b\\c']]);
  assert.deepEqual(settings('-c a=b=c -c x= -c end=\\'), [
    ['a', 'b=c'],
    ['x', ''],
    ['end', ''],
  ]);
  assert.deepEqual(settings('-c a=1 -c a=2'), [
    ['a', '1'],
    ['a', '2'],
  ]);
  assert.deepEqual(settings('-c -dashed-name=v'), [['_dashed_name', 'v']]);
});

test('the switches of a server process, as getopt() reads them', () => {
  for (const [text, wanted] of [
    ['-S 64MB', 'work_mem=64MB'],
    ['-eS64MB   -B 100', 'datestyle=euro work_mem=64MB shared_buffers=100'],
    ['-ecgeqo=off', 'datestyle=euro geqo=off'],
    ['-fs -f hash -fm', 'enable_seqscan=false enable_hashjoin=false enable_mergejoin=false'],
    ['-tpa -t planner -te', 'log_parser_stats=true log_planner_stats=true log_executor_stats=true'],
    ['-sOP', 'log_statement_stats=true allow_system_table_mods=true ignore_system_indexes=true'],
    ['-d 2', 'log_min_messages=debug2 log_statement=all'],
    ['-d0', 'log_min_messages=notice'],
    ['-FliN5', 'fsync=false ssl=true listen_addresses=* max_connections=5'],
    ['-W1 -p 7 -h x -k y', 'post_auth_delay=1 port=7 listen_addresses=x unix_socket_directories=y'],
    ['-bEjnT -C a -D b -r c -v 3 --', ''],
  ] as const) {
    const { settings, error } = parseStartupOptions(text);
    assert.equal(error, null, text);
    assert.equal(settings.map((pair) => pair.join('=')).join(' '), wanted, text);
  }
});

test('options that are refused', () => {
  for (const text of [
    '-c',
    '-c=',
    '-c =x',
    '-c name',
    '-- -c a=1',
    '--name',
    '--=x',
    '-d',
    '-f x',
    '-f constructor',
    '-t pb',
    '-x',
    '-ex',
    'word',
    '-',
    '-c a=1 -S',
    '-c a=1 word',
    '\\-',
  ]) {
    const { settings, error } = parseStartupOptions(text);
    assert.equal(error?.sqlstate, '42601', text);
    assert.deepEqual(settings, [], text);
  }
});
