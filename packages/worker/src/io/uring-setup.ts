import { SystemCallError } from './errno.js';
import { mapPrivate } from './kernel-memory.js';
import {
  close,
  errno,
  ioUringRegister,
  ioUringSetup,
  MAP_POPULATE,
  MAP_SHARED,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
  viewOf,
} from './libc.js';
import * as abi from './uring-abi.js';

/** A ring as the kernel gave it: where everything is. */
export interface Ring {
  readonly fd: number;
  /** Index of the ring in this thread's registered rings, or -1: saves a descriptor look-up on each enter. */
  readonly registeredIndex: number;
  readonly submissionCount: number;
  readonly completionCount: number;
  /** The SQ and CQ rings in 32-bit words; the indices below are into it. */
  readonly words: Int32Array;
  readonly submissionHead: number;
  readonly submissionTail: number;
  readonly submissionFlags: number;
  readonly completionHead: number;
  readonly completionTail: number;
  readonly completions: number;
  /** The submission entries, 16 words each. */
  readonly entries: Int32Array;
  readonly mappings: readonly { address: number; length: number }[];
  /** The kernel can wait a short while for several completions (io_uring_getevents_arg.min_wait_usec). */
  readonly canWaitForSeveral: boolean;
  /** One page for arguments of system calls, ours alone. */
  readonly scratchAddress: number;
  readonly scratch: Int32Array;
}

const SCRATCH_BYTES = 4096;
/** Byte offset of the io_uring_rsrc_update in the scratch page. */
const RESOURCE_UPDATE_OFFSET = 256;

// Everything here arrived by 6.1. SUBMIT_ALL: a bad entry must not hold back those behind it. DEFER_TASKRUN:
// receive work runs inside our enter instead of interrupting us. TASKRUN_FLAG: tells when that is needed.
const SETUP_FLAGS =
  abi.SETUP_SINGLE_ISSUER |
  abi.SETUP_DEFER_TASKRUN |
  abi.SETUP_SUBMIT_ALL |
  abi.SETUP_CQSIZE |
  abi.SETUP_CLAMP |
  abi.SETUP_TASKRUN_FLAG;

const FEATURES_NEEDED =
  abi.FEAT_SINGLE_MMAP | abi.FEAT_NODROP | abi.FEAT_SUBMIT_STABLE | abi.FEAT_EXT_ARG | abi.FEAT_CQE_SKIP;

/**
 * Creates a ring that belongs to the calling thread. Throws SystemCallError: EPERM where it is forbidden,
 * ENOSYS or EINVAL where the kernel is too old.
 */
export function openRing(submissionCount: number, completionCount: number): Ring {
  const scratchAddress = mapPrivate(SCRATCH_BYTES);
  const scratch = new Int32Array(viewOf(scratchAddress, SCRATCH_BYTES));
  scratch[abi.PARAM_FLAGS] = SETUP_FLAGS;
  scratch[abi.PARAM_CQ_ENTRIES] = completionCount;
  const fd = ioUringSetup(submissionCount, scratchAddress);
  if (fd < 0) {
    const reason = errno();
    munmap(scratchAddress, SCRATCH_BYTES);
    throw new SystemCallError('io_uring_setup', reason);
  }
  try {
    const params = scratch.slice(0, abi.PARAMS_BYTES / 4);
    if ((params[abi.PARAM_FEATURES] & FEATURES_NEEDED) !== FEATURES_NEEDED) {
      throw new Error(`io_uring lacks features: has 0x${params[abi.PARAM_FEATURES].toString(16)}`);
    }
    return mapRing(fd, params, scratchAddress, scratch);
  } catch (error) {
    close(fd);
    throw error;
  }
}

function mapRing(fd: number, params: Int32Array, scratchAddress: number, scratch: Int32Array): Ring {
  const submissionCount = params[abi.PARAM_SQ_ENTRIES];
  const completionCount = params[abi.PARAM_CQ_ENTRIES];
  const ringBytes = Math.max(
    params[abi.PARAM_SQ_OFF_ARRAY] + submissionCount * 4,
    params[abi.PARAM_CQ_OFF_CQES] + completionCount * abi.CQE_BYTES,
  );
  const entryBytes = submissionCount * abi.SQE_BYTES;
  const ringAddress = mapShared(fd, ringBytes, abi.OFF_SQ_RING);
  const entriesAddress = mapShared(fd, entryBytes, abi.OFF_SQES);
  const words = new Int32Array(viewOf(ringAddress, ringBytes));
  // The indirection array is of no use to us: entry i is always submitted from place i.
  const array = params[abi.PARAM_SQ_OFF_ARRAY] >> 2;
  for (let i = 0; i < submissionCount; i++) words[array + i] = i;
  return {
    fd,
    registeredIndex: registerRing(fd, scratchAddress, scratch),
    submissionCount,
    completionCount,
    words,
    submissionHead: params[abi.PARAM_SQ_OFF_HEAD] >> 2,
    submissionTail: params[abi.PARAM_SQ_OFF_TAIL] >> 2,
    submissionFlags: params[abi.PARAM_SQ_OFF_FLAGS] >> 2,
    completionHead: params[abi.PARAM_CQ_OFF_HEAD] >> 2,
    completionTail: params[abi.PARAM_CQ_OFF_TAIL] >> 2,
    completions: params[abi.PARAM_CQ_OFF_CQES] >> 2,
    entries: new Int32Array(viewOf(entriesAddress, entryBytes)),
    mappings: [
      { address: ringAddress, length: ringBytes },
      { address: entriesAddress, length: entryBytes },
      { address: scratchAddress, length: SCRATCH_BYTES },
    ],
    canWaitForSeveral: (params[abi.PARAM_FEATURES] & abi.FEAT_MIN_TIMEOUT) !== 0,
    scratchAddress,
    scratch,
  };
}

/** Gives the ring back. The views in `ring` must not be touched afterwards. */
export function closeRing(ring: Ring): void {
  if (ring.registeredIndex >= 0) {
    const base = RESOURCE_UPDATE_OFFSET >> 2;
    ring.scratch[base] = ring.registeredIndex;
    ring.scratch.fill(0, base + 1, base + 4);
    ioUringRegister(ring.fd, abi.UNREGISTER_RING_FDS, ring.scratchAddress + RESOURCE_UPDATE_OFFSET, 1);
  }
  close(ring.fd);
  for (const mapping of ring.mappings) munmap(mapping.address, mapping.length);
}

function mapShared(fd: number, length: number, offset: number): number {
  const address = mmap(0, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
  if (address === -1) throw new SystemCallError('mmap of io_uring', errno());
  return address;
}

/** Refusal is harmless: enter then takes the descriptor. */
function registerRing(fd: number, scratchAddress: number, scratch: Int32Array): number {
  const base = RESOURCE_UPDATE_OFFSET >> 2;
  scratch[base] = -1;
  scratch[base + 1] = 0;
  scratch[base + 2] = fd;
  scratch[base + 3] = 0;
  const taken = ioUringRegister(fd, abi.REGISTER_RING_FDS, scratchAddress + RESOURCE_UPDATE_OFFSET, 1);
  return taken === 1 ? scratch[base] : -1;
}
