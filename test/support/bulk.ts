/** Large answers without keeping them: counts bytes, remembers the last few, and watches a process's memory. */
import { readFileSync } from 'node:fs';
import type { RawClient } from './raw-client.js';

const TAIL_BYTES = 64;
/** ReadyForQuery in idle state, the last bytes of every answer. */
const READY_IDLE = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

export interface BulkAnswer {
  bytes: number;
  tail: Buffer;
}

/** Reads a raw client's socket from now on, until an answer ends with ReadyForQuery. The client is of no other use then. */
export function discardAnswer(client: RawClient, timeoutMs = 60_000): Promise<BulkAnswer> {
  const { socket } = client;
  socket.removeAllListeners('data');
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let tail: Buffer = Buffer.alloc(0);
    const timer = setTimeout(
      () => reject(new Error(`no end after ${timeoutMs} ms and ${bytes} bytes`)),
      timeoutMs,
    );
    socket.once('close', () => {
      clearTimeout(timer);
      reject(new Error(`closed after ${bytes} bytes`));
    });
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      tail = Buffer.concat([tail, chunk.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
      if (!tail.subarray(-READY_IDLE.length).equals(READY_IDLE)) return;
      clearTimeout(timer);
      resolve({ bytes, tail });
    });
  });
}

/** Resident bytes of a process (proc_pid_statm(5), second field, in pages of 4 KB). */
export function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
}

/** Runs `body` and gives by how much the process grew at most while it ran. */
export async function growthDuring(pid: number, body: () => Promise<unknown>): Promise<number> {
  const before = residentBytes(pid);
  let highest = before;
  const timer = setInterval(() => {
    highest = Math.max(highest, residentBytes(pid));
  }, 20);
  try {
    await body();
  } finally {
    clearInterval(timer);
  }
  return Math.max(highest, residentBytes(pid)) - before;
}

/** Writes with regard to the socket's pace. */
export async function sendPaced(client: RawClient, chunk: Buffer, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    if (!client.socket.write(chunk)) {
      await new Promise<void>((resolve) => client.socket.once('drain', () => resolve()));
    }
  }
}
