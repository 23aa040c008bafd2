import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { flock, LOCK_EX, LOCK_NB } from './libc.js';

const MODE = 0o600;
const ATTEMPTS_MAX = 10;

/**
 * The lock file beside a Unix socket, in Postgres's place and with its lines (pid, data directory, start, port,
 * socket directory), so that a Postgres started there sees us. Between ourselves the kernel's lock on it counts:
 * it ends with the process, however that ends, and no pid is ever mistaken for another's.
 */
export class UnixLock {
  readonly #fd: number;
  readonly #path: string;
  #isReleased = false;

  private constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  /** Null when another process has it. Throws the system's error when the file cannot be made. */
  static take(socketPath: string, directory: string, port: number): UnixLock | null {
    const path = `${socketPath}.lock`;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      // Not through a symbolic link: the directory may be everybody's.
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, MODE);
      if (flock(fd, LOCK_EX | LOCK_NB) !== 0) {
        closeSync(fd);
        return null;
      }
      if (isSameFile(fd, path)) {
        const lock = new UnixLock(fd, path);
        lock.sign(directory, port);
        return lock;
      }
      // Its owner deleted it between our open and our lock: what we hold is a file without a name.
      closeSync(fd);
    }
    return null;
  }

  /**
   * The lock of another process, by a descriptor that it passed: the kernel's lock belongs to what is open, whoever has a
   * number for it, and ends when the last of them closes.
   */
  static adopt(fd: number, socketPath: string): UnixLock {
    return new UnixLock(fd, `${socketPath}.lock`);
  }

  get fd(): number {
    return this.#fd;
  }

  /** Writes whose it is into the file. */
  sign(directory: string, port: number): void {
    ftruncateSync(this.#fd, 0);
    const startedS = Math.floor(performance.timeOrigin / 1000);
    writeSync(this.#fd, `${process.pid}\n${process.cwd()}\n${startedS}\n${port}\n${directory}\n`, 0);
  }

  /** Another process has it from now on: file and lock stay. Idempotent. */
  leave(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    closeSync(this.#fd);
  }

  /** Deletes the file, then lets go of the lock. Idempotent. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    try {
      if (isSameFile(this.#fd, this.#path)) unlinkSync(this.#path);
    } catch {
      // A file that stays is taken over by the next start: the lock on it ends here.
    }
    closeSync(this.#fd);
  }
}

function isSameFile(fd: number, path: string): boolean {
  const mine = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === mine.ino && there.dev === mine.dev;
}
