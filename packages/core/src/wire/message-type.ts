/**
 * Message type bytes, named as in the protocol documentation ("Message Formats"). Direction matters: the
 * same byte means different things from a client and from a server.
 */
export const FRONTEND = {
  Bind: 0x42,
  Close: 0x43,
  CopyData: 0x64,
  CopyDone: 0x63,
  CopyFail: 0x66,
  Describe: 0x44,
  Execute: 0x45,
  Flush: 0x48,
  FunctionCall: 0x46,
  Parse: 0x50,
  /** PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share one byte; the phase decides. */
  PasswordMessage: 0x70,
  Query: 0x51,
  Sync: 0x53,
  Terminate: 0x58,
} as const;

export const BACKEND = {
  /** Which request it is stands in its first four bytes: AUTHENTICATION. */
  Authentication: 0x52,
  BackendKeyData: 0x4b,
  BindComplete: 0x32,
  CloseComplete: 0x33,
  CommandComplete: 0x43,
  CopyBothResponse: 0x57,
  CopyData: 0x64,
  CopyDone: 0x63,
  CopyInResponse: 0x47,
  CopyOutResponse: 0x48,
  DataRow: 0x44,
  EmptyQueryResponse: 0x49,
  ErrorResponse: 0x45,
  FunctionCallResponse: 0x56,
  NegotiateProtocolVersion: 0x76,
  NoData: 0x6e,
  NoticeResponse: 0x4e,
  NotificationResponse: 0x41,
  ParameterDescription: 0x74,
  ParameterStatus: 0x53,
  ParseComplete: 0x31,
  PortalSuspended: 0x73,
  ReadyForQuery: 0x5a,
  RowDescription: 0x54,
} as const;

/** First Int32 of an Authentication message. */
export const AUTHENTICATION = {
  Ok: 0,
  KerberosV5: 2,
  CleartextPassword: 3,
  MD5Password: 5,
  GSS: 7,
  GSSContinue: 8,
  SSPI: 9,
  SASL: 10,
  SASLContinue: 11,
  SASLFinal: 12,
} as const;

/** Ready status: the byte in ReadyForQuery. */
export const READY = { Idle: 0x49, InTransaction: 0x54, Failed: 0x45 } as const;

/** What a Describe or Close is about. */
export const TARGET = { Statement: 0x53, Portal: 0x50 } as const;

/** Type byte and length word. */
export const FRAME_HEADER_BYTES = 5;

/**
 * The length word at `at` as an unsigned number, 0..2^32-1. It counts itself, not the type byte.
 * The one place that reads such a word, as a length (judged by frame-header.ts), a code or a number.
 * The caller has checked that four bytes are there.
 */
export function readLength(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

/** Name for logs; the byte itself in hex when it is none of the protocol's. */
export function frontendName(type: number): string {
  return nameOf(FRONTEND, type);
}

/** As frontendName, for the other direction. */
export function backendName(type: number): string {
  return nameOf(BACKEND, type);
}

function nameOf(table: Record<string, number>, type: number): string {
  for (const [name, byte] of Object.entries(table)) if (byte === type) return name;
  return `0x${type.toString(16).padStart(2, '0')}`;
}
