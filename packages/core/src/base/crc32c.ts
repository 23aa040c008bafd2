/** CRC-32C (Castagnoli), reflected, as RFC 3720 has it: the checksum of PROXY headers. */
const POLYNOMIAL = 0x82f6_3b78;

const TABLE = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** Of bytes[start, end), where bytes[zeroStart, zeroEnd) count as zero: a checksum that covers its own place. */
export function crc32c(
  bytes: Uint8Array,
  start: number,
  end: number,
  zeroStart: number = end,
  zeroEnd: number = end,
): number {
  let crc = 0xffff_ffff;
  for (let index = start; index < end; index++) {
    const byte = index >= zeroStart && index < zeroEnd ? 0 : bytes[index];
    crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff];
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}
