import type { MessagePort } from 'node:worker_threads';
import type { IoDriverSetting } from '../config/snapshot.js';
import type { SharedMemoryHandles } from '../shm/shared-memory.js';

/** What the supervisor starts a worker with. The port is transferred; the rest is cloned or shared. */
export interface ServeTask {
  /** Its number, 0..N-1: names its rows and its mailbox. */
  worker: number;
  handles: SharedMemoryHandles;
  /** Carries SupervisorMessages; the worker only writes. */
  port: MessagePort;
  /** Written whenever the mailbox has something new. Belongs to the supervisor: watched, never closed by the worker. */
  eventFd: number;
  ioDriver: IoDriverSetting;
  /** PGDOG_TEST_HOOKS=1: the `crash` message is obeyed. */
  testHooks: boolean;
}
