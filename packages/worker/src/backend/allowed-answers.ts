// ● per-frame path
/**
 * Which backend message may answer which pending reply: one total table, a row per kind of request, `nothing`
 * when nothing is owed. A server that answers otherwise is out of sync, or lies: nobody may trust it any more.
 * Message order within one answer (rows after their description) is the client's library's to judge.
 */
import { BACKEND, type BackendName } from '@pgdog-cluster/core';
import {
  KIND_BIND,
  KIND_CLOSE,
  KIND_COPY_END,
  KIND_DESCRIBE,
  KIND_EXECUTE,
  KIND_FUNCTION_CALL,
  KIND_MASK,
  KIND_PARSE,
  KIND_QUERY,
  KIND_SYNC,
} from './pending-replies.js';

const KINDS = {
  nothing: 0,
  query: KIND_QUERY,
  sync: KIND_SYNC,
  functionCall: KIND_FUNCTION_CALL,
  parse: KIND_PARSE,
  bind: KIND_BIND,
  describe: KIND_DESCRIBE,
  execute: KIND_EXECUTE,
  close: KIND_CLOSE,
  /** Never at the head: Relay.emitFakes takes it away. */
  copyEnd: KIND_COPY_END,
} as const;

type KindName = keyof typeof KINDS;

/** Messages that may come at any moment. An error that answers nothing must be FATAL (relay-error.ts). */
const ANY_TIME: Record<BackendName, boolean> = {
  Authentication: false,
  BackendKeyData: false,
  BindComplete: false,
  CloseComplete: false,
  CommandComplete: false,
  CopyBothResponse: false,
  CopyData: false,
  CopyDone: false,
  CopyInResponse: false,
  CopyOutResponse: false,
  DataRow: false,
  EmptyQueryResponse: false,
  ErrorResponse: true,
  FunctionCallResponse: false,
  NegotiateProtocolVersion: false,
  NoData: false,
  NoticeResponse: true,
  NotificationResponse: true,
  ParameterDescription: false,
  ParameterStatus: true,
  ParseComplete: false,
  PortalSuspended: false,
  ReadyForQuery: false,
  RowDescription: false,
};

/** What running a statement can bring, by either protocol. */
const RUN: Record<BackendName, boolean> = {
  ...ANY_TIME,
  CommandComplete: true,
  CopyData: true,
  CopyDone: true,
  CopyInResponse: true,
  CopyOutResponse: true,
  DataRow: true,
  EmptyQueryResponse: true,
};

export const ANSWER_TABLE: Record<KindName, Record<BackendName, boolean>> = {
  nothing: ANY_TIME,
  query: { ...RUN, CopyBothResponse: true, RowDescription: true, ReadyForQuery: true },
  sync: { ...ANY_TIME, ReadyForQuery: true },
  functionCall: { ...ANY_TIME, FunctionCallResponse: true, ReadyForQuery: true },
  parse: { ...ANY_TIME, ParseComplete: true },
  bind: { ...ANY_TIME, BindComplete: true },
  describe: { ...ANY_TIME, NoData: true, ParameterDescription: true, RowDescription: true },
  execute: { ...RUN, PortalSuspended: true },
  close: { ...ANY_TIME, CloseComplete: true },
  copyEnd: ANY_TIME,
};

const TYPE_BITS = 8;

const allowed = new Uint8Array((KIND_MASK + 1) << TYPE_BITS);
for (const kind of Object.keys(KINDS) as KindName[]) {
  for (const [name, type] of Object.entries(BACKEND)) {
    allowed[(KINDS[kind] << TYPE_BITS) | type] = ANSWER_TABLE[kind][name as BackendName] ? 1 : 0;
  }
}

/** `code`: of the pending reply at the head, 0 when nothing is owed. `type`: a byte. */
export function mayAnswer(code: number, type: number): boolean {
  return allowed[((code & KIND_MASK) << TYPE_BITS) | type] === 1;
}
