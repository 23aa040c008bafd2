import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AssertionFailure,
  AUTHENTICATION,
  AUTHENTICATION_OK,
  BACKEND,
  BIND_COMPLETE,
  backendName,
  buildAuthentication,
  buildAuthenticationSasl,
  buildBackendKeyData,
  buildErrorResponse,
  buildNegotiateProtocolVersion,
  buildNoticeResponse,
  buildParameterStatus,
  buildPasswordMessage,
  buildResult,
  buildSaslInitialResponse,
  bytesEqual,
  EMPTY_QUERY,
  FRONTEND,
  FrameWriter,
  findNul,
  frontendName,
  PgDogError,
  parseAuthenticationRequest,
  parseBackendKeyData,
  parseErrorFields,
  parseNegotiateProtocolVersion,
  parseParameterStatus,
  parsePasswordMessage,
  parseSaslInitialResponse,
  parseSaslResponse,
  READY,
  READY_FOR_QUERY_FAILED,
  READY_FOR_QUERY_IDLE,
  READY_FOR_QUERY_IN_TRANSACTION,
  readBind,
  readExecute,
  readLength,
  readParse,
  readQueryEnd,
  readSqlstate,
  readTarget,
  readyForQuery,
  SeededRandom,
  SYNC,
  TARGET,
  TYPE_OID,
  toPgDogError,
  writeClose,
  writeDescribe,
  writeExecute,
  writeParse,
  writeQuery,
  writeRenamedBind,
  writeRenamedParse,
} from '@pgdog-cluster/core';

const utf8 = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bodyOf = (frame: Uint8Array) => frame.subarray(5);

/** Fences around the body: a reader that leaves start..end finds terminators and plausible fields there. */
function fenced(body: Uint8Array): { bytes: Uint8Array; start: number; end: number } {
  const bytes = new Uint8Array(body.length + 32);
  bytes.set(body, 16);
  return { bytes, start: 16, end: 16 + body.length };
}

/** Reads the body cut at each offset; the whole must be accepted, and no cut may throw. */
function everyCut(
  frame: Uint8Array,
  read: (bytes: Uint8Array, start: number, end: number) => unknown,
): unknown[] {
  const { bytes, start, end } = fenced(bodyOf(frame));
  const verdicts: unknown[] = [];
  for (let cut = start; cut <= end; cut += 1) verdicts.push(structuredClone(read(bytes, start, cut)));
  return verdicts;
}

function onlyWholeIsAccepted(
  frame: Uint8Array,
  read: (b: Uint8Array, s: number, e: number) => unknown,
): void {
  const verdicts = everyCut(frame, read);
  const whole = verdicts.pop();
  assert.notEqual(whole, null);
  assert.ok(verdicts.every((verdict) => verdict === null || verdict === -1));
}

test('frames are built as the protocol page has them', () => {
  const writer = new FrameWriter(4);
  writeQuery(writer, 'select 1');
  writer.begin(BACKEND.DataRow).int16(2).value('é').value(null).end();
  assert.equal(
    hex(writer.view()),
    `510000000d${hex(utf8('select 1'))}0044000000100002${'00000002c3a9'}ffffffff`,
  );
  const length = writer.length;
  assert.equal(writer.take().length, length);
  assert.equal(writer.length, 0);
  assert.equal(
    hex(new FrameWriter().beginPacket().int32(-2).int16(-1).byte(255).end().take()),
    '0000000bfffffffeffffff',
  );
});

test('a writer grows, copies ranges of any length and is reused', () => {
  const source = new SeededRandom(1).bytes(5000);
  const writer = new FrameWriter(1);
  for (const [from, to] of [
    [0, 0],
    [3, 40],
    [0, 64],
    [1, 66],
    [0, 5000],
  ]) {
    writer.reset().begin(FRONTEND.CopyData).bytes(source, from, to).end();
    assert.equal(hex(bodyOf(writer.view())), hex(source.subarray(from, to)));
    assert.equal(readLength(writer.view(), 1), to - from + 4);
  }
});

test('texts of every length and script are UTF-8, as short as they are', () => {
  const writer = new FrameWriter(1);
  for (const piece of ['a', 'é', '漢', '😀', 'aé', 'name', '\ud800']) {
    for (let count = 0; count < 60; count += 1) {
      const value = piece.repeat(count);
      writer.reset().begin(FRONTEND.Query).cstring(value).end();
      assert.equal(hex(bodyOf(writer.view())), `${hex(utf8(value))}00`);
    }
  }
});

