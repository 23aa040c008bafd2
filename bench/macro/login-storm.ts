/** So many logins as fast as they go, from a process of their own (storm-load.ts). */
import { join } from 'node:path';
import { runToEnd } from './child.js';
import type { Login } from './endpoint.js';

const LOAD = join(import.meta.dirname, 'storm-load.js');
const TIMEOUT_MS = 120_000;
/** After so many V8 has compiled what a login runs. pgbench derives keys for each of its own and would take half a minute. */
const WARM_UP_LOGINS = 10_000;
/** With TLS most of a login is OpenSSL's, and both ends are on this machine. */
const WARM_UP_TLS_LOGINS = 6000;

export interface StormResult {
  seconds: number;
  failed: number;
  firstError: string;
  p99Ms: number;
}

export async function loginStorm(login: Login, count: number): Promise<StormResult> {
  const args = [LOAD, 'storm', JSON.stringify(login), String(count)];
  const { stdout, stderr } = await runToEnd(process.execPath, args, { timeoutMs: TIMEOUT_MS });
  if (stdout === '') throw new Error(`the storm ended without a result: ${stderr}`);
  return JSON.parse(stdout) as StormResult;
}

/** What is measured afterwards is a proxy that has been running, not one that has just started. */
export async function warmUpLogins(login: Login): Promise<void> {
  await loginStorm(login, login.hasTls === true ? WARM_UP_TLS_LOGINS : WARM_UP_LOGINS);
}
