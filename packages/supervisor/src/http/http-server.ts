import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PgDogError, WORKER_SERVING } from '@pgdog-cluster/core';
import type { AdminContext } from '../admin/admin-context.js';
import { createMetrics, type Metrics } from './metrics.js';

/** Scrapers and probes are few; a stranger's idle connections must not pile up. */
const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 5000;
const HEADER_BYTES_MAX = 8 * 1024;
const PLAIN_TEXT = 'text/plain; charset=utf-8';

interface Page {
  status: number;
  contentType: string;
  body: string;
}

function plain(status: number, text: string): Page {
  return { status, contentType: PLAIN_TEXT, body: `${text}\n` };
}

/** Why no client should be sent here now; null when all is well. */
function unreadiness({ isDraining, memory }: AdminContext): string | null {
  if (isDraining()) return 'draining';
  const { workers } = memory.handles.dimensions;
  for (let worker = 0; worker < workers; worker++) {
    if (memory.workers.state(worker) === WORKER_SERVING) return null;
  }
  return 'no worker serves';
}

async function pageFor(path: string, context: AdminContext, metrics: Metrics): Promise<Page> {
  switch (path) {
    case '/metrics':
      return { status: 200, contentType: metrics.contentType, body: await metrics.text() };
    case '/healthz':
      return plain(200, 'ok');
    case '/readyz': {
      const reason = unreadiness(context);
      return reason === null ? plain(200, 'ready') : plain(503, reason);
    }
    default:
      return plain(404, 'not found: try /metrics, /healthz or /readyz');
  }
}

function send(response: ServerResponse, method: string, { status, contentType, body }: Page): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': bytes.length,
    'cache-control': 'no-store',
  });
  response.end(method === 'HEAD' ? undefined : bytes);
}

/** /metrics, /healthz and /readyz. GET and HEAD only; nothing here changes anything. */
export class HttpServer {
  readonly #context: AdminContext;
  readonly #metrics: Metrics;
  readonly #server: Server;

  /** @throws PgDogError configuration for a namespace that gives no valid metric names. */
  constructor(context: AdminContext, namespace = '') {
    this.#context = context;
    this.#metrics = createMetrics(context, namespace);
    this.#server = createServer({
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on('request', (request, response) => void this.#answer(request, response));
  }

  /** Resolves with the port. @throws PgDogError configuration when the address cannot be listened on. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    }).catch((error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the port is in use by another program' : error.message;
      throw new PgDogError('configuration', `cannot listen on ${host}:${port} for metrics: ${reason}`, {
        cause: error,
        hint: 'Change openmetrics_host or openmetrics_port.',
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Closes what is open, requests under way included. Idempotent. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '/' } = request;
    // A body is of no use here.
    request.resume();
    if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      send(response, method, plain(405, 'GET or HEAD only'));
      return;
    }
    const [path] = url.split('?', 1);
    try {
      send(response, method, await pageFor(path, this.#context, this.#metrics));
    } catch (error) {
      this.#context.logFailure(`GET ${path}`, error);
      send(response, method, plain(500, 'internal error'));
    }
  }
}
