import { PgDogError, type TcpSnapshot } from '@pgdog-cluster/core';
import { formatListenAddress, type ListenAddress } from '@pgdog-cluster/core/config';
import {
  AF_INET6,
  bind,
  close,
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EPERM,
  errno,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  listen,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  setOption,
  socket,
} from './libc.js';
import { Listener } from './listener.js';
import { buildSockaddr, resolveListenHost } from './socket-address.js';
import { openUnixListener, type UnixSocketSettings } from './unix-listener.js';

const REASONS: Record<number, [reason: string, hint: string]> = {
  [EADDRINUSE]: [
    'the address is already in use',
    'Stop the program that listens there, or choose another port.',
  ],
  [EACCES]: ['permission denied', 'Ports below 1024 need CAP_NET_BIND_SERVICE; choose another port.'],
  [EPERM]: ['permission denied', 'Ports below 1024 need CAP_NET_BIND_SERVICE; choose another port.'],
  [EADDRNOTAVAIL]: [
    'this machine has no such address',
    'Listen on an address of this machine, or on 0.0.0.0.',
  ],
  [EAFNOSUPPORT]: [
    'this machine has no such address family',
    'Listen on addresses of the other family; * leaves out what the machine lacks.',
  ],
};

export interface AdoptedListeners {
  /** Null: there is none of that address. A longer or shorter queue is asked for at once. */
  take(kind: 'tcp' | 'unix', host: string, port: number, backlog: number): Listener | null;
}

const NONE_ADOPTED: AdoptedListeners = { take: () => null };

/**
 * Opens every configured address, all or none. A host name is listened on at each of its addresses.
 * @throws PgDogError `configuration`, naming the address and what is wrong with it.
 */
export async function openListeners(
  addresses: readonly ListenAddress[],
  backlog: number,
  tcp: TcpSnapshot,
  unix: UnixSocketSettings | null = null,
  /** Sockets that exist already, by a process that is being taken over: those that fit are used. */
  adopted: AdoptedListeners = NONE_ADOPTED,
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const wanted of await resolveAll(addresses)) {
      const listener =
        adopted.take('tcp', wanted.host, wanted.port, backlog) ?? openTcpListener(wanted, backlog);
      if (listener === null) continue;
      listener.setTcpOptions(tcp);
      listeners.push(listener);
    }
    for (const port of unix?.ports ?? []) {
      const listener = adopted.take('unix', unix!.directory, port, backlog);
      listeners.push(listener ?? (await openUnixListener(unix!, port, backlog)));
    }
  } catch (error) {
    for (const listener of listeners) listener.close();
    throw error;
  }
  return listeners;
}

interface Wanted extends ListenAddress {
  /** `::` takes IPv4 too, unless an IPv4 address of the same port is listened on beside it: the two would collide. */
  isIpv6Only: boolean;
  /** From `*`: left out where the machine has no such family. */
  isOptional: boolean;
}

/** Numeric addresses, each once: two names may mean the same one, and a wildcard has those of its family in it. */
async function resolveAll(addresses: readonly ListenAddress[]): Promise<Wanted[]> {
  const found: Wanted[] = [];
  for (const { host, port } of addresses) {
    for (const address of await resolve(host, port)) {
      if (found.some((other) => other.host === address && other.port === port && port !== 0)) continue;
      found.push({ host: address, port, isIpv6Only: false, isOptional: host === '*' });
    }
  }
  const has = (host: string, port: number): boolean =>
    found.some((other) => other.host === host && other.port === port);
  return found
    .filter(({ host, port }) => {
      const wildcard = host.includes(':') ? '::' : '0.0.0.0';
      return host === wildcard || port === 0 || !has(wildcard, port);
    })
    .map((wanted) => ({
      ...wanted,
      isIpv6Only: found.some((other) => other.port === wanted.port && !other.host.includes(':')),
    }));
}

async function resolve(host: string, port: number): Promise<string[]> {
  try {
    return await resolveListenHost(host);
  } catch (cause) {
    throw refusal(host, port, 'the name has no address', 'Listen on an IP address of this machine.', cause);
  }
}

/** Null: the machine has no such family, and the address may be left out. */
function openTcpListener(wanted: Wanted, backlog: number): Listener | null {
  const { host: address, port, isIpv6Only, isOptional } = wanted;
  let sockaddr: ReturnType<typeof buildSockaddr>;
  try {
    sockaddr = buildSockaddr(address, port);
  } catch (cause) {
    throw refusal(address, port, 'it is not an IP address', 'Write the address without a zone.', cause);
  }
  const fd = socket(sockaddr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd === -1) {
    if (isOptional && errno() === EAFNOSUPPORT) return null;
    throw systemRefusal(address, port);
  }
  // Otherwise a restart is refused for a minute while old connections linger in TIME_WAIT.
  setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (sockaddr.family === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, isIpv6Only ? 1 : 0);
  if (bind(fd, sockaddr.bytes, sockaddr.bytes.length) !== 0 || listen(fd, backlog) !== 0) {
    const number = errno();
    const error = systemRefusal(address, port);
    close(fd);
    // IPv6 switched off by sysctl: the family is there, its addresses are not.
    if (isOptional && number === EADDRNOTAVAIL) return null;
    throw error;
  }
  return new Listener(fd);
}

/** Reads errno: call it right after the failure. */
function systemRefusal(host: string, port: number): PgDogError {
  const number = errno();
  const [reason, hint] = REASONS[number] ?? [`system error ${number}`, ''];
  return refusal(host, port, reason, hint);
}

function refusal(host: string, port: number, reason: string, hint: string, cause?: unknown): PgDogError {
  const address = formatListenAddress({ host, port });
  return new PgDogError('configuration', `cannot listen on ${address}: ${reason}`, { hint, cause });
}
