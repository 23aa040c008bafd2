import type { Logger } from '../log/logger.js';
import type { LoadedTls } from './tls-files.js';

/** One warning for each certificate that nobody will accept, or not yet. */
export function logExpired({ certificates }: LoadedTls, logger: Logger): void {
  const nowMs = Date.now();
  for (const { usage, file, subject, notBeforeMs, notAfterMs } of certificates) {
    if (nowMs >= notBeforeMs && nowMs <= notAfterMs) continue;
    const what = nowMs > notAfterMs ? 'has expired' : 'is not valid yet';
    logger.log('warn', 'tls_certificate_invalid', `certificate "${subject}" in ${file} ${what}`, {
      usage,
      file,
    });
  }
}
