/** The REST API of Patroni, as far as its documentation says what GET /cluster answers. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface PatroniMemberSaid {
  name: string;
  role: string;
  host: string;
  port: number;
}

export class FakePatroni {
  members: PatroniMemberSaid[] = [];
  /** Answers nothing but this status. */
  status = 200;
  asked = 0;
  readonly #server: Server;

  readonly #scheme: string;

  private constructor(tls: { cert: string; key: string } | null) {
    const answer: RequestListener = (request, response) => {
      this.asked++;
      const isRight = request.url === '/cluster';
      response.writeHead(isRight ? this.status : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ scope: 'test', members: this.members.map(describe) }));
    };
    this.#scheme = tls === null ? 'http' : 'https';
    this.#server = tls === null ? createServer(answer) : createTlsServer(tls, answer);
  }

  /** @param tls of a server that speaks https */
  static async open(tls: { cert: string; key: string } | null = null): Promise<FakePatroni> {
    const patroni = new FakePatroni(tls);
    await new Promise<void>((resolve) => patroni.#server.listen(0, '127.0.0.1', resolve));
    return patroni;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function describe({ name, role, host, port }: PatroniMemberSaid): Record<string, unknown> {
  return {
    name,
    role,
    state: role === 'leader' ? 'running' : 'streaming',
    api_url: `http://${host}:8008/patroni`,
    host,
    port,
    timeline: 1,
    ...(role === 'leader' ? {} : { lag: 0 }),
  };
}
