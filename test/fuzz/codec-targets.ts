/** The pure readers of core/wire: bytes of a stranger in, a verdict out. None may throw, hang or read beyond its range. */
import assert from 'node:assert/strict';
import {
  buildNegotiateProtocolVersion,
  CANCEL_SECRET_BYTES_MAX,
  decodeText,
  frameBytesOf,
  NO_VALUE,
  NULL_VALUE,
  PgDogError,
  parseAuthenticationRequest,
  parseBackendKeyData,
  parseErrorFields,
  parseNegotiateProtocolVersion,
  parseParameterStatus,
  parsePasswordMessage,
  parseSaslInitialResponse,
  parseSaslResponse,
  parseStartupOptions,
  parseStartupPacket,
  readBind,
  readExecute,
  readParse,
  readQueryEnd,
  readSqlstate,
  readTarget,
  SASL_MESSAGE_BYTES_MAX,
  STARTUP_PACKET_BYTES_MAX,
  valueBytesOf,
} from '@pgdog-cluster/core';
import { mutate } from './byte-mutations.js';
import type { FuzzRandom } from './fuzz-random.js';
import type { FuzzTarget } from './fuzz-run.js';
import {
  BACKEND_MAKERS,
  conversation,
  FRONTEND_MAKERS,
  passwordMessage,
  STARTUP_MAKERS,
  startupOptions,
} from './message-grammar.js';

/** Result of `read` on bytes between two walls; what stands in the walls must not matter. */
function walled<T>(bytes: Buffer, read: (within: Uint8Array, start: number, end: number) => T): T {
  const results = [0x00, 0x41].map((wall) => {
    const padded = Buffer.concat([Buffer.alloc(7, wall), bytes, Buffer.alloc(9, wall)]);
    return structuredClone(read(padded, 7, 7 + bytes.length));
  });
  assert.deepEqual(results[0], results[1], 'bytes outside of the range were read');
  return results[0] as T;
}

const verdictOf = (within: Uint8Array, start: number, end: number) => {
  const packet = parseStartupPacket(within, start, end);
  if (packet.kind !== 'refused') return packet;
  assert.ok(packet.error instanceof PgDogError && packet.error.sqlstate.length === 5);
  return { kind: packet.kind, code: packet.error.code, message: packet.error.message };
};

const startupPacketTarget: FuzzTarget = {
  name: 'startup-packet',
  generate: (random) => mutate(random, random.pick(STARTUP_MAKERS)(random)),
  run(bytes) {
    const packet = walled(bytes, verdictOf);
    if (packet.kind === 'incomplete') {
      assert.ok(packet.bytesNeeded > bytes.length && packet.bytesNeeded <= STARTUP_PACKET_BYTES_MAX);
      return;
    }
    if (!('packetBytes' in packet)) return;
    assert.ok(
      packet.packetBytes >= 8 && packet.packetBytes <= Math.min(bytes.length, STARTUP_PACKET_BYTES_MAX),
    );
    if (packet.kind === 'startup') assert.ok(packet.user !== '' && packet.database !== '');
    if (packet.kind === 'cancel') assert.ok(packet.secret.length <= CANCEL_SECRET_BYTES_MAX);
    // Whatever is missing at the end: never a verdict about bytes that are not there.
    for (const end of [packet.packetBytes - 1, packet.packetBytes >> 1, 4, 3, 0]) {
      const part = parseStartupPacket(bytes, 0, end);
      assert.ok(part.kind === 'incomplete', `${part.kind} after ${end} of ${packet.packetBytes} bytes`);
    }
  },
};

const startupOptionsTarget: FuzzTarget = {
  name: 'startup-options',
  generate: (random) => mutate(random, Buffer.from(startupOptions(random))),
  run(bytes) {
    const { settings, error } = parseStartupOptions(bytes.toString('utf8'));
    assert.ok(error === null || settings.length === 0);
    for (const [name] of settings) assert.ok(name !== '' && !name.includes('-'));
    assert.ok(settings.length <= bytes.length * 2, 'a switch stands for five settings at most');
  },
};

const errorFieldsTarget: FuzzTarget = {
  name: 'error-fields',
  generate: (random) => mutate(random, random.pick(BACKEND_MAKERS)(random)).subarray(random.below(7)),
  run(bytes) {
    const fields = walled(bytes, parseErrorFields);
    const sqlstate = walled(bytes, readSqlstate);
    const length = Object.values(fields).reduce((sum, field) => sum + field.length, 0);
    assert.ok(length <= bytes.length * 2, 'fields are longer than the message');
    if (fields.sqlstate !== '') assert.equal(sqlstate === '' ? fields.sqlstate : sqlstate, fields.sqlstate);
  },
};

