import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import type { ServerTlsSnapshot } from '@pgdog-cluster/core';

/** Node's options for a control connection to `host` under the settings its pool has. */
export function serverTlsOptions(settings: ServerTlsSnapshot, host: string): ConnectionOptions {
  const { mode, certificate, privateKey, ca, crl, terms } = settings;
  return {
    minVersion: terms.versionMin,
    maxVersion: terms.versionMax,
    rejectUnauthorized: mode === 'verify_ca' || mode === 'verify_full',
    ...(certificate === null ? {} : { cert: certificate, key: privateKey ?? '' }),
    ...(ca === null ? {} : { ca }),
    ...(crl === null ? {} : { crl }),
    // The connection goes to an address; the name is the configuration's.
    checkServerIdentity: (_host, peer) =>
      mode === 'verify_full' ? checkServerIdentity(host, peer) : undefined,
  };
}
