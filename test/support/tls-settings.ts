/** TLS settings as the supervisor would publish them, from certificates made by the test. */
import type { ClientTlsSnapshot, ServerTlsSnapshot, TlsTerms } from '@pgdog-cluster/core';
import type { TestCertificate } from './certificates.js';

let nextNumber = 1;

export const TERMS: TlsTerms = {
  versionMin: 'TLSv1.2',
  versionMax: 'TLSv1.3',
  ciphers: '',
  cipherSuites: '',
  groups: '',
};

interface Extras {
  chain?: string;
  ca?: string | null;
  crl?: string | null;
  terms?: Partial<TlsTerms>;
}

function material(own: TestCertificate | null, { chain = '', ca = null, crl = null, terms = {} }: Extras) {
  return {
    fingerprint: `test ${nextNumber++}`,
    certificate: own === null ? null : own.certificate + chain,
    privateKey: own?.privateKey ?? null,
    ca,
    crl,
    terms: { ...TERMS, ...terms },
  };
}

export function clientsSettings(
  own: TestCertificate,
  extras: Extras & { mode?: ClientTlsSnapshot['mode'] } = {},
): ClientTlsSnapshot {
  return { mode: extras.mode ?? 'prefer', ...material(own, extras) };
}

export function serversSettings(
  mode: ServerTlsSnapshot['mode'],
  extras: Extras & { own?: TestCertificate } = {},
): ServerTlsSnapshot {
  return { mode, ...material(extras.own ?? null, extras) };
}
