import type { StartupMessage } from '@pgdog-cluster/core';

/** The programs that connect most often; the newest first. */
const ENTRIES_MAX = 8;
/** Longer ones are rare. */
const PACKET_BYTES_MAX = 1024;

interface Entry {
  packet: Uint8Array;
  message: StartupMessage;
}

/**
 * What the last different start-up packets say. A program that reconnects sends the same bytes each time, and reading
 * them costs a tenth of what we spend on a connection. A packet holds no secret and means the same whoever
 * sends it; every byte is compared. Messages are shared: nobody may change one.
 */
export class StartupCache {
  private readonly entries: Entry[] = [];

  /** The message of which bytes[start, end) begins with the whole packet; null = not known. */
  find(bytes: Uint8Array, start: number, end: number): StartupMessage | null {
    const { entries } = this;
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index];
      if (!isPrefix(entry.packet, bytes, start, end)) continue;
      if (index > 0) {
        entries.splice(index, 1);
        entries.unshift(entry);
      }
      return entry.message;
    }
    return null;
  }

  /** `packet` is the whole packet and nothing else. */
  keep(packet: Uint8Array, message: StartupMessage): void {
    if (packet.length > PACKET_BYTES_MAX) return;
    this.entries.unshift({ packet: packet.slice(), message });
    if (this.entries.length > ENTRIES_MAX) this.entries.pop();
  }
}

/** The packet begins with its own length, so no other one begins with it. */
function isPrefix(packet: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  const { length } = packet;
  if (end - start < length) return false;
  for (let i = 0; i < length; i++) if (packet[i] !== bytes[start + i]) return false;
  return true;
}
