import { progress } from '../base/assert.js';
import { PgDogError } from '../base/errors.js';
import { CANCEL_SECRET_BYTES_MAX, CANCEL_SECRET_BYTES_MIN } from './backend-key.js';
import { decodeTextStrictly, findNul } from './cstring.js';
import { checkedLength } from './frame-header.js';
import { FrameWriter } from './frame-writer.js';
import { readLength } from './message-type.js';

export const PROTOCOL_MAJOR = 3;
/** Newest minor version spoken here. A client that asks for a newer one is told by NegotiateProtocolVersion. */
export const PROTOCOL_MINOR_MAX = 2;

/** Postgres's MAX_STARTUP_PACKET_LENGTH, which does not count the length word. */
const BODY_BYTES_MAX = 10_000;
/** No longer first packet is ever awaited, so this bounds what an unauthenticated client can make us keep. */
export const STARTUP_PACKET_BYTES_MAX = BODY_BYTES_MAX + 4;
const HEADER_BYTES = 8;

/** Codes in place of the version: 1234 in the upper half, which no version will ever have. */
const CANCEL_REQUEST_CODE = 0x04d2_162e;
const SSL_REQUEST_CODE = 0x04d2_162f;
const GSSENC_REQUEST_CODE = 0x04d2_1630;

/** Name prefix of protocol options, as opposed to session parameters. */
const PROTOCOL_OPTION_PREFIX = '_pq_.';

export interface StartupMessage {
  kind: 'startup';
  major: number;
  /** As asked for; may be above PROTOCOL_MINOR_MAX. */
  minor: number;
  user: string;
  /** The user's name when the client named none. */
  database: string;
  /** Every parameter in the order sent, `user`, `database` and `options` among them, `_pq_.` ones not. */
  parameters: Map<string, string>;
  /** Names of `_pq_.` options. None is supported, so all of them go into NegotiateProtocolVersion. */
  unsupportedOptions: string[];
  packetBytes: number;
}

export interface StartupCancel {
  kind: 'cancel';
  pid: number;
  secret: Uint8Array;
  packetBytes: number;
}

/** `bytesNeeded`: length of the whole packet, or of its head while that is not known yet. */
export interface StartupIncomplete {
  kind: 'incomplete';
  bytesNeeded: number;
}

export interface StartupRefused {
  kind: 'refused';
  error: PgDogError;
  /** False: close without a word, as Postgres does when the peer is not a Postgres client at all. */
  hasReply: boolean;
}

/** `packetBytes` counts from `start`; bytes behind it must be none before a TLS handshake. */
export type StartupPacket =
  | StartupMessage
  | StartupCancel
  | { kind: 'ssl' | 'gss'; packetBytes: number }
  | StartupIncomplete
  | StartupRefused;

/**
 * The untyped first packet of a client (protocol page: StartupMessage, SSLRequest, GSSENCRequest,
 * CancelRequest). Pure: bytes in, verdict out; nothing is kept between calls.
 */
export function parseStartupPacket(bytes: Uint8Array, start: number, end: number): StartupPacket {
  if (end - start < 4) return { kind: 'incomplete', bytesNeeded: HEADER_BYTES };
  const length = checkedLength(bytes, start, HEADER_BYTES, STARTUP_PACKET_BYTES_MAX);
  // Judged before anything is awaited: a declared length of gigabytes must not make us wait for them.
  if (length < 0) {
    const text = `invalid length of startup packet: ${readLength(bytes, start)} bytes, ${HEADER_BYTES} to ${STARTUP_PACKET_BYTES_MAX} are allowed`;
    return refuse('protocol_violation', text, false);
  }
  if (end - start < length) return { kind: 'incomplete', bytesNeeded: length };

  const code = readLength(bytes, start + 4);
  if (code === CANCEL_REQUEST_CODE) return parseCancelRequest(bytes, start, length);
  if (code === SSL_REQUEST_CODE || code === GSSENC_REQUEST_CODE) {
    if (length !== HEADER_BYTES)
      return refuse(
        'protocol_violation',
        `invalid length of encryption request: ${length} bytes, it has ${HEADER_BYTES}`,
        false,
      );
    return { kind: code === SSL_REQUEST_CODE ? 'ssl' : 'gss', packetBytes: length };
  }
  const major = code >>> 16;
  const minor = code & 0xffff;
  if (major !== PROTOCOL_MAJOR) {
    const versions = `server supports ${PROTOCOL_MAJOR}.0 to ${PROTOCOL_MAJOR}.${PROTOCOL_MINOR_MAX}`;
    return refuse('unsupported_protocol', `unsupported frontend protocol ${major}.${minor}: ${versions}`);
  }
  return parseStartupMessage(bytes, start, length, minor);
}

