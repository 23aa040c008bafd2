import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PgDogError } from '@pgdog-cluster/core';
import type { Secret } from '@pgdog-cluster/core/config';
import type { AdminContext } from '../admin/admin-context.js';
import { DASHBOARD_FILES, dashboardFile, isDashboardPath } from '../dashboard-files.js';
import { refusalOf } from './access.js';
import { CONTENT_TYPES, type Exposition, expositionFor } from './exposition.js';
import { createMetrics, type Metrics } from './metrics.js';
import { JSON_TYPE, onceClosed, type Page, plain, send } from './page.js';
import { unreadiness } from './readiness.js';
import { ShowPages } from './show-page.js';
import { StatusFeed } from './status/status-feed.js';

/** Scrapers and probes are few; a stranger's idle connections must not pile up. */
const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 5000;
/** How often the time-outs are looked at; Node's own 30 s would make a minute of five seconds. */
const TIMEOUT_CHECK_MS = 1000;
const IDLE_TIMEOUT_MS = 15_000;
const HEADER_BYTES_MAX = 8 * 1024;
const HEADERS_MAX = 64;
/** Nothing from elsewhere, nothing inline, nothing that a text could be made into. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
/** Pages of metrics on their way: each may be many megabytes, and nobody has to read it. */
const SCRAPES_MAX = 4;

export interface HttpOptions {
  namespace?: string;
  /** Read at each request, so that a new one is in force at once; null: nobody is asked for it. */
  token?: () => Secret | null;
  /** Somebody who takes nothing of his answer for so long does not want it. */
  idleTimeoutMs?: number;
}

/** The dashboard, its figures, every SHOW as JSON, /metrics, /healthz and /readyz. GET and HEAD only; nothing here changes anything. */
export class HttpServer {
  readonly #context: AdminContext;
  readonly #metrics: Metrics;
  readonly #token: () => Secret | null;
  readonly #server: Server;
  readonly #feed: StatusFeed;
  readonly #shows: ShowPages;
  readonly #idleTimeoutMs: number;
  #scrapes = 0;

  /** @throws PgDogError configuration for a namespace that gives no valid metric names. */
  constructor(context: AdminContext, options: HttpOptions = {}) {
    const { namespace = '', token = () => null, idleTimeoutMs = IDLE_TIMEOUT_MS } = options;
    this.#context = context;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#metrics = createMetrics(context, namespace);
    this.#token = token;
    this.#feed = new StatusFeed(context);
    this.#shows = new ShowPages(context);
    this.#server = createServer({
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    });
    this.#server.maxHeadersCount = HEADERS_MAX;
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.timeout = idleTimeoutMs;
    // Each answer under way listens, and whoever pipelines has several.
    this.#server.on('connection', (socket) => void socket.setMaxListeners(0));
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
    // One that cannot be accepted, as without a descriptor left, is not worth the process.
    this.#server.on('error', (error) => this.#context.logFailure('accepting on the HTTP port', error));
    return (this.#server.address() as AddressInfo).port;
  }

  /** Closes what is open, requests under way included. Idempotent. */
  close(): Promise<void> {
    this.#feed.close();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '/' } = request;
    // A body is of no use here.
    request.resume();
    const isHead = method === 'HEAD';
    if (method !== 'GET' && !isHead) {
      send(response, isHead, plain(405, 'GET or HEAD only', { allow: 'GET, HEAD' }));
      return;
    }
    const [path] = url.split('?', 1);
    try {
      const open = await this.#openPage(path);
      if (open !== null) send(response, isHead, open);
      else await this.#figures(path, request, response, isHead);
    } catch (error) {
      this.#context.logFailure(`GET ${path}`, error);
      if (!response.headersSent) send(response, isHead, plain(500, 'internal error'));
      else response.destroy();
    }
  }

  /** What anybody may see, for it tells nothing of what is served; null: another path. */
  async #openPage(path: string): Promise<Page | null> {
    if (isDashboardPath(path)) {
      const { contentType } = DASHBOARD_FILES[path];
      const headers = { 'content-security-policy': PAGE_POLICY };
      return { status: 200, contentType, body: await dashboardFile(path), headers };
    }
    switch (path) {
      case '/healthz':
        return plain(200, 'ok');
      case '/readyz': {
        const reason = unreadiness(this.#context);
        return reason === null ? plain(200, 'ready') : plain(503, reason);
      }
      default:
        return null;
    }
  }

  async #figures(
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    isHead: boolean,
  ): Promise<void> {
    const refusal = refusalOf(request, this.#token());
    if (refusal !== null) return send(response, isHead, plain(refusal.status, refusal.text, refusal.headers));
    switch (path) {
      case '/metrics':
        return this.#scrape(response, isHead, expositionFor(request.headers.accept));
      case '/api/status': {
        const body = `${JSON.stringify(await this.#feed.next())}\n`;
        return send(response, isHead, { status: 200, contentType: JSON_TYPE, body });
      }
      case '/api/events':
        if (isHead) send(response, isHead, plain(405, 'GET only', { allow: 'GET' }));
        else if (!this.#feed.listen(response))
          send(response, isHead, plain(503, 'too many are looking', { 'retry-after': '5' }));
        return;
      default: {
        if (ShowPages.serves(path)) return send(response, isHead, await this.#show(path, request));
        const known = '/, /metrics, /healthz, /readyz, /api/status, /api/events or /show/pools';
        send(response, isHead, plain(404, `not found: try ${known}`));
      }
    }
  }

  /** Some ask every shard and take as long as the slowest, while nothing moves on the connection. */
  async #show(path: string, { socket }: IncomingMessage): Promise<Page> {
    socket.setTimeout(0);
    try {
      return await this.#shows.page(path);
    } finally {
      socket.setTimeout(this.#idleTimeoutMs);
    }
  }

  async #scrape(response: ServerResponse, isHead: boolean, exposition: Exposition): Promise<void> {
    if (this.#scrapes >= SCRAPES_MAX) {
      send(response, isHead, plain(503, 'other scrapes are under way', { 'retry-after': '1' }));
      return;
    }
    this.#scrapes++;
    onceClosed(response, () => void this.#scrapes--);
    const body = await this.#metrics.page(exposition);
    const headers = { vary: 'Accept' };
    send(response, isHead, { status: 200, contentType: CONTENT_TYPES[exposition], body, headers });
  }
}
