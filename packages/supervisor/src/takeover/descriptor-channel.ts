import {
  addressOf,
  close,
  EAGAIN,
  errno,
  MSG_CMSG_CLOEXEC,
  MSG_NOSIGNAL,
  recvmsg,
  SCM_RIGHTS,
  SOL_SOCKET,
  sendmsg,
} from '../listen/libc.js';

/** As many as one message can carry (SCM_MAX_FD). */
export const DESCRIPTORS_MAX = 253;
const TEXT_BYTES_MAX = 64 * 1024;
const CONTROL_HEADER_BYTES = 16;

/*
 * One block of memory holds what a system call reads and writes:
 *
 *   0 struct msghdr (56 bytes) · 64 one struct iovec (16) · 128 control data · 2048 the text
 */
const IOVEC = 64;
const CONTROL = 128;
const CONTROL_BYTES_MAX = CONTROL_HEADER_BYTES + DESCRIPTORS_MAX * 4 + 4;
const TEXT = 2048;

export interface ChannelMessage {
  text: string;
  /** Ours to close. */
  descriptors: number[];
}

/** One end of a connection between two processes of this machine that keeps messages apart and carries descriptors. */
export class DescriptorChannel {
  readonly fd: number;
  readonly #bytes = new Uint8Array(TEXT + TEXT_BYTES_MAX);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #address = addressOf(this.#bytes);
  #isClosed = false;

  /** Takes the descriptor of a connected socket (SOCK_SEQPACKET, not blocking), which is closed with this. */
  constructor(fd: number) {
    this.fd = fd;
  }

  #prepare(textBytes: number, controlBytes: number): void {
    this.#bytes.fill(0, 0, CONTROL + CONTROL_BYTES_MAX);
    this.#view.setBigUint64(16, this.#address + BigInt(IOVEC), true);
    this.#view.setBigUint64(24, 1n, true);
    this.#view.setBigUint64(32, controlBytes === 0 ? 0n : this.#address + BigInt(CONTROL), true);
    this.#view.setBigUint64(40, BigInt(controlBytes), true);
    this.#view.setBigUint64(IOVEC, this.#address + BigInt(TEXT), true);
    this.#view.setBigUint64(IOVEC + 8, BigInt(textBytes), true);
  }

  /** False: the other side is gone. The descriptors stay open here. */
  send(text: string, descriptors: readonly number[] = []): boolean {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > TEXT_BYTES_MAX || descriptors.length > DESCRIPTORS_MAX) {
      throw new RangeError('too much for one message');
    }
    const { length } = descriptors;
    // Padded to a multiple of eight; its own length is not.
    const controlBytes = length === 0 ? 0 : CONTROL_HEADER_BYTES + ((length * 4 + 7) & ~7);
    this.#prepare(bytes.length, controlBytes);
    this.#bytes.set(bytes, TEXT);
    if (length > 0) {
      this.#view.setBigUint64(CONTROL, BigInt(CONTROL_HEADER_BYTES + length * 4), true);
      this.#view.setInt32(CONTROL + 8, SOL_SOCKET, true);
      this.#view.setInt32(CONTROL + 12, SCM_RIGHTS, true);
      for (const [index, fd] of descriptors.entries()) {
        this.#view.setInt32(CONTROL + CONTROL_HEADER_BYTES + index * 4, fd, true);
      }
    }
    return sendmsg(this.fd, Number(this.#address), MSG_NOSIGNAL) === bytes.length;
  }

  /** The next message; `wait` when there is none yet, `gone` when the other side has closed, or sent an empty one. */
  receive(): ChannelMessage | 'wait' | 'gone' {
    this.#prepare(TEXT_BYTES_MAX, CONTROL_BYTES_MAX);
    const length = recvmsg(this.fd, Number(this.#address), MSG_CMSG_CLOEXEC);
    if (length < 0) return errno() === EAGAIN ? 'wait' : 'gone';
    // The kernel has installed them by now, whatever else the message is.
    const descriptors = this.#received();
    if (length === 0) {
      for (const fd of descriptors) close(fd);
      return 'gone';
    }
    const text = new TextDecoder().decode(this.#bytes.subarray(TEXT, TEXT + length));
    return { text, descriptors };
  }

  #received(): number[] {
    const controlBytes = Number(this.#view.getBigUint64(40, true));
    if (controlBytes < CONTROL_HEADER_BYTES) return [];
    const isRights =
      this.#view.getInt32(CONTROL + 8, true) === SOL_SOCKET &&
      this.#view.getInt32(CONTROL + 12, true) === SCM_RIGHTS;
    if (!isRights) return [];
    const end = Number(this.#view.getBigUint64(CONTROL, true));
    const descriptors: number[] = [];
    for (let at = CONTROL_HEADER_BYTES; at + 4 <= end; at += 4) {
      descriptors.push(this.#view.getInt32(CONTROL + at, true));
    }
    return descriptors;
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    close(this.fd);
  }
}
