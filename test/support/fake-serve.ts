/**
 * Stands in for the worker in tests of the fleet: takes clients and answers each with its number, claims one
 * server connection per client, and can be made to end in every way a thread can. What to do comes as text in
 * `adminReply` messages, the one kind that carries bytes of our choice.
 */
import { existsSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type LogCode,
  openSharedMemory,
  readAddress,
  readPort,
  type ServeTask,
  type SharedMemory,
  SOCKADDR_BYTES_MAX,
  type SupervisorMessage,
  WORKER_SERVING,
  type WorkerMessage,
} from '@pgdog-cluster/core';
import { HandOver, libc } from '@pgdog-cluster/worker';

/** A task for a worker with FAKE_SERVE_FAIL=n fails before it is ready. */
const failingWorker = Number(process.env.FAKE_SERVE_FAIL ?? -1);

interface Fake {
  task: ServeTask;
  memory: SharedMemory;
  clients: number;
  clientsTold: number;
  listeners: number[];
  handOver: HandOver;
  replyBytes: number[];
  isEnding: boolean;
  /** The mailbox is left alone until there is such a file. */
  deafUntilFile: string;
}

export default async function serve(task: ServeTask): Promise<void> {
  if (task.worker === failingWorker) throw new Error('no ring to be had');
  const memory = openSharedMemory(task.handles);
  const fake: Fake = {
    task,
    memory,
    clients: 0,
    clientsTold: 0,
    listeners: [],
    handOver: new HandOver(memory, task.worker, (worker, message) =>
      memory.mailboxes.post(task.worker, worker, message),
    ),
    replyBytes: [],
    isEnding: false,
    deafUntilFile: '',
  };
  // In the place of the ring: a descriptor of its own that must be closed after a crash.
  memory.fds.setOwner(openSync('/dev/null', 'r'), task.worker);
  memory.workers.setState(task.worker, WORKER_SERVING);
  tell(fake, { type: 'ready', worker: task.worker, ioDriver: 'epoll', ioDriverReason: 'a fake' });
  while (!fake.isEnding) {
    memory.workers.setHeartbeatMs(task.worker, Date.now());
    // As the real worker: on its tick, not at once; and only news, so that a test may write the cell too.
    if (fake.clients !== fake.clientsTold) memory.workers.setClients(task.worker, fake.clients);
    fake.clientsTold = fake.clients;
    memory.workers.setTurns(task.worker, memory.workers.turns(task.worker) + 1);
    if (fake.deafUntilFile === '' || existsSync(fake.deafUntilFile)) {
      fake.deafUntilFile = '';
      memory.mailboxes.drain(task.worker, (message) => obey(fake, message));
      for (const fd of fake.listeners) accept(fake, fd);
    }
    await sleep(2);
  }
  task.port.close();
}

function tell({ task }: Fake, message: SupervisorMessage): void {
  task.port.postMessage(message);
}

function obey(fake: Fake, message: WorkerMessage): void {
  const { worker, testHooks } = fake.task;
  switch (message.type) {
    case 'newClient':
      serveClient(fake, message.fd, message.addr, message.port);
      return;
    case 'listen':
      fake.listeners = message.sockets.map(({ fd }) => fd);
      return;
    case 'drain':
      fake.listeners = [];
      if (fake.clients === 0) tell(fake, { type: 'drained', worker });
      return;
    case 'cut':
      fake.isEnding = true;
      return;
    case 'crash':
      if (testHooks) throw new Error('crash ordered by a test');
      return;
    case 'reportRequest':
      tell(fake, { type: 'report', worker, requestId: message.requestId, rows: [] });
      return;
    case 'adminReply':
      obeyText(fake, Buffer.from(message.bytes).toString('latin1'), message.isLast);
      return;
  }
}

/** As the real worker's Acceptor, without a driver to wake it. */
function accept(fake: Fake, listener: number): void {
  const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
  for (;;) {
    const flags = libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC;
    const fd = libc.accept4(listener, sockaddr, new Int32Array([SOCKADDR_BYTES_MAX]), flags);
    if (fd < 0) return;
    fake.memory.fds.setOwner(fd, fake.task.worker);
    const [addr, port] = [readAddress(sockaddr), readPort(sockaddr)];
    if (!fake.handOver.give(fd, addr, port)) serveClient(fake, fd, addr, port);
  }
}

function serveClient(fake: Fake, fd: number, addr: string, port: number): void {
  const { worker } = fake.task;
  fake.clients += 1;
  fake.memory.workers.setClients(worker, fake.memory.workers.clients(worker) + 1);
  fake.clientsTold += 1;
  fake.memory.capacity.tryClaimClient(worker);
  fake.memory.capacity.tryClaim(worker, 0);
  fake.memory.load.markWaiting(worker, 0, true);
  writeSync(fd, `worker ${worker} ${addr} ${port}\n`);
}

function obeyText(fake: Fake, text: string, isLast: boolean): void {
  const { worker } = fake.task;
  if (text === 'exit') process.exit(7);
  else if (text === 'leave') fake.isEnding = true;
  else if (text === 'throw outside') setImmediate(throwOutside);
  else if (text === 'run out of memory') fillMemory();
  else if (text.startsWith('be deaf until ')) {
    fake.deafUntilFile = text.slice('be deaf until '.length);
    log(fake, 'deaf' as LogCode);
  } else if (text === 'stand still') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  else if (text.startsWith('ask ')) {
    const ask = { slot: 1, generation: 2, database: 'admin', user: 'u', isAdmin: true };
    tell(fake, { type: 'adminQuery', worker, ...ask, text: text.slice(4) });
  } else {
    fake.replyBytes.push(text.length);
    if (!isLast) return;
    const fields = { sizes: fake.replyBytes.join(' '), end: text.slice(-400) };
    fake.replyBytes = [];
    log(fake, 'answered' as LogCode, fields);
  }
}

function log(fake: Fake, code: LogCode, fields: Record<string, string> = {}): void {
  tell(fake, { type: 'log', lines: [{ level: 'info', code, message: 'done', fields }] });
}

function throwOutside(): void {
  throw new Error('outside the task');
}

function fillMemory(): void {
  const kept: number[][] = [];
  for (;;) kept.push(new Array(100_000).fill(Math.random()));
}
