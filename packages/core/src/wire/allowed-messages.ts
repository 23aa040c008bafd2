/**
 * Which message may come when: one total table for each direction, a row per state, a cell per message. The
 * readers of both sides (FrameSinks) ask it before they look at anything else; what is not allowed ends the
 * connection. A new message type or state that is forgotten here does not compile.
 *
 * Start-up packets have no type byte. Read as a frame one begins with a zero, which is no message's type and
 * therefore refused in every state: a second StartupMessage ends the connection wherever it comes.
 */
import { FRAME_LENGTH_MAX, FRAME_LENGTH_MIN } from './frame-header.js';
import { BACKEND, FRONTEND } from './message-type.js';

export type FrontendName = keyof typeof FRONTEND;
export type BackendName = keyof typeof BACKEND;

/**
 * What a client may send depends on this.
 * `startup`: its untyped packets are awaited. `password`: we asked for a password or a SASL answer.
 * `settling`: it has answered, or was let in; nothing may come before we speak (bytes sent ahead are held, not
 * read). `ready`: requests. `admin`: the same in the admin database.
 */
export type ClientState = 'startup' | 'password' | 'settling' | 'ready' | 'admin';

/** `authenticating`: until AuthenticationOk. `starting`: until the first ReadyForQuery. `serving`: from then on. */
export type ServerState = 'authenticating' | 'starting' | 'serving';

/** Postgres's PQ_SMALL_MESSAGE_LIMIT. */
const SMALL_LENGTH_MAX = 10_000;
/** PG_MAX_AUTH_TOKEN_LENGTH: room for a Kerberos ticket, far more than any password. */
const AUTH_LENGTH_MAX = 65_535;
/** Commands typed by people, and nothing that streams. */
const ADMIN_LENGTH_MAX = 64 * 1024 - 1;
/** Longest ErrorResponse, NoticeResponse, ParameterStatus … that is collected to be read. */
const READ_LENGTH_MAX = 16 * 1024 * 1024 - 1;
/** Nothing a server says while one logs in is longer. */
const LOGIN_LENGTH_MAX = 64 * 1024 - 1;
/** ParameterStatus: a setting's name and value. Kept per server connection, and told to every client. */
const PARAMETER_LENGTH_MAX = 64 * 1024 - 1;

/** Bounds of the length word. `empty`: messages without a body. `status`: one byte. */
const BOUNDS = {
  no: [0, -1],
  empty: [FRAME_LENGTH_MIN, FRAME_LENGTH_MIN],
  status: [5, 5],
  small: [FRAME_LENGTH_MIN, SMALL_LENGTH_MAX],
  auth: [FRAME_LENGTH_MIN, AUTH_LENGTH_MAX],
  admin: [FRAME_LENGTH_MIN, ADMIN_LENGTH_MAX],
  login: [FRAME_LENGTH_MIN, LOGIN_LENGTH_MAX],
  parameter: [FRAME_LENGTH_MIN, PARAMETER_LENGTH_MAX],
  read: [FRAME_LENGTH_MIN, READ_LENGTH_MAX],
  large: [FRAME_LENGTH_MIN, FRAME_LENGTH_MAX],
} as const satisfies Record<string, readonly [number, number]>;

type Verdict = keyof typeof BOUNDS;

const NO_REQUESTS: Record<FrontendName, Verdict> = {
  Bind: 'no',
  Close: 'no',
  CopyData: 'no',
  CopyDone: 'no',
  CopyFail: 'no',
  Describe: 'no',
  Execute: 'no',
  Flush: 'no',
  FunctionCall: 'no',
  Parse: 'no',
  PasswordMessage: 'no',
  Query: 'no',
  Sync: 'no',
  Terminate: 'no',
};

