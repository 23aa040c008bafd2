/**
 * Signals for a postmaster with all its children. Killing the postmaster alone is not how a host dies: a backend
 * that is busy at that moment would still finish, commit and answer.
 */
import { readFileSync } from 'node:fs';

/** Direct children; Postgres has no others. proc_pid_task(5) */
function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text
      .split(' ')
      .filter((word) => word !== '')
      .map(Number);
  } catch {
    return [];
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}

/** Stops the parent first, so that it cannot fork behind our back. */
export function freezeTree(pid: number): void {
  signal(pid, 'SIGSTOP');
  for (const child of childrenOf(pid)) signal(child, 'SIGSTOP');
}

export function thawTree(pid: number): void {
  for (const child of childrenOf(pid)) signal(child, 'SIGCONT');
  signal(pid, 'SIGCONT');
}

/** As a host that loses power: nobody says goodbye. */
export function killTree(pid: number): void {
  signal(pid, 'SIGSTOP');
  for (const child of childrenOf(pid)) signal(child, 'SIGKILL');
  signal(pid, 'SIGKILL');
}
