import { createConnection } from 'node:net';
import { isUnixHost, type PoolSnapshot } from '@pgdog-cluster/core';
import { probeUnix } from '../listen/unix-connect.js';

const PROBE_TIMEOUT_MS = 1000;
/** Any client may ask for the state of the hosts; that must not become a way to knock at them. */
const ANSWER_KEPT_MS = 1000;

/** Opens and closes one connection. Of a Unix socket `host` is its path. */
function canConnect(host: string, port: number): Promise<boolean> {
  if (isUnixHost(host)) return Promise.resolve(probeUnix(host) === null);
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    // `timeout` of a socket starts with its first activity, so the limit is a timer of our own.
    const end = (isConnected: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isConnected);
    };
    const timer = setTimeout(() => end(false), PROBE_TIMEOUT_MS);
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

/** Whether hosts take connections, asked by trying; at most one question per host under way or just answered. */
export class HostProbe {
  readonly #connect: (host: string, port: number) => Promise<boolean>;
  readonly #answers = new Map<string, Promise<boolean>>();

  constructor(connect: (host: string, port: number) => Promise<boolean> = canConnect) {
    this.#connect = connect;
  }

  /** False also for a name that does not resolve. Never rejects. */
  async isReachable({ addresses, port }: Pick<PoolSnapshot, 'addresses' | 'port'>): Promise<boolean> {
    const answers = await Promise.all(addresses.map(({ text }) => this.#ask(text, port)));
    return answers.includes(true);
  }

  #ask(host: string, port: number): Promise<boolean> {
    const key = `${port} ${host}`;
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = this.#connect(host, port);
    this.#answers.set(key, answer);
    void answer.then(() => {
      setTimeout(() => this.#answers.delete(key), ANSWER_KEPT_MS).unref();
    });
    return answer;
  }
}
