import type { CertificateReport } from '../config/tls-files.js';
import { column, defineShow, timestampText } from './show.js';

interface TlsRow extends CertificateReport {
  nowMs: number;
}

function stateOf({ notBeforeMs, notAfterMs, nowMs }: TlsRow): string {
  if (nowMs > notAfterMs) return 'expired';
  return nowMs < notBeforeMs ? 'not yet valid' : 'valid';
}

export const SHOW_TLS = defineShow<TlsRow>({
  name: 'tls',
  privilege: 'admin',
  description: 'The certificates in use, and when they expire.',
  columns: [
    column(
      'usage',
      'text',
      'clients: ours for them; client_ca: who vouches for theirs; servers, server_ca: the same towards servers.',
      (row) => row.usage,
    ),
    column('file', 'text', 'As configured.', (row) => row.file),
    column('state', 'text', 'valid, expired or not yet valid.', stateOf),
    column('expires_in', 'bigint', 'Seconds left; negative: expired.', (row) =>
      Math.floor((row.notAfterMs - row.nowMs) / 1000),
    ),
    column('not_before', 'text', 'Valid from.', (row) => timestampText(row.notBeforeMs)),
    column('not_after', 'text', 'Valid until.', (row) => timestampText(row.notAfterMs)),
    column('subject', 'text', 'Whose it is.', (row) => row.subject),
    column('issuer', 'text', 'Who signed it.', (row) => row.issuer),
    column('serial', 'text', 'Serial number, hexadecimal.', (row) => row.serial),
  ],
  rows({ certificates, nowMs }) {
    const now = nowMs();
    return certificates().map((certificate) => ({ ...certificate, nowMs: now }));
  },
});
