import type { Secret } from '@pgdog-cluster/core/config';
import type { AdminContext } from '../admin/admin-context.js';
import type { HttpServer } from './http-server.js';

/** [general] openmetrics_* */
export interface HttpSettings {
  openmetrics_host: string;
  openmetrics_port: number | null;
  openmetrics_namespace: string | null;
}

/**
 * Listens where the configuration says; null when it says nothing. Only then is the code of it loaded.
 * @param token the one in force, asked at each request
 */
export async function openHttp(
  context: AdminContext,
  settings: HttpSettings,
  token: () => Secret | null,
): Promise<HttpServer | null> {
  const { openmetrics_host: host, openmetrics_port: port, openmetrics_namespace: namespace } = settings;
  if (port === null) return null;
  const { HttpServer } = await import('./http-server.js');
  const server = new HttpServer(context, { namespace: namespace ?? '', token });
  await server.listen(host, port);
  return server;
}
