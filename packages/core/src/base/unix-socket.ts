/** Unix sockets as libpq names them: a host that begins with `/` is a directory, with `@` an abstract name. */

/** sun_path without its terminating zero. */
export const UNIX_PATH_BYTES_MAX = 107;

export function isUnixHost(host: string): boolean {
  return host.startsWith('/') || host.startsWith('@');
}

/** The socket of a port in a directory or under an abstract name, whose `@` stands for the zero byte. */
export function unixSocketPath(directory: string, port: number): string {
  return `${directory}/.s.PGSQL.${port}`;
}

/** Null, or why the kernel would not take it. */
export function unixPathProblem(path: string): string | null {
  const bytes = new TextEncoder().encode(path).length;
  if (bytes <= UNIX_PATH_BYTES_MAX) return null;
  return `the socket ${path} would have ${bytes} bytes, the system takes ${UNIX_PATH_BYTES_MAX}`;
}

/** A server as messages name it: `host:port`, or the path of its socket. */
export function serverName({ host, port }: { host: string; port: number }): string {
  return isUnixHost(host) ? unixSocketPath(host, port) : `${host}:${port}`;
}