test('a writer refuses what would make broken frames', () => {
  const refused = (build: () => unknown) => assert.throws(build, AssertionFailure);
  refused(() => new FrameWriter().begin(FRONTEND.Query).cstring('a\0b'));
  refused(() => new FrameWriter().begin(FRONTEND.Query).begin(FRONTEND.Query));
  refused(() => new FrameWriter().end());
  refused(() => new FrameWriter().begin(FRONTEND.Query).take());
  refused(() => new FrameWriter().begin(FRONTEND.Query).view());
  refused(() => new FrameWriter().begin(FRONTEND.Query).bytes(new Uint8Array(4), 2, 9));
});

test('canned frames', () => {
  assert.equal(hex(READY_FOR_QUERY_IDLE), '5a0000000549');
  assert.equal(hex(READY_FOR_QUERY_IN_TRANSACTION), '5a0000000554');
  assert.equal(hex(READY_FOR_QUERY_FAILED), '5a0000000545');
  assert.equal(readyForQuery(READY.Failed), READY_FOR_QUERY_FAILED);
  assert.equal(readyForQuery(READY.InTransaction), READY_FOR_QUERY_IN_TRANSACTION);
  assert.equal(readyForQuery(READY.Idle), READY_FOR_QUERY_IDLE);
  assert.equal(hex(AUTHENTICATION_OK), '520000000800000000');
  assert.equal(hex(BIND_COMPLETE), '3200000004');
  assert.equal(hex(SYNC), '5300000004');
  assert.equal(hex(EMPTY_QUERY), '510000000500');
});

test('length words read as unsigned numbers, type bytes as names', () => {
  for (const [bytes, length] of [
    ['7fffffff', 0x7fff_ffff],
    ['80000000', 0x8000_0000],
    ['ffffffff', 0xffff_ffff],
  ] as const) {
    assert.equal(readLength(Buffer.from(bytes, 'hex'), 0), length);
  }
  assert.deepEqual(
    [frontendName(0x51), backendName(0x51), backendName(0x5a)],
    ['Query', '0x51', 'ReadyForQuery'],
  );
});

test('findNul and bytesEqual stay inside their range', () => {
  const bytes = utf8('ab\0cd');
  assert.deepEqual([findNul(bytes, 0, 2), findNul(bytes, 0, 3), findNul(bytes, 3, 5)], [-1, 2, -1]);
  assert.equal(bytesEqual(bytes, 0, 2, utf8('ab')), true);
  assert.equal(bytesEqual(bytes, 0, 3, utf8('ab')), false);
  assert.equal(bytesEqual(bytes, 3, 5, utf8('cx')), false);
});

test('ErrorResponse there and back, a NUL in a text cannot forge a field', () => {
  const frame = buildErrorResponse(new PgDogError('wrong_password', 'no "x\0CXX000"', { detail: 'd' }));
  assert.equal(frame[0], BACKEND.ErrorResponse);
  const fields = parseErrorFields(frame, 5, frame.length);
  assert.deepEqual(fields, {
    severity: 'FATAL',
    sqlstate: '28P01',
    message: 'no "x CXX000"',
    detail: 'd',
    hint: '',
    routine: '',
  });
  assert.equal(readSqlstate(frame, 5, frame.length), '28P01');
  assert.equal(
    buildNoticeResponse({ severity: 'WARNING', sqlstate: '01000', message: 'm' })[0],
    BACKEND.NoticeResponse,
  );
});

test('hostile ErrorResponse bodies: no fields, duplicates, no terminator, each cut', () => {
  const parse = (text: string) => {
    const { bytes, start, end } = fenced(utf8(text));
    return [parseErrorFields(bytes, start, end), readSqlstate(bytes, start, end)] as const;
  };
  const none = { severity: '', sqlstate: '', message: '', detail: '', hint: '', routine: '' };
  assert.deepEqual(parse(''), [none, '']);
  assert.deepEqual(parse('\0'), [none, '']);
  assert.deepEqual(parse('Mhello'), [{ ...none, message: 'hello' }, '']);
  assert.deepEqual(parse('C'), [none, '']);
  assert.deepEqual(parse('C42601\0C00000\0SERREUR\0\0'), [
    { ...none, sqlstate: '42601', severity: 'ERREUR' },
    '42601',
  ]);
  assert.deepEqual(parse('Zjunk\0Vok\0Sx\0Mafter'), [{ ...none, severity: 'ok', message: 'after' }, '']);
  assert.deepEqual(parse('\0Mhidden\0'), [none, '']);
  const routine = 'RevalidateCachedQuery';
  const made = buildErrorResponse({ severity: 'ERROR', sqlstate: '0A000', message: 'm', routine });
  assert.equal(parseErrorFields(made, 5, made.length).routine, routine);
  everyCut(buildErrorResponse(new PgDogError('checkout_timeout')), parseErrorFields);
  everyCut(buildErrorResponse(new PgDogError('checkout_timeout')), readSqlstate);
  assert.equal(toPgDogError(new Error('secret path')).message, 'internal error');
});

