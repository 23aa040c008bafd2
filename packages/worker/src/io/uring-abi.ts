// Numbers of <linux/io_uring.h>. Names as there, without the IORING_ prefix.

export const SETUP_CQSIZE = 1 << 3;
export const SETUP_CLAMP = 1 << 4;
export const SETUP_SUBMIT_ALL = 1 << 7;
export const SETUP_TASKRUN_FLAG = 1 << 9;
export const SETUP_SINGLE_ISSUER = 1 << 12;
export const SETUP_DEFER_TASKRUN = 1 << 13;

export const FEAT_SINGLE_MMAP = 1 << 0;
export const FEAT_NODROP = 1 << 1;
export const FEAT_SUBMIT_STABLE = 1 << 2;
export const FEAT_EXT_ARG = 1 << 8;
export const FEAT_CQE_SKIP = 1 << 11;
/** Kernel 6.12: io_uring_enter may wait a short while for several completions before it settles for one. */
export const FEAT_MIN_TIMEOUT = 1 << 15;

export const OFF_SQ_RING = 0;
export const OFF_SQES = 0x10000000;

export const ENTER_GETEVENTS = 1 << 0;
export const ENTER_EXT_ARG = 1 << 3;
export const ENTER_REGISTERED_RING = 1 << 4;

export const SQ_CQ_OVERFLOW = 1 << 1;
export const SQ_TASKRUN = 1 << 2;

export const REGISTER_RING_FDS = 20;
export const UNREGISTER_RING_FDS = 21;
export const REGISTER_PBUF_RING = 22;
export const UNREGISTER_PBUF_RING = 23;

export const OP_POLL_ADD = 6;
export const OP_SENDMSG = 9;
export const OP_ASYNC_CANCEL = 14;
export const OP_CONNECT = 16;
export const OP_SEND = 26;
export const OP_RECV = 27;

/** Flags of a submission; in word 0 they sit above the opcode. */
export const SQE_BUFFER_SELECT = 1 << 5;
export const SQE_CQE_SKIP_SUCCESS = 1 << 6;
export const SQE_FLAGS_SHIFT = 8;
export const SQE_IOPRIO_SHIFT = 16;

/** In `ioprio` of a receive. */
export const RECV_MULTISHOT = 1 << 1;

export const CQE_F_BUFFER = 1 << 0;
export const CQE_F_MORE = 1 << 1;
export const CQE_BUFFER_SHIFT = 16;

export const SQE_BYTES = 64;
export const CQE_BYTES = 16;
export const BUFFER_ENTRY_BYTES = 16;

// struct io_uring_params, as indices of 32-bit words.
export const PARAMS_BYTES = 120;
export const PARAM_SQ_ENTRIES = 0;
export const PARAM_CQ_ENTRIES = 1;
export const PARAM_FLAGS = 2;
export const PARAM_FEATURES = 5;
export const PARAM_SQ_OFF_HEAD = 10;
export const PARAM_SQ_OFF_TAIL = 11;
export const PARAM_SQ_OFF_FLAGS = 14;
export const PARAM_SQ_OFF_ARRAY = 16;
export const PARAM_CQ_OFF_HEAD = 20;
export const PARAM_CQ_OFF_TAIL = 21;
export const PARAM_CQ_OFF_CQES = 25;
