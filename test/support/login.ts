/** One login as a client sees it: what it was asked, and how it ended. */
import type { Frame } from './frames.js';
import { RawClient, type RawClientOptions } from './raw-client.js';

export interface LoginResult {
  /** Codes of the authentication requests, in order: 3 clear, 5 md5, 10-12 SCRAM, 0 accepted. */
  asked: number[];
  /** SQLSTATE, '' when it was let in. */
  sqlstate: string;
  message: string;
  error: Record<string, string> | null;
  client: RawClient;
}

export function demandsOf(frames: readonly Frame[]): number[] {
  return frames.filter(({ type }) => type === 'R').map(({ body }) => body.readUInt32BE(0));
}

/** Logs in and stays connected; a refused client is closed. */
export async function tryLogin(
  to: { port: number },
  user: string,
  password: string,
  options: Omit<Partial<RawClientOptions>, 'port'> = {},
): Promise<LoginResult> {
  const client = await RawClient.open({ port: to.port, user, password, ...options });
  const { frames, error } = await client.login();
  if (error !== null) client.destroy();
  return {
    asked: demandsOf(frames),
    sqlstate: error?.['C'] ?? '',
    message: error?.['M'] ?? '',
    error,
    client,
  };
}

/** Logs in, runs one query as that user, leaves. '' when all went well, else the SQLSTATE. */
export async function enter(
  to: { port: number },
  user: string,
  password: string,
  options: Omit<Partial<RawClientOptions>, 'port'> = {},
): Promise<string> {
  const { sqlstate, client } = await tryLogin(to, user, password, options);
  if (sqlstate !== '') return sqlstate;
  const result = await client.query('SELECT current_user');
  await client.end();
  if (result.error !== null) return result.error['C'] ?? '?';
  return result.rows[0]?.[0] === user ? '' : `entered as ${result.rows[0]?.[0]}`;
}