function saslTest(bytes: Buffer): void {
  const initial = walled(bytes, parseSaslInitialResponse);
  if (initial?.data) assert.ok(initial.data.length <= SASL_MESSAGE_BYTES_MAX);
  const response = walled(bytes, parseSaslResponse);
  assert.equal(response === null, bytes.length > SASL_MESSAGE_BYTES_MAX);
  const password = walled(bytes, parsePasswordMessage);
  assert.equal(password !== null, bytes.indexOf(0) === bytes.length - 1 && bytes.length > 0);
}

const passwordTarget: FuzzTarget = {
  name: 'password-message',
  generate: (random) => mutate(random, passwordMessage(random)).subarray(5),
  run: saslTest,
};

const backendBodiesTarget: FuzzTarget = {
  name: 'backend-bodies',
  generate: (random) => mutate(random, random.pick(BACKEND_MAKERS)(random)).subarray(5),
  run(bytes) {
    const request = walled(bytes, parseAuthenticationRequest);
    if (request !== null) {
      assert.ok(request.data.length <= bytes.length && request.mechanisms.length <= bytes.length);
    }
    const key = walled(bytes, parseBackendKeyData);
    if (key !== null) assert.ok(key.secret.length >= 4 && key.secret.length <= CANCEL_SECRET_BYTES_MAX);
    walled(bytes, parseParameterStatus);
    const negotiation = walled(bytes, parseNegotiateProtocolVersion);
    if (negotiation === null) return;
    const again = buildNegotiateProtocolVersion(negotiation.minor, negotiation.unsupportedOptions);
    assert.equal(negotiation.unsupportedOptions.length, Buffer.from(again).readUInt32BE(9));
  },
};

/** Every offset a reader gives lies inside the body, in order. */
function inOrder(start: number, end: number, ...offsets: number[]): void {
  let before = start;
  for (const offset of offsets) {
    assert.ok(offset >= before && offset <= end, `offset ${offset} is not in ${before}..${end}`);
    before = offset;
  }
}

const requestBodiesTarget: FuzzTarget = {
  name: 'request-bodies',
  generate: (random) => mutate(random, random.pick(FRONTEND_MAKERS)(random)).subarray(5),
  run(bytes) {
    walled(bytes, (within, start, end) => {
      const parse = readParse(within, start, end);
      if (parse !== null) {
        inOrder(start, end, parse.nameStart, parse.nameEnd, parse.textStart, parse.textEnd, parse.typesStart);
        assert.equal(parse.typesStart + parse.typeCount * 4, end);
        assert.equal(decodeText(within, parse.textStart, parse.textEnd).includes('\0'), false);
      }
      const bind = readBind(within, start, end);
      if (bind !== null) {
        inOrder(start, end - 1, bind.portalStart, bind.portalEnd, bind.statementStart, bind.statementEnd);
      }
      const target = readTarget(within, start, end);
      if (target !== null) inOrder(start, end - 1, target.nameStart, target.nameEnd);
      const execute = readExecute(within, start, end);
      if (execute !== null) inOrder(start, end - 5, execute.portalStart, execute.portalEnd);
      const textEnd = readQueryEnd(within, start, end);
      assert.ok(textEnd === -1 || textEnd === end - 1);
      return [parse === null, bind === null, target === null, execute === null, textEnd === -1];
    });
  },
};

const lengthsTarget: FuzzTarget = {
  name: 'lengths',
  generate: (random) =>
    mutate(random, conversation(random, FRONTEND_MAKERS, 2)).subarray(0, 5 + random.below(40)),
  run(bytes) {
    if (bytes.length >= 5) {
      const size = frameBytesOf(bytes, 0);
      assert.ok(size === -1 || (size >= 5 && size <= 0x40000000));
      if (size !== -1) assert.equal(bytes.readUInt32BE(1) + 1, size);
    }
    for (let at = 0; at <= bytes.length; at++) {
      const size = walled(bytes, (within, start, end) => valueBytesOf(within, start + at, end));
      if (size === NULL_VALUE) assert.equal(bytes.readInt32BE(at), -1);
      else if (size !== NO_VALUE) assert.ok(size >= 0 && at + 4 + size <= bytes.length);
    }
  },
};

export const CODEC_TARGETS: readonly FuzzTarget[] = [
  startupPacketTarget,
  startupOptionsTarget,
  errorFieldsTarget,
  passwordTarget,
  backendBodiesTarget,
  requestBodiesTarget,
  lengthsTarget,
];

/** For targets elsewhere that need the same wall. */
export type Reader<T> = (within: Uint8Array, start: number, end: number) => T;
export const behindWalls = <T>(bytes: Buffer, read: Reader<T>): T => walled(bytes, read);
export type { FuzzRandom };
