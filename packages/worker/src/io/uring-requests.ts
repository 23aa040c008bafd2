import { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_WAITALL } from './libc.js';
import * as abi from './uring-abi.js';

/* How the io_uring driver marks its requests and keeps the state of a handle. */

// Low user-data word: handle << OP_SHIFT | op. High word: the handle's generation.
export const OP_SHIFT = 4;
export const OP_MASK = (1 << OP_SHIFT) - 1;
export const USER_RECEIVE = 1;
export const USER_SEND = 2;
export const USER_WRITABLE = 3;
export const USER_CONNECT = 4;
export const USER_CANCEL = 5;
export const USER_WATCH = 6;

// State bits of a handle.
export const WANTS_RECEIVE = 1;
export const RECEIVE_ARMED = 2;
export const RECEIVE_CANCELLED = 4;
export const RECEIVE_ENDED = 8;
export const STARVED = 16;
export const SENDING = 32;
export const WRITABLE_ARMED = 64;
export const CONNECT_ARMED = 128;
export const DETACHING = 256;
/** In the list of handles whose detach() completes at the end of the turn. */
export const DETACHED = 512;

export const POLLIN = 1;
export const POLLOUT = 4;
/** Of several rings that watch a listening socket one is woken; it then moves behind the others. */
export const POLLEXCLUSIVE = 1 << 28;

export const RECEIVE_HEAD =
  abi.OP_RECV | (abi.SQE_BUFFER_SELECT << abi.SQE_FLAGS_SHIFT) | (abi.RECV_MULTISHOT << abi.SQE_IOPRIO_SHIFT);
export const SKIP_SUCCESS = abi.SQE_CQE_SKIP_SUCCESS << abi.SQE_FLAGS_SHIFT;
// DONTWAIT: executed at submission, so a full socket never makes the kernel keep our buffers. WAITALL beside it
// turns a short send into a failed one, whose completion is posted even where those of successes are skipped.
export const SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL;
