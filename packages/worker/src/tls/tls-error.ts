import { ERR_get_error, ERR_reason_error_string } from './openssl.js';

/** OpenSSL's queue holds 16; one that never ends must not hold us up. */
const QUEUED_MAX = 32;
/** Reasons told; the rest only follows from the first. */
const TOLD_MAX = 3;

/**
 * Empties this thread's error queue and says what stood in it, the cause first. Must follow every call that failed:
 * what is left there would be taken for the next connection's failure.
 */
export function drainErrors(): string {
  const reasons: string[] = [];
  for (let count = 0; count < QUEUED_MAX; count++) {
    const code = ERR_get_error();
    if (code === 0) break;
    const reason = ERR_reason_error_string(code) ?? `error ${code.toString(16)}`;
    if (reasons.length < TOLD_MAX && !reasons.includes(reason)) reasons.push(reason);
  }
  return reasons.length === 0 ? 'no reason given' : reasons.join('; ');
}
