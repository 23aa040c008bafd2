import {
  Connection,
  type ConnectionOwner,
  type IoDriver,
  ipSockaddr,
  KernelMemory,
  libc,
  localAddress,
  OutputQueueSet,
  openDriver,
  openStreamSocket,
  uringRefusal,
} from '@pgdog-cluster/worker';

/** One measurement: the hash shows that the work was done, and the same work each time. */
export interface MicroResult {
  name: string;
  nsPerOp: number;
  hash: number;
}

const MESSAGE_BYTES = 64;

/** Sends back what it gets, or, as the near end, counts round trips and starts the next one. */
class Echo implements ConnectionOwner {
  readonly connection: Connection;
  private readonly memory: KernelMemory;
  roundTripsLeft: number = -1;
  hash: number = 0;

  constructor(driver: IoDriver, outputs: OutputQueueSet, fd: number) {
    this.memory = driver.memory;
    this.connection = new Connection(driver, fd, this, { outputs });
  }

  handleReceived(buffer: number, start: number, end: number): void {
    this.hash = (Math.imul(this.hash, 31) + this.memory.bytes[start] + end - start) | 0;
    if (this.roundTripsLeft < 0 || --this.roundTripsLeft > 0) this.connection.sendSlice(buffer, start, end);
    this.memory.release(buffer);
  }

  handleReceiveEnd(): void {}
  handleWriteFailed(): void {}
  handleDrained(): void {}
  handleConnected(): void {}
  handleDetached(): void {}
}

/** A connected pair of TCP sockets on loopback. */
function tcpPair(): [number, number] {
  const listening = libc.socket(libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_CLOEXEC, 0);
  const any = ipSockaddr('127.0.0.1', 0);
  libc.bind(listening, any, any.length);
  libc.listen(listening, 8);
  const near = openStreamSocket(libc.AF_INET);
  const sockaddr = ipSockaddr('127.0.0.1', localAddress(listening).port);
  libc.connect(near, sockaddr, sockaddr.length);
  const far = libc.accept4(listening, null, null, libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC);
  libc.close(listening);
  return [near, far];
}

/** Round trips over `pairCount` connections at once; both ends are in this thread, so a trip is two messages. */
function echo(driverName: 'io_uring' | 'epoll', pairCount: number, tripCount: number): MicroResult {
  const memory = new KernelMemory({ bigCount: 1024, smallCount: 1024 });
  const { driver } = openDriver(driverName, memory);
  const outputs = new OutputQueueSet(memory);
  const nears: Echo[] = [];
  const fars: Echo[] = [];
  for (let i = 0; i < pairCount; i++) {
    const [near, far] = tcpPair();
    nears.push(new Echo(driver, outputs, near));
    fars.push(new Echo(driver, outputs, far));
  }
  const message = new Uint8Array(MESSAGE_BYTES).fill(7);
  const runTrips = (countEach: number): void => {
    for (const near of nears) {
      near.roundTripsLeft = countEach;
      near.connection.sendBytes(message, 0, MESSAGE_BYTES);
    }
    while (nears.some((near) => near.roundTripsLeft > 0)) {
      outputs.flushAll();
      driver.turn(100);
    }
  };
  const countEach = Math.ceil(tripCount / pairCount);
  runTrips(Math.ceil(countEach / 4));
  const started = process.hrtime.bigint();
  runTrips(countEach);
  const ns = Number(process.hrtime.bigint() - started);
  let hash = 0;
  for (const end of [...nears, ...fars]) {
    hash = (hash + end.hash) | 0;
    end.connection.close();
  }
  for (let i = 0; i < 5; i++) driver.turn(1);
  driver.destroy();
  memory.destroy();
  return {
    name: `io: ${driverName}, TCP round trip, ${pairCount} at once`,
    nsPerOp: ns / (countEach * pairCount),
    hash,
  };
}

export function run(options: { quick: boolean }): MicroResult[] {
  const tripCount = options.quick ? 2_000 : 200_000;
  const names: ('io_uring' | 'epoll')[] = uringRefusal() === '' ? ['io_uring', 'epoll'] : ['epoll'];
  return names.flatMap((name) => [1, 32].map((pairCount) => echo(name, pairCount, tripCount)));
}
