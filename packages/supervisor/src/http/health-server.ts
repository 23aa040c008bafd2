import { createServer, type Server } from 'node:http';
import { PgDogError } from '@pgdog-cluster/core';
import type { AdminContext } from '../admin/admin-context.js';
import { areHostsFailing, type ReadinessContext } from './readiness.js';

/** As PgDog: whoever balances over us is elsewhere. It learns nothing but the one word. */
const HOST = '0.0.0.0';
const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 5_000;
const LIMITS = {
  requestTimeout: REQUEST_TIMEOUT_MS,
  headersTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 8 * 1024,
};
const HTTP_OK = 200;
const HTTP_DOWN = 502;

export type HealthContext = ReadinessContext & Pick<AdminContext, 'logFailure'>;

/** healthcheck_port: every path and method answers `up` or `down`. */
export class HealthServer {
  readonly #context: HealthContext;
  readonly #server: Server;

  constructor(context: HealthContext) {
    this.#context = context;
    this.#server = createServer(LIMITS, (request, response) => {
      request.resume();
      // As PgDog: up until every host fails its checks.
      const isWell = !context.isDraining() && !areHostsFailing(context);
      response.writeHead(isWell ? HTTP_OK : HTTP_DOWN, {
        'content-type': 'text/plain',
        'cache-control': 'no-store',
      });
      response.end(isWell ? 'up' : 'down');
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.timeout = REQUEST_TIMEOUT_MS;
  }

  /** @throws PgDogError configuration when the port cannot be listened on. */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, HOST, () => {
        this.#server.off('error', reject);
        resolve();
      });
    }).catch((error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the port is in use by another program' : error.message;
      throw new PgDogError('configuration', `cannot listen on ${HOST}:${port} for health checks: ${reason}`, {
        cause: error,
        hint: 'Change healthcheck_port.',
      });
    });
    // One that cannot be accepted, as without a descriptor left, is not worth the process.
    this.#server.on('error', (error) => this.#context.logFailure('accepting on healthcheck_port', error));
  }

  /** Idempotent. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

/** Listens where the configuration says; null when it says nothing. */
export async function openHealth(context: HealthContext, port: number | null): Promise<HealthServer | null> {
  if (port === null) return null;
  const server = new HealthServer(context);
  await server.listen(port);
  return server;
}
