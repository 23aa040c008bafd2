import { randomFillSync } from 'node:crypto';

/** Secrets are cut from a block: asking the system for four bytes costs as much as for four thousand. */
const block = Buffer.alloc(4096);
let used = block.length;

/** A cancel key's secret; each byte is used once and then forgotten here. */
export function cancelSecret(byteCount: number): Uint8Array {
  if (used + byteCount > block.length) {
    randomFillSync(block);
    used = 0;
  }
  const secret = new Uint8Array(byteCount);
  for (let index = 0; index < byteCount; index++) {
    secret[index] = block[used + index];
    block[used + index] = 0;
  }
  used += byteCount;
  return secret;
}
