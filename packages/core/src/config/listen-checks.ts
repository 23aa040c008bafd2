/** Cross-checks of where clients connect and how. */

import { unixPathProblem, unixSocketPath } from '../base/unix-socket.js';
import type { GeneralSettings } from './defaults.js';
import { splitList } from './fields.js';
import type { ListenAddress } from './loaded-config.js';
import type { Origin, ProblemList } from './problem-list.js';

export interface ListenParts {
  general: GeneralSettings;
  /** As given, without defaults. */
  generalInput: Readonly<Record<string, unknown>>;
  generalOrigin: (key: string) => Origin;
}

/** `listen`: the TCP addresses, from whichever source. */
export function checkListening(
  parts: ListenParts,
  listen: readonly ListenAddress[],
  problems: ProblemList,
): void {
  const { general, generalInput, generalOrigin } = parts;
  const at = (key: string) => generalOrigin(key).place(key);
  const { unix_socket_dir: directory } = general;
  if (directory === null || directory === '') {
    if (listen.length === 0) {
      problems.error(at('host'), 'no address to listen on, and no unix_socket_dir: nobody could connect');
    }
    warnWithoutEffect(['unix_socket_mode', 'unix_socket_group'], 'without unix_socket_dir');
  } else {
    if (directory.startsWith('@')) {
      warnWithoutEffect(
        ['unix_socket_mode', 'unix_socket_group'],
        'on an abstract socket: anybody may connect',
      );
    }
    for (const port of unixSocketPorts(general.port, listen)) {
      const problem = unixPathProblem(unixSocketPath(directory, port));
      if (problem !== null) problems.error(at('unix_socket_dir'), problem);
    }
  }
  if (splitList(general.proxy_protocol_networks ?? '').length === 0) {
    warnWithoutEffect(['proxy_protocol'], 'without proxy_protocol_networks');
  }

  function warnWithoutEffect(keys: string[], when: string): void {
    for (const key of keys) {
      if (generalInput[key] !== undefined) problems.warning(at(key), `has no effect ${when}`);
    }
  }
}

/** One Unix socket for each TCP port, so that `-h /dir -p port` works wherever `-h name -p port` does. */
export function unixSocketPorts(port: number, listen: readonly ListenAddress[]): number[] {
  return listen.length === 0 ? [port] : [...new Set(listen.map((address) => address.port))];
}
