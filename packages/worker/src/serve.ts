import {
  IO_DRIVER_EPOLL,
  IO_DRIVER_IO_URING,
  loadSqlParser,
  PgDogError,
  type ServeTask,
  WORKER_SERVING,
} from '@pgdog-cluster/core';
import { openDriver } from './io/choose-driver.js';
import { Loop } from './loop.js';
import { makeContext } from './make-context.js';
import { PlanCache } from './plan/plan-cache.js';
import { takeUpConfiguration } from './take-up.js';
import type { WorkerContext } from './worker-context.js';

/** Plans kept by a worker, and their bytes: a plan takes 0.7 to 3 KB, so that some 10,000 shapes find room. */
const PLANS_MAX = 50_000;
const PLAN_BYTES_MAX = 16 * 1024 * 1024;

/** Sent; told so, and closed; detached. */
const LAST_TURNS = 3;

/** One worker: serves clients until it is told to stop. A rejection is a crash, and the supervisor's to clean up. */
export default async function serve(task: ServeTask): Promise<void> {
  const parser = await loadSqlParser();
  const { driver, reason } = openDriver(task.ioDriver);
  const context = makeContext(task, driver, new PlanCache(parser, PLANS_MAX, PLAN_BYTES_MAX), parser);
  const { memory, worker } = context;
  for (const fd of driver.descriptors) memory.fds.setOwner(fd, worker);
  // Unmapped by the supervisor when the task has ended, however it ended.
  memory.workers.setKernelMemory(worker, driver.memory.address, driver.memory.bytes.length);
  takeUpConfiguration(context);
  memory.workers.setIoDriver(worker, driver.name === 'io_uring' ? IO_DRIVER_IO_URING : IO_DRIVER_EPOLL);
  const loop = new Loop(context, task.testHooks);
  driver.onAwake = () => loop.tick();
  loop.tick();
  // The wake-up itself is all: the loop looks at the mailbox every turn.
  driver.watchEventFd(task.eventFd, () => {});
  // Ahead of the word: clients that come right behind it are handed to those that serve.
  memory.workers.setState(worker, WORKER_SERVING);
  context.tell({ type: 'ready', worker, ioDriver: driver.name, ioDriverReason: reason });
  try {
    await loop.run();
    closeEverything(context);
  } finally {
    context.flushLog();
    for (const fd of driver.descriptors) memory.fds.clear(fd);
    // After a crash too: what OpenSSL allocated outlives the thread.
    context.tls.destroy();
    driver.destroy();
    driver.memory.destroy();
    task.port.close();
  }
}

/**
 * After the last turn: clients are told (57P01) and what is still open is closed, so that nothing outlives the
 * worker. A client that does not take its last words now does without.
 */
function closeEverything(context: WorkerContext): void {
  context.isDraining = true;
  context.sessions.forEach((session) => {
    session.fail(new PgDogError('shutting_down'));
  });
  context.mirrors.drop();
  for (const pool of context.pools.values()) for (const server of [...pool.all]) pool.close(server);
  for (let turn = 0; turn < LAST_TURNS; turn++) {
    context.outputs.flushAll();
    context.driver.turn(0, 1);
  }
  for (const fd of context.memory.fds.owned(context.worker)) {
    if (!context.driver.descriptors.includes(fd)) context.closeFd(fd);
  }
}
