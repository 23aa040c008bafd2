/** Relations between the keys about TLS: what would leave clients without the protection somebody asked for. */
import type { GeneralSettings } from './defaults.js';
import type { DatabaseEntry } from './loaded-config.js';
import type { Origin, Place, ProblemList } from './problem-list.js';
import { clientTlsMode, parseTlsProtocols, serverTlsSettings } from './tls-settings.js';

const PROTOCOLS =
  'expected "secure", "tlsv1.2", "tlsv1.3" or "tlsv1.2,tlsv1.3"; older versions are not spoken';

export function checkGeneralTls(
  general: GeneralSettings,
  at: (key: string) => Place,
  problems: ProblemList,
): void {
  for (const key of ['client_tls_protocols', 'server_tls_protocols'] as const) {
    if (parseTlsProtocols(general[key]) === null) problems.error(at(key), PROTOCOLS);
  }
  checkPair(
    general.tls_certificate,
    general.tls_private_key,
    'tls_certificate',
    'tls_private_key',
    at,
    problems,
  );
  checkPair(
    general.tls_server_certificate,
    general.tls_server_private_key,
    'tls_server_certificate',
    'tls_server_private_key',
    at,
    problems,
  );
  checkClients(general, at, problems);
  if (general.tls_server_crl !== null && general.tls_server_ca_certificate === null)
    problems.error(at('tls_server_crl'), 'needs tls_server_ca_certificate, whose list it is');
}

function checkClients(general: GeneralSettings, at: (key: string) => Place, problems: ProblemList): void {
  const { client_tls_sslmode: asked, tls_client_required: isRequired } = general;
  const hasCertificate = general.tls_certificate !== null;
  const mode = clientTlsMode(general);
  if (asked === 'disable' && isRequired)
    problems.error(at('client_tls_sslmode'), '"disable" contradicts tls_client_required = true');
  const key = asked === null ? 'tls_client_required' : 'client_tls_sslmode';
  if (mode !== 'disable' && !hasCertificate)
    problems.error(at(key), `needs tls_certificate and tls_private_key (TLS towards clients: ${mode})`);
  if (mode.startsWith('verify') && general.tls_client_ca_certificate === null)
    problems.error(at(key), `"${mode}" needs tls_client_ca_certificate: by what would clients be verified?`);
  if (general.tls_client_ca_certificate !== null && mode === 'disable')
    problems.error(at('tls_client_ca_certificate'), 'has no effect without TLS: set tls_certificate');
  if (general.tls_client_crl !== null && general.tls_client_ca_certificate === null)
    problems.error(at('tls_client_crl'), 'needs tls_client_ca_certificate, whose list it is');
}

export function checkDatabaseTls(
  general: GeneralSettings,
  entry: DatabaseEntry,
  origin: Origin,
  problems: ProblemList,
): void {
  const { tls } = entry;
  const at = (key: string) => origin.place(key);
  checkPair(
    tls.certificate,
    tls.privateKey,
    'tls_server_certificate',
    'tls_server_private_key',
    at,
    problems,
  );
  const isUseless = serverTlsSettings(general, tls).mode === 'disabled';
  if (isUseless && tls.certificate !== null)
    problems.warning(at('tls_server_certificate'), 'has no effect while tls_verify is "disabled"');
}

function checkPair(
  certificate: string | null,
  key: string | null,
  certificateName: string,
  keyName: string,
  at: (key: string) => Place,
  problems: ProblemList,
): void {
  if (certificate !== null && key === null) problems.error(at(certificateName), `needs ${keyName} beside it`);
  if (certificate === null && key !== null) problems.error(at(keyName), `needs ${certificateName} beside it`);
}