test('a text result', () => {
  const columns = [{ name: 'a' }, { name: 'b', typeOid: TYPE_OID.int8 }];
  const bytes = buildResult(columns, [['x', null]], 'SELECT 1');
  const description = `54${'0000002e'}0002${'6100'}00000000000000000019ffffffffffff0000${'6200'}00000000000000000014${'0008'}ffffffff0000`;
  assert.equal(
    hex(bytes),
    `${description}440000000f00020000000178ffffffff430000000d${hex(utf8('SELECT 1'))}00`,
  );
});

test('ParameterStatus, BackendKeyData, NegotiateProtocolVersion: whole or nothing', () => {
  const status = buildParameterStatus('TimeZone', 'UTC');
  assert.deepEqual(parseParameterStatus(status, 5, status.length), { name: 'TimeZone', value: 'UTC' });
  onlyWholeIsAccepted(status, parseParameterStatus);
  const trailing = utf8('a\0b\0c');
  assert.equal(parseParameterStatus(trailing, 0, trailing.length), null);

  for (const secretBytes of [4, 32, 256]) {
    const key = buildBackendKeyData(-7, new Uint8Array(secretBytes).fill(9));
    assert.deepEqual(parseBackendKeyData(key, 5, key.length), {
      pid: -7,
      secret: new Uint8Array(secretBytes).fill(9),
    });
    assert.equal(parseBackendKeyData(key, 5, 12), null);
  }
  assert.equal(parseBackendKeyData(new Uint8Array(300), 0, 261), null);
  assert.throws(() => buildBackendKeyData(1, new Uint8Array(3)), AssertionFailure);

  const negotiation = buildNegotiateProtocolVersion(2, ['_pq_.a', '_pq_.b']);
  assert.equal(readLength(negotiation, 5), 0x0003_0002);
  const parsed = parseNegotiateProtocolVersion(negotiation, 5, negotiation.length);
  assert.deepEqual(parsed, { minor: 2, unsupportedOptions: ['_pq_.a', '_pq_.b'] });
  onlyWholeIsAccepted(negotiation, parseNegotiateProtocolVersion);
  const endless = Buffer.from('00030000ffffffff', 'hex');
  assert.equal(parseNegotiateProtocolVersion(endless, 0, 8), null);
  assert.equal(parseNegotiateProtocolVersion(Buffer.from('0004000000000000', 'hex'), 0, 8), null);
});

test('Parse, Describe, Close, Execute: fields, and every cut refused', () => {
  const writer = new FrameWriter();
  writeParse(writer, 's1', utf8('select $1'), [23, 25]);
  const parse = writer.take();
  const fields = readParse(parse, 5, parse.length);
  assert.ok(fields);
  assert.equal(hex(parse.subarray(fields.nameStart, fields.nameEnd)), hex(utf8('s1')));
  assert.equal(hex(parse.subarray(fields.textStart, fields.textEnd)), hex(utf8('select $1')));
  assert.deepEqual([fields.typeCount, readLength(parse, fields.typesStart + 4)], [2, 25]);
  writeRenamedParse(writer, parse, fields, parse.length, 'p_1');
  const renamed = writer.take();
  writeParse(writer, 'p_1', 'select $1', [23, 25]);
  assert.equal(hex(renamed), hex(writer.take()));
  onlyWholeIsAccepted(parse, readParse);

  writeDescribe(writer, TARGET.Portal, 'c');
  const describe = writer.take();
  assert.equal(hex(describe), '4400000007506300');
  assert.deepEqual({ ...readTarget(describe, 5, 8) }, { target: TARGET.Portal, nameStart: 6, nameEnd: 7 });
  onlyWholeIsAccepted(describe, readTarget);
  writeClose(writer, TARGET.Statement, '');
  assert.equal(hex(writer.take()), '43000000065300');
  assert.equal(readTarget(utf8('Sa\0b'), 0, 4), null);

  writeExecute(writer, 'c', 10);
  const execute = writer.take();
  assert.equal(readExecute(execute, 5, execute.length)?.rowsMax, 10);
  onlyWholeIsAccepted(execute, readExecute);

  writeQuery(writer, 'select 1');
  const query = writer.take();
  assert.equal(readQueryEnd(query, 5, query.length), query.length - 1);
  onlyWholeIsAccepted(query, readQueryEnd);
  assert.equal(readQueryEnd(utf8('a\0b\0'), 0, 4), -1);
  assert.equal(readQueryEnd(utf8('abc'), 0, 0), -1);
});

