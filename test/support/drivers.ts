/** The I/O drivers this machine can run. A test that cannot run on one says so instead of passing quietly. */
import { describe, it } from 'node:test';
import koffi from 'koffi';

export const DRIVERS = ['io_uring', 'epoll'] as const;
export type TestDriver = (typeof DRIVERS)[number];

/** Same on every architecture Linux has had since io_uring came. */
const SYS_IO_URING_SETUP = 425;
const IORING_PARAMS_BYTES = 120;
/** SUBMIT_ALL | CQSIZE off | SINGLE_ISSUER | DEFER_TASKRUN: the last two need kernel 6.1. */
const FLAGS = 0x80 | 0x1000 | 0x2000;

/** Empty when the kernel gives us a ring; else why not. */
function probeUring(): string {
  if (process.platform !== 'linux') return `io_uring needs Linux, this is ${process.platform}`;
  const libc = koffi.load(null);
  const syscall = libc.func('long syscall(long number, uint32_t entries, void *params)');
  const close = libc.func('int close(int fd)');
  const params = Buffer.alloc(IORING_PARAMS_BYTES);
  params.writeUInt32LE(FLAGS, 8);
  const fd = Number(syscall(SYS_IO_URING_SETUP, 8, params));
  if (fd < 0)
    return `io_uring is refused here (errno ${koffi.errno()}): kernel older than 6.1, or a container profile`;
  close(fd);
  return '';
}

const uringProblem = probeUring();

/** Empty, or the reason to skip tests of this driver. */
export function driverProblem(driver: TestDriver): string {
  return driver === 'io_uring' ? uringProblem : process.platform === 'linux' ? '' : 'epoll needs Linux';
}

/** A `describe` per driver; a refused one shows as skipped with its reason. `PGDOG_TEST_DRIVER` picks one. */
export function forEachDriver(title: string, body: (driver: TestDriver) => void): void {
  const only = process.env.PGDOG_TEST_DRIVER;
  for (const driver of DRIVERS) {
    if (only !== undefined && only !== driver) continue;
    const problem = driverProblem(driver);
    describe(`${title} [${driver}]`, { skip: problem === '' ? false : problem }, () => body(driver));
  }
}

/** The one that tests run on which do not depend on it: the first that runs here. */
function oneDriver(): TestDriver | undefined {
  const wanted = process.env.PGDOG_TEST_DRIVER;
  return DRIVERS.find((one) => one === wanted) ?? DRIVERS.find((one) => driverProblem(one) === '');
}

/** For runs that follow from a seed: an even one is io_uring's, an odd one epoll's, where both run here. */
export function driverOfSeed(seed: number): TestDriver | undefined {
  const turn = DRIVERS[seed % DRIVERS.length];
  return process.env.PGDOG_TEST_DRIVER === undefined && driverProblem(turn) === '' ? turn : oneDriver();
}

/** For what does not depend on the driver; `seed`: see driverOfSeed. */
export function forOneDriver(title: string, body: (driver: TestDriver) => void, seed?: number): void {
  const driver = seed === undefined ? oneDriver() : driverOfSeed(seed);
  if (driver === undefined) describe(title, { skip: 'no driver runs here' }, () => undefined);
  else describe(`${title} [${driver}]`, () => body(driver));
}

/**
 * `it` for a decision inside of `forEachDriver`: what follows from bytes that have come is the same however they came,
 * and a start of the proxy takes a second of CPU. Beside such tests at least one of the same path runs on each driver.
 */
export function decisionsOn(driver: TestDriver): (name: string, body: () => void | Promise<void>) => void {
  return driver === oneDriver() ? (name, body) => void it(name, body) : () => undefined;
}
