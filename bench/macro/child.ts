/** Child processes: run one to its end, or start one and wait until it says it is ready. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { basename } from 'node:path';
import { watchChild } from './clean-up.js';

/** Last part of what a child printed; enough to say why it failed, bounded for one that never stops talking. */
const TAIL_CHARACTERS_MAX = 4000;

export interface Output {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs to the end; a child over its time is killed and rejected. The exit code is the caller's to judge. */
export function runToEnd(
  program: string,
  args: string[],
  options: SpawnOptions & { timeoutMs: number },
): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    watchChild(child);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-TAIL_CHARACTERS_MAX);
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (signal === 'SIGKILL')
        reject(new Error(`${program} did not end within ${options.timeoutMs} ms: ${stderr}`));
      else resolve({ code, stdout, stderr });
    });
  });
}

export interface Started {
  child: ChildProcess;
  pid: number;
  stop(): Promise<void>;
  tail(): string;
}

/** Starts a long-running child and waits until `isReady` is true; looked at after each output and every 20 ms. */
export async function startChild(
  program: string,
  args: string[],
  options: SpawnOptions & { timeoutMs: number; isReady: (output: string) => boolean | Promise<boolean> },
): Promise<Started> {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  watchChild(child);
  let output = '';
  let failure: string | null = null;
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-TAIL_CHARACTERS_MAX);
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  child.once('error', (error) => {
    failure = error.message;
  });
  child.once('exit', (code, signal) => {
    failure ??= `ended (${signal ?? `code ${code}`}) before it was ready`;
  });
  const deadline = Date.now() + options.timeoutMs;
  while (!(await options.isReady(output))) {
    if (failure === null && Date.now() > deadline) failure = `not ready after ${options.timeoutMs} ms`;
    if (failure !== null) {
      await stopChild(child);
      throw new Error(`${basename(program)} ${failure}: ${output.trim()}`);
    }
    await sleep(20);
  }
  return { child, pid: child.pid ?? 0, stop: () => stopChild(child), tail: () => output };
}

/** Asks, waits 3 s, then kills. Idempotent. */
async function stopChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  // A proxy may drain for as long as clients stay; twice SIGTERM means "cut" to ours and the kill is for all others.
  const again = setTimeout(() => child.kill('SIGTERM'), 1000);
  const kill = setTimeout(() => child.kill('SIGKILL'), 3000);
  await ended;
  clearTimeout(again);
  clearTimeout(kill);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
