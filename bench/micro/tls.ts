/**
 * What TLS costs beside the sockets: tls-filter with cipher-output, tls-record and memory-bios, two of them back to
 * back over ports that hand each other's cipher text on.
 */
import type { TlsMaterial } from '@pgdog-cluster/core';
import {
  type FilterPort,
  gathered,
  KernelMemory,
  LoginBudget,
  OutputQueue,
  type TlsContext,
  TlsFilter,
  type TlsInfo,
  type TlsListener,
  TlsWorker,
} from '@pgdog-cluster/worker';
import { selfSigned } from '../macro/self-signed.js';
import { type MicroResult, timeOperations } from './time-operations.js';

/** A connection without a socket: what one end writes the other receives. */
class End implements FilterPort, TlsListener {
  readonly output = new OutputQueue();
  readonly filter: TlsFilter;
  private readonly memory: KernelMemory;
  hash = 0;
  isReady = false;

  constructor(worker: TlsWorker, context: TlsContext) {
    this.memory = worker.memory;
    this.filter = new TlsFilter(worker, this, { context, isDirect: false, host: '', port: 0 }, this);
  }

  deliver(buffer: number, start: number, end: number): void {
    this.hash = (Math.imul(this.hash, 31) + this.memory.bytes[start] + end - start) | 0;
    this.memory.release(buffer);
  }

  handleTlsReady(_info: TlsInfo): void {
    this.isReady = true;
  }

  handleTlsFailed(reason: string): void {
    throw new Error(reason);
  }

  markDirty(): void {}
  endReceive(): void {}
  handleHeldDone(): void {}
  pauseReceive(): void {}
  resumeReceive(): void {}

  send(bytes: Uint8Array): void {
    this.filter.push(-1, bytes, 0, bytes.length, false);
  }

  /** Everything written goes to the other end, in buffers as the driver would deliver them. */
  transmit(to: End): void {
    this.filter.flush();
    const { output, memory } = this;
    while (output.queuedBytes > 0) {
      const length = Math.min(output.queuedBytes, 16 * 1024);
      const buffer = memory.allocateBig();
      const start = memory.start(buffer);
      moveOut(output, memory, start, length);
      to.filter.receive(buffer, start, start + length);
    }
  }
}

/** As a send would take them. */
function moveOut(output: OutputQueue, memory: KernelMemory, start: number, length: number): void {
  let at = start;
  while (at < start + length) {
    const count = output.gather(memory);
    let taken = 0;
    for (let i = 0; i < count && at < start + length; i++) {
      const size = Math.min(gathered.lengths[i], start + length - at);
      memory.bytes.copyWithin(at, gathered.offsets[i], gathered.offsets[i] + size);
      at += size;
      taken += size;
    }
    output.finish(memory, taken);
  }
}

function material(
  own: { certificate: string; privateKey: string } | null,
  cipherSuites: string,
): TlsMaterial {
  return {
    fingerprint: cipherSuites,
    certificate: own?.certificate ?? null,
    privateKey: own?.privateKey ?? null,
    ca: null,
    crl: null,
    terms: { versionMin: 'TLSv1.3', versionMax: 'TLSv1.3', ciphers: '', cipherSuites, groups: '' },
  };
}

function openWorker(own: { certificate: string; privateKey: string }, suite: string): TlsWorker {
  const worker = new TlsWorker(new KernelMemory({ bigCount: 512, smallCount: 512 }), new LoginBudget());
  const servers = [{ mode: 'require' as const, ...material(null, suite) }];
  const tls = { clients: { mode: 'prefer' as const, ...material(own, suite) }, servers };
  worker.takeUp({ tls }, (what, reason) => {
    throw new Error(`${what}: ${reason}`);
  });
  return worker;
}

function connected(worker: TlsWorker): [server: End, client: End] {
  const towardsServers = worker.contextOf(0);
  if (worker.clients === null || towardsServers === null) throw new Error('no settings');
  const server = new End(worker, worker.clients);
  const client = new End(worker, towardsServers);
  client.filter.start();
  for (let i = 0; i < 6; i++) {
    worker.handshakes.beginTurn(Date.now(), false);
    client.transmit(server);
    server.transmit(client);
  }
  if (!server.isReady || !client.isReady) throw new Error('no handshake');
  return [server, client];
}

/** One operation is a message each way: two records encrypted, two decrypted. */
function exchange(worker: TlsWorker, name: string, isQuick: boolean, sizes: [number, number]): MicroResult {
  const [server, client] = connected(worker);
  const [request, reply] = sizes.map((size) => new Uint8Array(size).fill(7));
  const result = timeOperations(name, isQuick, (count) => {
    server.hash = 0;
    for (let i = 0; i < count; i++) {
      client.send(request);
      client.transmit(server);
      server.send(reply);
      server.transmit(client);
    }
    return server.hash;
  });
  server.filter.free();
  client.filter.free();
  return result;
}

export function run({ quick }: { quick: boolean }): MicroResult[] {
  const own = selfSigned();
  const results: MicroResult[] = [];
  for (const suite of ['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256']) {
    const worker = openWorker(own, suite);
    results.push(
      exchange(worker, `tls: ${suite}, 64 B and 200 B`, quick, [64, 200]),
      exchange(worker, `tls: ${suite}, 16 KB each`, quick, [16_384, 16_384]),
    );
    worker.destroy();
  }
  const worker = openWorker(own, 'TLS_AES_256_GCM_SHA384');
  results.push(
    timeOperations('tls: handshake, RSA 2048, both ends', true, (count) => {
      const rounds = Math.ceil(count / 400);
      for (let i = 0; i < rounds; i++) {
        const [server, client] = connected(worker);
        server.filter.free();
        client.filter.free();
      }
      return rounds;
    }),
  );
  worker.destroy();
  return results;
}