export const FRONTEND_TABLE: Record<ClientState, Record<FrontendName, Verdict>> = {
  startup: NO_REQUESTS,
  password: { ...NO_REQUESTS, PasswordMessage: 'auth' },
  settling: NO_REQUESTS,
  ready: {
    Bind: 'large',
    Close: 'small',
    CopyData: 'large',
    // No body. Passed on with one, Postgres would answer a Flush with an error that nobody is owed, and skip
    // the next client's Query until a Sync.
    CopyDone: 'empty',
    CopyFail: 'large',
    Describe: 'small',
    Execute: 'small',
    Flush: 'empty',
    FunctionCall: 'large',
    Parse: 'large',
    PasswordMessage: 'no',
    Query: 'large',
    Sync: 'empty',
    Terminate: 'small',
  },
  admin: {
    Bind: 'admin',
    Close: 'small',
    CopyData: 'admin',
    CopyDone: 'empty',
    CopyFail: 'admin',
    Describe: 'small',
    Execute: 'small',
    Flush: 'empty',
    FunctionCall: 'admin',
    Parse: 'admin',
    PasswordMessage: 'no',
    Query: 'admin',
    Sync: 'empty',
    Terminate: 'small',
  },
};

const NO_ANSWERS: Record<BackendName, Verdict> = {
  Authentication: 'no',
  BackendKeyData: 'no',
  BindComplete: 'no',
  CloseComplete: 'no',
  CommandComplete: 'no',
  CopyBothResponse: 'no',
  CopyData: 'no',
  CopyDone: 'no',
  CopyInResponse: 'no',
  CopyOutResponse: 'no',
  DataRow: 'no',
  EmptyQueryResponse: 'no',
  ErrorResponse: 'no',
  FunctionCallResponse: 'no',
  NegotiateProtocolVersion: 'no',
  NoData: 'no',
  NoticeResponse: 'no',
  NotificationResponse: 'no',
  ParameterDescription: 'no',
  ParameterStatus: 'no',
  ParseComplete: 'no',
  PortalSuspended: 'no',
  ReadyForQuery: 'no',
  RowDescription: 'no',
};

export const BACKEND_TABLE: Record<ServerState, Record<BackendName, Verdict>> = {
  authenticating: { ...NO_ANSWERS, Authentication: 'login', ErrorResponse: 'login', NoticeResponse: 'login' },
  starting: {
    ...NO_ANSWERS,
    BackendKeyData: 'login',
    ErrorResponse: 'login',
    NoticeResponse: 'login',
    ParameterStatus: 'parameter',
    ReadyForQuery: 'status',
  },
  serving: {
    Authentication: 'no',
    BackendKeyData: 'no',
    BindComplete: 'empty',
    CloseComplete: 'empty',
    CommandComplete: 'read',
    CopyBothResponse: 'read',
    CopyData: 'large',
    CopyDone: 'empty',
    CopyInResponse: 'read',
    CopyOutResponse: 'read',
    DataRow: 'large',
    EmptyQueryResponse: 'empty',
    ErrorResponse: 'read',
    FunctionCallResponse: 'large',
    NegotiateProtocolVersion: 'no',
    NoData: 'empty',
    NoticeResponse: 'read',
    NotificationResponse: 'read',
    ParameterDescription: 'large',
    ParameterStatus: 'parameter',
    ParseComplete: 'empty',
    PortalSuspended: 'empty',
    ReadyForQuery: 'status',
    RowDescription: 'large',
  },
};

/** A row of a table, ready for the hot path: two loads a frame. */
export class AllowedMessages {
  private readonly lengthMin = new Int32Array(256).fill(1);
  private readonly lengthMax = new Int32Array(256);

  constructor(types: Readonly<Record<string, number>>, row: Readonly<Record<string, Verdict>>) {
    for (const [name, verdict] of Object.entries(row)) {
      const [min, max] = BOUNDS[verdict];
      this.lengthMin[types[name]] = min;
      this.lengthMax[types[name]] = max;
    }
  }

  /** May a message of this type (a byte) and size (the whole frame's, type byte included) come in this state? */
  allows(type: number, frameBytes: number): boolean {
    const length = frameBytes - 1;
    return length >= this.lengthMin[type] && length <= this.lengthMax[type];
  }
}

function rows<State extends string>(
  types: Readonly<Record<string, number>>,
  table: Record<State, Record<string, Verdict>>,
): Record<State, AllowedMessages> {
  const compiled = {} as Record<State, AllowedMessages>;
  for (const state of Object.keys(table) as State[])
    compiled[state] = new AllowedMessages(types, table[state]);
  return compiled;
}

export const FRONTEND_ALLOWED: Record<ClientState, AllowedMessages> = rows(FRONTEND, FRONTEND_TABLE);
export const BACKEND_ALLOWED: Record<ServerState, AllowedMessages> = rows(BACKEND, BACKEND_TABLE);
