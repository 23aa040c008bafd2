import {
  type GeneralSettings,
  type ListenAddress,
  parseFileMode,
  unixSocketPorts,
} from '@pgdog-cluster/core/config';
import type { UnixSocketSettings } from '../listen/unix-listener.js';

/** Null: no Unix socket is wanted. */
export function unixSocketSettings(
  general: GeneralSettings,
  listen: readonly ListenAddress[],
): UnixSocketSettings | null {
  const { unix_socket_dir: directory, unix_socket_mode: mode, unix_socket_group: group, port } = general;
  if (directory === null || directory === '') return null;
  return {
    directory,
    ports: unixSocketPorts(port, listen),
    // The schema has seen to it that the text is a mode.
    mode: parseFileMode(mode) ?? 0o600,
    group,
  };
}
