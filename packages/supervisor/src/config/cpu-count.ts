import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Text of a file, or null when there is none. */
export type ReadText = (path: string) => string | null;

const ROOT = '/sys/fs/cgroup';
/** Where distributions mount the v1 cpu controller. */
const V1_MOUNTS = ['cpu', 'cpu,cpuacct', 'cpuacct,cpu'];

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** quota / period; Infinity when either is absent, malformed or "no limit" (`max`, -1). */
function ratio(quota: string | undefined, period: string | undefined): number {
  const cpus = Number(quota) / Number(period);
  return cpus > 0 ? cpus : Number.POSITIVE_INFINITY;
}

/** `/a/b/c` → `/a/b/c`, `/a/b`, `/a`, ``: a limit of any ancestor binds. */
function* ancestors(path: string): Generator<string> {
  let current = path === '/' ? '' : path;
  while (current !== '') {
    yield current;
    current = current.slice(0, current.lastIndexOf('/'));
  }
  yield '';
}

/** This process's path in one hierarchy of /proc/self/cgroup (`hierarchy:controllers:path` a line). */
function cgroupPath(text: string, isWanted: (controllers: string) => boolean): string | null {
  for (const line of text.split('\n')) {
    const [, controllers, ...path] = line.split(':');
    if (controllers !== undefined && isWanted(controllers)) return path.join(':');
  }
  return null;
}

/**
 * CPUs that the CPU bandwidth limits of control groups (v1 and v2) leave this process; Infinity without one.
 * Inside a container the path is often relative to the container's own root, hence the look at every ancestor.
 */
export function cgroupCpuLimit(read: ReadText): number {
  const groups = read('/proc/self/cgroup') ?? '';
  let limit = Number.POSITIVE_INFINITY;
  const unified = cgroupPath(groups, (controllers) => controllers === '');
  for (const path of ancestors(unified ?? '')) {
    const [quota, period] = (read(`${ROOT}${path}/cpu.max`) ?? '').trim().split(' ');
    limit = Math.min(limit, ratio(quota, period));
  }
  const legacy = cgroupPath(groups, (controllers) => controllers.split(',').includes('cpu'));
  for (const mount of V1_MOUNTS) {
    for (const path of ancestors(legacy ?? '')) {
      const directory = `${ROOT}/${mount}${path}`;
      const quota = read(`${directory}/cpu.cfs_quota_us`)?.trim();
      limit = Math.min(limit, ratio(quota, read(`${directory}/cpu.cfs_period_us`)?.trim()));
    }
  }
  return limit;
}

/**
 * How many threads can really run at once: affinity and quota. Rounded down, since a thread that is throttled
 * in mid-turn delays all its clients.
 */
export function cpuCount(read: ReadText = readText, parallelism: number = availableParallelism()): number {
  return Math.max(1, Math.min(parallelism, Math.floor(cgroupCpuLimit(read))));
}
