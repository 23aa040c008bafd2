/**
 * A simple query of our own on a server connection (settings, reset, probe, rollback). Its answers are swallowed
 * and told here instead. Passed as the `ref` of a pending reply.
 */
export interface OwnExchange {
  readonly sql: string;
  /** It changes client_encoding for a moment, which is not the client's. */
  readonly isEncodingStep?: boolean;
  /** It changes for a moment what texts are read by. */
  readonly isReadingStep?: boolean;
  /** Body of a DataRow: bytes[start, end), only valid during the call. */
  onRow?(bytes: Uint8Array, start: number, end: number): void;
  /** The ErrorResponse frame, copied. onDone follows. */
  onError(frame: Uint8Array): void;
  /** ReadyForQuery has come. */
  onDone(): void;
}

/** Parse or Close we sent on behalf of a client: what to undo when an error makes the server skip it. */
export interface StatementUse {
  readonly kind: 'statementUse';
  /** Name on the server. */
  readonly serverName: string;
  /** Called when the message was refused or skipped. */
  undo(): void;
  /** Called when a made answer has gone out instead. */
  done?(): void;
  /** Takes an ErrorResponse that is not part of a batch of the client's; without it the client gets it. */
  refused?(frame: Uint8Array): void;
}

export function isStatementUse(ref: object | null): ref is StatementUse {
  return ref !== null && 'kind' in ref && ref.kind === 'statementUse';
}

/** A Describe of ours: told of ParameterDescription, and at last of RowDescription or NoData. */
export interface OwnDescribe extends StatementUse {
  described(bytes: Uint8Array, start: number, end: number, isLast: boolean): void;
}

export function isDescribing(ref: object | null): ref is OwnDescribe {
  return ref !== null && 'described' in ref;
}
