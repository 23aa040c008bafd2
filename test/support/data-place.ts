/** Where the servers of tests keep their data. */
import { randomBytes } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
/** Some servers at once, each with up to 256 MB of WAL beside what a test writes; a container often has 64 MB there. */
const FREE_BYTES_MIN = 4 * 2 ** 30;

function hasRoom(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize >= FREE_BYTES_MIN;
  } catch {
    return false;
  }
}

/**
 * A name for a directory that nobody has, in memory where there is room: making the thousand files of a server takes
 * a second of CPU on a disk, a tenth of it in memory.
 */
export function newDataDirectory(): string {
  const place = hasRoom(MEMORY) ? MEMORY : tmpdir();
  return join(place, `pgdog-test-${process.pid}-${randomBytes(4).toString('hex')}`);
}
