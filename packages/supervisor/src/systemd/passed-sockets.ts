import { PgDogError } from '@pgdog-cluster/core';
import { listenerOfDescriptor } from '../listen/descriptor-listener.js';
import type { Listener } from '../listen/listener.js';
import type { Logger } from '../log/logger.js';

/** The first one; the protocol of sd_listen_fds says so. */
const FIRST = 3;
const COUNT_MAX = 1024;
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const;

export interface PassedSocket {
  listener: Listener;
  /** FileDescriptorName= of the socket unit; empty when none was told. */
  name: string;
}

/**
 * Sockets of systemd's socket activation: LISTEN_FDS of them, for the process LISTEN_PID, named by LISTEN_FDNAMES. Takes
 * the variables away, so that no other program takes the numbers for its own. Empty when there are none for us.
 * @param port of Unix sockets whose name has none
 * @throws PgDogError `configuration`
 */
export function takePassedSockets(env: NodeJS.ProcessEnv, pid: number, port: number): PassedSocket[] {
  const { LISTEN_PID: forPid, LISTEN_FDS: text, LISTEN_FDNAMES: names = '' } = env;
  for (const variable of VARIABLES) delete env[variable];
  if (text === undefined || Number(forPid) !== pid) return [];
  const count = Number(text);
  if (!/^\d{1,4}$/.test(text) || count > COUNT_MAX) {
    throw new PgDogError('configuration', `LISTEN_FDS: expected a number up to ${COUNT_MAX}, got "${text}"`);
  }
  const nameOf = names.split(':');
  const sockets: PassedSocket[] = [];
  for (let index = 0; index < count; index++) {
    sockets.push({ listener: listenerOfDescriptor(FIRST + index, port), name: nameOf[index] ?? '' });
  }
  return sockets;
}

/** Those of this process, each with a line in the log; undefined when there are none. */
export function passedListeners(port: number, logger: Logger): Listener[] | undefined {
  const passed = takePassedSockets(process.env, process.pid, port);
  for (const { listener, name } of passed) {
    const { address } = listener;
    logger.log('info', 'socket_passed', `${address} was opened for us`, { address, name });
  }
  return passed.length === 0 ? undefined : passed.map(({ listener }) => listener);
}
