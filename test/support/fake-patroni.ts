/** The REST API of Patroni, as far as its documentation says what GET /cluster answers. */
import { createServer, type Server } from 'node:http';
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

  private constructor() {
    this.#server = createServer((request, response) => {
      this.asked++;
      const isRight = request.url === '/cluster';
      response.writeHead(isRight ? this.status : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ scope: 'test', members: this.members.map(describe) }));
    });
  }

  static async open(): Promise<FakePatroni> {
    const patroni = new FakePatroni();
    await new Promise<void>((resolve) => patroni.#server.listen(0, '127.0.0.1', resolve));
    return patroni;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
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
