import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Secret } from '@pgdog-cluster/core/config';

const SCHEME = 'bearer ';

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Takes the same time whatever part of the token is right, and however long it is. */
function isToken(header: string | undefined, token: Secret): boolean {
  const given = header ?? '';
  const isBearer = given.slice(0, SCHEME.length).toLowerCase() === SCHEME;
  const isSame = timingSafeEqual(digest(given.slice(SCHEME.length).trim()), digest(token.reveal()));
  return isBearer && isSame;
}

/** `example.com:8080` without the port; `[::1]:8080` without brackets too. */
function hostName(header: string): string {
  if (header.startsWith('[')) return header.slice(1, header.indexOf(']'));
  return header.split(':', 1)[0];
}

/**
 * A page of a stranger in a browser of this machine can make its own name resolve to 127.0.0.1 and then read what we
 * answer to it. It cannot choose what the browser says it asks for: a name that is not this machine's own.
 */
function isMisdirected(request: IncomingMessage): boolean {
  const address = request.socket.localAddress ?? '';
  const isLocal = address === '::1' || address.replace('::ffff:', '').startsWith('127.');
  const name = hostName(request.headers.host ?? '').toLowerCase();
  return isLocal && name !== 'localhost' && isIP(name) === 0;
}

export interface Refusal {
  status: number;
  text: string;
  headers: Record<string, string>;
}

/** Why somebody does not get to see figures; null when he does. */
export function refusalOf(request: IncomingMessage, token: Secret | null): Refusal | null {
  if (token !== null) {
    if (isToken(request.headers.authorization, token)) return null;
    const text = 'a token is needed: Authorization: Bearer <openmetrics_token>';
    return { status: 401, text, headers: { 'www-authenticate': 'Bearer realm="pgdog-cluster"' } };
  }
  if (!isMisdirected(request)) return null;
  const text =
    "ask by an IP address or localhost, or set openmetrics_token: this name is not this port's own";
  return { status: 421, text, headers: {} };
}
