/**
 * Readings from /proc. Times of /proc/<pid>/stat are of the whole process, threads that have ended included, in clock
 * ticks; Linux has reported USER_HZ = 100 to user space on every architecture Node runs on.
 */
import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

export interface CpuTime {
  userUs: number;
  systemUs: number;
}

/**
 * utime and stime (fields 14 and 15, proc(5)) of a stat line. The command name in field 2 may itself hold spaces and
 * brackets, so fields are counted from the last closing bracket.
 */
export function parseStat(text: string): CpuTime {
  const end = text.lastIndexOf(')');
  if (end < 0) throw new Error(`not a /proc stat line: ${text.slice(0, 60)}`);
  // What follows the bracket starts with field 3 (state).
  const fields = text
    .slice(end + 1)
    .trim()
    .split(/\s+/);
  const userTicks = Number(fields[14 - 3]);
  const systemTicks = Number(fields[15 - 3]);
  if (!Number.isFinite(userTicks) || !Number.isFinite(systemTicks)) {
    throw new Error(`/proc stat line without times: ${text.slice(0, 60)}`);
  }
  return { userUs: (userTicks * 1e6) / TICKS_PER_SECOND, systemUs: (systemTicks * 1e6) / TICKS_PER_SECOND };
}

/** VmRSS of a status file, in KB. */
export function parseRssKb(text: string): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(text);
  if (match === null) throw new Error('no VmRSS in /proc status: the process has ended');
  return Number(match[1]);
}

export function cpuTime(pids: readonly number[]): CpuTime {
  const total = { userUs: 0, systemUs: 0 };
  for (const pid of pids) {
    const one = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    total.userUs += one.userUs;
    total.systemUs += one.systemUs;
  }
  return total;
}

export function rssKb(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + parseRssKb(readFileSync(`/proc/${pid}/status`, 'latin1')), 0);
}

/** Hard limit of open files for this process; children inherit it, and Node raises its soft limit to it by itself. */
export function openFilesMax(): number {
  const match = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  if (match === null) return 1024;
  return match[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(match[1]);
}

export function cpuModel(): string {
  const match = /^model name\s*:\s*(.+)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'));
  return match?.[1] ?? 'unknown';
}
