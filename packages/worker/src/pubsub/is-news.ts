import { decodeText } from '@pgdog-cluster/core';
import type { Listener } from './listener.js';

/** Frame header and the process id. */
const HEAD_BYTES = 5 + 4;

/** Whether the NotificationResponse of a server connection in bytes[start, end) is passed on to the client now. */
export function isNews(listener: Listener, bytes: Uint8Array, start: number, end: number): boolean {
  const channelStart = start + HEAD_BYTES;
  const channelEnd = bytes.indexOf(0, channelStart);
  if (channelEnd < 0 || channelEnd >= end) return true;
  const payloadStart = channelEnd + 1;
  const payloadEnd = bytes.indexOf(0, payloadStart);
  if (payloadEnd < 0 || payloadEnd >= end) return true;
  const channel = decodeText(bytes, channelStart, channelEnd);
  const payload = decodeText(bytes, payloadStart, payloadEnd);
  return listener.passes({ channel, payload }, bytes.subarray(start, end));
}