function refuse(
  code: ConstructorParameters<typeof PgDogError>[0],
  message?: string,
  hasReply = true,
): StartupRefused {
  return { kind: 'refused', error: new PgDogError(code, message), hasReply };
}

function parseCancelRequest(
  bytes: Uint8Array,
  start: number,
  length: number,
): StartupCancel | StartupRefused {
  const secretBytes = length - 12;
  if (secretBytes < CANCEL_SECRET_BYTES_MIN || secretBytes > CANCEL_SECRET_BYTES_MAX) {
    const allowed = `${CANCEL_SECRET_BYTES_MIN + 12} to ${CANCEL_SECRET_BYTES_MAX + 12}`;
    const text = `invalid length of cancel request: ${length} bytes, ${allowed} are allowed`;
    return refuse('protocol_violation', text, false);
  }
  const pid = readLength(bytes, start + 8) | 0;
  return { kind: 'cancel', pid, secret: bytes.slice(start + 12, start + length), packetBytes: length };
}

function parseStartupMessage(
  bytes: Uint8Array,
  start: number,
  length: number,
  minor: number,
): StartupMessage | StartupRefused {
  const parameters = new Map<string, string>();
  const unsupportedOptions: string[] = [];
  const end = start + length;
  let at = start + HEADER_BYTES;
  while (at < end && bytes[at] !== 0) {
    const nameEnd = findNul(bytes, at, end);
    const valueEnd = nameEnd === -1 ? -1 : findNul(bytes, nameEnd + 1, end);
    if (valueEnd === -1) return refuseLayout();
    const name = decodeTextStrictly(bytes, at, nameEnd);
    const value = decodeTextStrictly(bytes, nameEnd + 1, valueEnd);
    // U+FFFD in place of bad bytes would make two different names one.
    if (name === null || value === null) return refuse('invalid_encoding');
    if (name.startsWith(PROTOCOL_OPTION_PREFIX)) unsupportedOptions.push(name);
    else if ((parameters.get(name) ?? value) === value) parameters.set(name, value);
    // Whoever reads the first and whoever reads the last would see two different clients.
    else return refuse('protocol_violation', `startup packet has two values for parameter "${name}"`);
    at = progress(at, valueEnd + 1);
  }
  if (at !== end - 1) return refuseLayout();
  const user = parameters.get('user');
  if (!user) return refuse('no_user_name');
  const database = parameters.get('database') || user;

  const packetBytes = length;
  return {
    kind: 'startup',
    major: PROTOCOL_MAJOR,
    minor,
    user,
    database,
    parameters,
    unsupportedOptions,
    packetBytes,
  };
}

function refuseLayout(): StartupRefused {
  return refuse('protocol_violation', 'invalid startup packet layout: expected terminator as last byte');
}

/** StartupMessage towards a server. Parameters keep their order; `user` must be among them. */
export function buildStartupMessage(parameters: Iterable<readonly [string, string]>, minor = 0): Uint8Array {
  const writer = new FrameWriter().beginPacket().int32((PROTOCOL_MAJOR << 16) | minor);
  for (const [name, value] of parameters) writer.cstring(name).cstring(value);
  return writer.byte(0).end().take();
}

/** CancelRequest towards a server, with the key that server gave. */
export function buildCancelRequest(pid: number, secret: Uint8Array): Uint8Array {
  return new FrameWriter().beginPacket().int32(CANCEL_REQUEST_CODE).int32(pid).bytes(secret).end().take();
}

export function buildSslRequest(): Uint8Array {
  return new FrameWriter().beginPacket().int32(SSL_REQUEST_CODE).end().take();
}
