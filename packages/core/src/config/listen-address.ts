import { isUnixHost, unixSocketPath } from '../base/unix-socket.js';
import type { LoadedConfig } from './loaded-config.js';

type ListenAddress = LoadedConfig['listen'][number];

const PORT_MAX = 65_535;

/** `addr:port`, `[v6]:port`, `:port` (all of `hostDefault`); null when it is none of them. */
export function parseListenAddress(text: string, hostDefault: string): ListenAddress | null {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return null;
  const digits = text.slice(colon + 1);
  const port = digits === '' || digits.trim() !== digits ? Number.NaN : Number(digits);
  if (!Number.isInteger(port) || port < 1 || port > PORT_MAX) return null;
  let host = text.slice(0, colon);
  const isBracketed = host.startsWith('[') && host.endsWith(']');
  // Without brackets the last group of an IPv6 address would be taken for the port.
  if (host.includes(':') && !isBracketed) return null;
  if (isBracketed) host = host.slice(1, -1);
  return { host: host === '' ? hostDefault : host, port };
}

/** The inverse, for messages. A Unix socket's host is its directory. */
export function formatListenAddress({ host, port }: ListenAddress): string {
  if (isUnixHost(host)) return unixSocketPath(host, port);
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