test('Bind: names are known before its values are here, and it goes on under another name', () => {
  const tail = Buffer.from('0000000100000003616263' + '0000', 'hex');
  const build = (statement: string) =>
    new FrameWriter().begin(FRONTEND.Bind).cstring('po').cstring(statement).bytes(tail).end().take();
  const bind = build('st');
  const verdicts = everyCut(bind, readBind);
  assert.deepEqual(
    verdicts.map((verdict) => verdict !== null),
    verdicts.map((_, cut) => cut >= 6),
  );
  const fields = readBind(bind, 5, bind.length);
  assert.ok(fields);
  const writer = new FrameWriter();
  writeRenamedBind(writer, bind, fields, bind.length, '__longer');
  assert.equal(hex(writer.take()), hex(build('__longer')));
});

test('authentication messages, both ways', () => {
  const sasl = buildAuthenticationSasl(['SCRAM-SHA-256']);
  assert.deepEqual(parseAuthenticationRequest(sasl, 5, sasl.length)?.mechanisms, ['SCRAM-SHA-256']);
  onlyWholeIsAccepted(sasl, parseAuthenticationRequest);
  const md5 = buildAuthentication(AUTHENTICATION.MD5Password, new Uint8Array([1, 2, 3, 4]));
  assert.deepEqual(parseAuthenticationRequest(md5, 5, md5.length)?.data, new Uint8Array([1, 2, 3, 4]));
  onlyWholeIsAccepted(md5, parseAuthenticationRequest);
  const password = buildPasswordMessage('pässword');
  assert.equal(parsePasswordMessage(password, 5, password.length), 'pässword');
  onlyWholeIsAccepted(password, parsePasswordMessage);
  assert.equal(parsePasswordMessage(utf8('a\0b\0'), 0, 4), null);
});

test('SASLInitialResponse: the declared length is only believed when it is there', () => {
  const initial = buildSaslInitialResponse('SCRAM-SHA-256', utf8('n,,n=,r=x'));
  const { bytes, start, end } = fenced(bodyOf(initial));
  assert.deepEqual(parseSaslInitialResponse(bytes, start, end), {
    mechanism: 'SCRAM-SHA-256',
    data: utf8('n,,n=,r=x'),
  });
  onlyWholeIsAccepted(initial, parseSaslInitialResponse);
  for (const declared of [0, 1, 8, 10, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]) {
    new DataView(bytes.buffer).setUint32(start + 14, declared);
    assert.equal(parseSaslInitialResponse(bytes, start, end), null, `${declared}`);
  }
  const none = Buffer.concat([utf8('X\0'), Buffer.from('ffffffff', 'hex')]);
  assert.deepEqual(parseSaslInitialResponse(none, 0, none.length), { mechanism: 'X', data: null });
  assert.equal(parseSaslResponse(new Uint8Array(2000), 0, 1025), null);
  assert.equal(parseSaslResponse(new Uint8Array(2000), 0, 1024)?.length, 1024);
  const long = buildSaslInitialResponse('X', new Uint8Array(1025));
  assert.equal(parseSaslInitialResponse(long, 5, long.length), null);
});

test('random bodies never make a reader throw or leave its range', () => {
  const seed = Date.now() % 1_000_000;
  const random = new SeededRandom(seed);
  const readers = [
    readParse,
    readBind,
    readTarget,
    readExecute,
    readQueryEnd,
    parseErrorFields,
    readSqlstate,
  ];
  const more = [
    parseParameterStatus,
    parseBackendKeyData,
    parseNegotiateProtocolVersion,
    parseSaslInitialResponse,
  ];
  for (let round = 0; round < 3000; round += 1) {
    const body = random.bytes(random.below(40)).map((byte) => (byte < 100 ? 0 : byte));
    const { bytes, start, end } = fenced(body);
    for (const read of [...readers, ...more, parseAuthenticationRequest, parsePasswordMessage]) {
      const inside = JSON.stringify(read(bytes, start, end));
      const other = bytes.map((byte, at) => (at < start || at >= end ? 0xff : byte));
      assert.equal(
        JSON.stringify(read(other, start, end)),
        inside,
        `seed ${seed} round ${round} ${read.name}`,
      );
    }
  }
});
