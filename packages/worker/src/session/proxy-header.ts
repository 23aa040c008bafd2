import {
  isInNetwork,
  looksLikeProxyHeader,
  PgDogError,
  PROXY_HEADER_BYTES_MAX,
  type ProxyHeader,
  parseIp,
  parseProxyHeader,
  UNIX_ADDRESS,
  UNKNOWN_ADDRESS,
} from '@pgdog-cluster/core';
import { sessionGone } from './close.js';
import type { Session } from './session.js';

/** Whether the connection comes from where PROXY headers are believed. */
export function mayHaveProxyHeader({ context, addr }: Session): boolean {
  const { proxyProtocol } = context.config.general;
  if (proxyProtocol === undefined) return false;
  if (addr === UNIX_ADDRESS) return proxyProtocol.includesUnix;
  const address = parseIp(addr);
  return address !== null && proxyProtocol.networks.some((network) => isInNetwork(address, network));
}

/**
 * Reads the header in front of the start-up packet, then goes on with `next`. What the header says takes the place
 * of the socket's address in logs, SHOW, rules and limits.
 */
export function readProxyHeader(session: Session, next: (session: Session) => void): void {
  let collected = new Uint8Array(0);
  session.rawReader = (bytes, start, end) => {
    const size = Math.min(end - start, PROXY_HEADER_BYTES_MAX - collected.length);
    const joined = new Uint8Array(collected.length + size);
    joined.set(collected);
    joined.set(bytes.subarray(start, start + size), collected.length);
    const verdict = parseProxyHeader(joined, 0, joined.length);
    if (verdict.kind === 'incomplete') {
      collected = joined;
      return end;
    }
    if (verdict.kind === 'refused') {
      refuse(session, verdict.reason);
      return end;
    }
    if (verdict.kind === 'none') {
      // Decided by the very first byte, so nothing has been collected.
      if (session.context.config.general.proxyProtocol?.isRequired === true) {
        refuseWithout(session);
        return end;
      }
      next(session);
      // The same bytes are the next reader's: a reader must not hand back what it was given.
      return session.rawReader === null ? end : session.rawReader(bytes, start, end);
    }
    apply(session, verdict);
    next(session);
    return start + verdict.headerBytes - collected.length;
  };
}

function apply(session: Session, { isLocal, source }: ProxyHeader): void {
  if (isLocal) return;
  // The process at the other end is the balancer: its user says nothing of the client.
  session.peerUser = null;
  if (source === null) {
    // By TCP the balancer's address is all there is. But a local client, whom rules may trust and who may send his
    // password in the clear, is something that nobody has said of this one.
    if (session.addr === UNIX_ADDRESS) session.addr = UNKNOWN_ADDRESS;
    return;
  }
  session.addr = source.addr;
  session.port = source.port;
}

/** Without a word: whoever sends this is no Postgres client. */
function refuse(session: Session, reason: string): void {
  const { addr, port } = session;
  session.context.log('warn', 'proxy_header_refused', `PROXY header refused: ${reason}`, { addr, port });
  sessionGone(session, reason);
}

function refuseWithout(session: Session): void {
  const { addr, port } = session;
  const text = 'connection refused: no PROXY header, which is required from this address';
  session.context.log('warn', 'proxy_header_missing', text, { addr, port });
  session.fail(new PgDogError('proxy_header_missing'));
}

/** Instead of a start-up packet a header has come from where none is believed: an operator looks for this line. */
export function noteProxyHeader(session: Session, packet: Uint8Array): void {
  if (!looksLikeProxyHeader(packet, 0, packet.length)) return;
  const { addr, port } = session;
  const text =
    'PROXY header refused: the address is in none of proxy_protocol_networks, or has sent one already';
  session.context.log('warn', 'proxy_header_refused', text, { addr, port });
}
