import { type HostAddress, isLoopback, type TcpSnapshot } from '@pgdog-cluster/core';
import { SystemCallError } from '../io/errno.js';
import { AF_UNIX } from '../io/libc.js';
import { openStreamSocket, setKeepalive, setLoopbackCongestion } from '../io/socket-options.js';

/** A socket towards a server; -1 when the process has no descriptor left. */
export function openServerSocket(address: HostAddress, tcp: TcpSnapshot): number {
  try {
    const fd = openStreamSocket(address.family);
    if (address.family === AF_UNIX) return fd;
    if (isLoopback(address.text)) setLoopbackCongestion(fd);
    setKeepalive(fd, {
      enabled: tcp.keepalive,
      idleSeconds: tcp.keepaliveTimeS,
      intervalSeconds: tcp.keepaliveIntervalS,
      probeCount: tcp.keepaliveRetries,
      userTimeoutMs: tcp.userTimeoutMs,
    });
    return fd;
  } catch (error) {
    if (error instanceof SystemCallError) return -1;
    throw error;
  }
}
