/** Changes with the meaning of the messages: two versions that differ do not take over from each other. */
export const TAKE_OVER_VERSION = 1;

/** One listening socket. Descriptors travel in the same message, in this order: each socket's, behind it that of its lock. */
export interface PassedListener {
  kind: 'tcp' | 'unix';
  host: string;
  port: number;
  hasLock: boolean;
  /** Somebody else opened it (systemd): it is nobody's to end. */
  isPassed: boolean;
}

/** Between the new process and the old one, in the order in which they are sent. */
export type TakeOverMessage =
  /** New: who is there? */
  | { type: 'wanted'; version: number; pid: number }
  /** Old: these are my sockets; or why there are none. */
  | { type: 'sockets'; pid: number; sockets: PassedListener[] }
  | { type: 'refused'; reason: string }
  /** New: I serve. `taken`: positions of the sockets that it uses. */
  | { type: 'serving'; taken: number[] }
  /** New, in place of that: I use none of them. */
  | { type: 'unrelated' }
  /** Old: I take nobody any more, and what only one can have is free. */
  | { type: 'released' };

const isNumber = (value: unknown): value is number => Number.isInteger(value);

function isListener(value: unknown): value is PassedListener {
  const { kind, host, port, hasLock, isPassed } = Object(value) as Partial<PassedListener>;
  const hasKind = kind === 'tcp' || kind === 'unix';
  return hasKind && typeof host === 'string' && isNumber(port) && isFlag(hasLock) && isFlag(isPassed);
}

function isFlag(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isMessage(value: unknown): value is TakeOverMessage {
  const message = Object(value) as Record<string, unknown>;
  switch (message.type) {
    case 'wanted':
      return isNumber(message.version) && isNumber(message.pid);
    case 'sockets':
      return isNumber(message.pid) && Array.isArray(message.sockets) && message.sockets.every(isListener);
    case 'refused':
      return typeof message.reason === 'string';
    case 'serving':
      return Array.isArray(message.taken) && message.taken.every(isNumber);
    default:
      return message.type === 'released' || message.type === 'unrelated';
  }
}

/** Null for anything else: it comes from another program. */
export function parseTakeOver(text: string): TakeOverMessage | null {
  try {
    const value: unknown = JSON.parse(text);
    return isMessage(value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * Where the old process can be asked: an abstract socket, which needs no directory, is gone with its process, and lives in the
 * network namespace, as ports do. Anybody may open one of that name: both sides look who is at the other end.
 */
export function takeOverAddress(port: number, userId: number): string {
  return `@pgdog-cluster/take-over/${userId}/${port}`;
}
