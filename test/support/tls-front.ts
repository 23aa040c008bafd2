/**
 * TLS in front of a Postgres without it: shows what the proxy does towards servers (names, tickets, certificates,
 * which connections are encrypted at all), and lets a test break the rules.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createSecureContext, type SecureContextOptions, TLSSocket } from 'node:tls';

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const CANCEL_REQUEST = 0x04d2162e;

export interface FrontConnection {
  /** Asked for TLS first. */
  isEncrypted: boolean;
  serverName: string;
  isReused: boolean;
  isCancel: boolean;
  protocol: string | false | null;
  version: string | null;
}

export interface TlsFrontOptions extends SecureContextOptions {
  /** Instead of 'S'. */
  answer?: Buffer;
}

export interface TlsFront {
  host: string;
  port: number;
  connections: FrontConnection[];
  stop(): Promise<void>;
}

export async function startTlsFront(
  target: { host: string; port: number },
  options: TlsFrontOptions,
): Promise<TlsFront> {
  const { answer = Buffer.from('S'), ...context } = options;
  const secureContext = createSecureContext(context);
  const connections: FrontConnection[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', (first) => {
      const isEncrypted = first.equals(SSL_REQUEST);
      const connection: FrontConnection = {
        isEncrypted,
        serverName: '',
        isReused: false,
        isCancel: false,
        protocol: null,
        version: null,
      };
      connections.push(connection);
      if (!isEncrypted) {
        pass(socket, connection, first);
        return;
      }
      socket.write(answer);
      if (answer.length !== 1 || answer[0] !== 0x53) return;
      const secure = new TLSSocket(socket, {
        isServer: true,
        secureContext,
        ALPNProtocols: ['postgresql'],
        SNICallback: (name, done) => {
          connection.serverName = name;
          done(null, secureContext);
        },
      });
      secure.on('error', () => socket.destroy());
      secure.once('secure', () => {
        connection.isReused = secure.isSessionReused();
        connection.protocol = secure.alpnProtocol;
        connection.version = secure.getProtocol();
      });
      secure.once('data', (chunk: Buffer) => pass(secure, connection, chunk));
    });
  });

  function pass(from: Socket, connection: FrontConnection, first: Buffer): void {
    connection.isCancel = first.length >= 8 && first.readUInt32BE(4) === CANCEL_REQUEST;
    const to = connect(target.port, target.host);
    sockets.add(to);
    to.on('error', () => from.destroy());
    from.on('close', () => to.destroy());
    to.write(first);
    from.pipe(to);
    to.pipe(from);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: '127.0.0.1',
    port,
    connections,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
