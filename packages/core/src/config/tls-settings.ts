/**
 * What the configuration says about TLS, in the terms the program works with: which mode, which versions, which
 * files. Reading the files is the supervisor's.
 */
import type { GeneralSettings } from './defaults.js';
import type { ClientTlsMode, ServerTlsMode, TlsTerms, TlsVersion } from './snapshot.js';

/** Paths as configured; null = not set. */
export interface TlsFilePaths {
  certificate: string | null;
  privateKey: string | null;
  ca: string | null;
  crl: string | null;
}

/** What a [[databases]] entry says over [general]; null = nothing. */
export interface TlsOverrides {
  verify: string | null;
  ca: string | null;
  certificate: string | null;
  privateKey: string | null;
}

export interface ServerTlsSettings extends TlsFilePaths {
  mode: ServerTlsMode;
}

/** Values of tls_verify: PgDog's, and the words PgBouncer and libpq have for the same. */
export const TLS_VERIFY_VALUES = [
  'disabled',
  'prefer',
  'require',
  'verify_ca',
  'verify_full',
  'disable',
  'verify-ca',
  'verify-full',
] as const;

const SERVER_MODES: Record<string, ServerTlsMode> = {
  disabled: 'disabled',
  disable: 'disabled',
  prefer: 'prefer',
  require: 'require',
  verify_ca: 'verify_ca',
  'verify-ca': 'verify_ca',
  verify_full: 'verify_full',
  'verify-full': 'verify_full',
};

type TlsGeneral = Pick<
  GeneralSettings,
  | 'client_tls_sslmode'
  | 'tls_client_required'
  | 'tls_certificate'
  | 'tls_private_key'
  | 'tls_client_ca_certificate'
  | 'tls_client_crl'
>;

/** With nothing said: as clients like it when there is a certificate, else without TLS. */
export function clientTlsMode(general: TlsGeneral): ClientTlsMode {
  const fallback = general.tls_certificate === null ? 'disable' : 'prefer';
  const mode = general.client_tls_sslmode ?? fallback;
  const isOptional = mode === 'allow' || mode === 'prefer' || mode === 'disable';
  return general.tls_client_required && isOptional ? 'require' : mode;
}

export function clientTlsFiles(general: TlsGeneral): TlsFilePaths {
  return {
    certificate: general.tls_certificate,
    privateKey: general.tls_private_key,
    ca: general.tls_client_ca_certificate,
    crl: general.tls_client_crl,
  };
}

/** A database's own certificate comes with its own key: they are never mixed with those of [general]. */
export function serverTlsSettings(general: GeneralSettings, own: TlsOverrides): ServerTlsSettings {
  const hasOwnPair = own.certificate !== null || own.privateKey !== null;
  return {
    mode: SERVER_MODES[own.verify ?? general.tls_verify],
    certificate: hasOwnPair ? own.certificate : general.tls_server_certificate,
    privateKey: hasOwnPair ? own.privateKey : general.tls_server_private_key,
    ca: own.ca ?? general.tls_server_ca_certificate,
    crl: general.tls_server_crl,
  };
}

const VERSIONS: Record<string, TlsVersion> = { 'tlsv1.2': 'TLSv1.2', 'tlsv1.3': 'TLSv1.3' };

/**
 * PgBouncer's list of protocols: `secure` or `all` (both), `tlsv1.2`, `tlsv1.3`, or those two separated by commas.
 * Null for anything else; older versions of TLS are not spoken.
 */
export function parseTlsProtocols(text: string): { versionMin: TlsVersion; versionMax: TlsVersion } | null {
  if (text === 'secure' || text === 'all') return { versionMin: 'TLSv1.2', versionMax: 'TLSv1.3' };
  const versions = text.split(',').map((word) => VERSIONS[word.trim().toLowerCase()]);
  if (versions.includes(undefined as unknown as TlsVersion)) return null;
  return {
    versionMin: versions.includes('TLSv1.2') ? 'TLSv1.2' : 'TLSv1.3',
    versionMax: versions.includes('TLSv1.3') ? 'TLSv1.3' : 'TLSv1.2',
  };
}

/** `default`, `auto` and `none` are PgBouncer's words for leaving it to the program. */
const unlessDefault = (text: string) => (['default', 'auto', 'none', 'secure'].includes(text) ? '' : text);

export function clientTlsTerms(general: GeneralSettings): TlsTerms {
  return {
    ...parseTlsProtocols(general.client_tls_protocols)!,
    ciphers: unlessDefault(general.client_tls_ciphers),
    cipherSuites: unlessDefault(general.client_tls13_ciphers),
    groups: unlessDefault(general.client_tls_ecdhcurve),
  };
}

export function serverTlsTerms(general: GeneralSettings): TlsTerms {
  return {
    ...parseTlsProtocols(general.server_tls_protocols)!,
    ciphers: unlessDefault(general.server_tls_ciphers),
    cipherSuites: unlessDefault(general.server_tls13_ciphers),
    groups: unlessDefault(general.server_tls_ecdhcurve),
  };
}
