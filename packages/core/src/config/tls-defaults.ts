/** The rows of GENERAL_DEFAULTS about TLS. */
import { row } from './default-row.js';

const AS_PGDOG = 'as PgDog';

export const TLS_DEFAULTS = {
  tls_certificate: row(
    null as string | null,
    '',
    'File with our certificate for clients, followed by its chain (PEM). Relative to pgdog.toml.',
    AS_PGDOG,
  ),
  tls_private_key: row(null as string | null, '', 'File with its key (PEM, without a passphrase).', AS_PGDOG),
  tls_client_required: row(false, '', 'Refuse clients without TLS (28000).', AS_PGDOG),
  tls_client_ca_certificate: row(
    null as string | null,
    '',
    'File with the authorities of client certificates. Set: clients are asked for one, and a wrong one is refused.',
    AS_PGDOG,
  ),
  tls_client_crl: row(
    null as string | null,
    '',
    'File with revocation lists for client certificates.',
    'no list, no check',
    'ours',
  ),
  client_tls_sslmode: row(
    null as 'prefer' | null,
    '',
    'TLS of clients: `disable`, `allow` = `prefer` (as they like), `require`, `verify-ca` = `verify-full` (with a certificate of `tls_client_ca_certificate`). Unset: `prefer` with a certificate, `require` with `tls_client_required`, else `disable`.',
    'having a certificate is the switch, as in PgDog',
    'pgbouncer',
  ),
  client_tls_protocols: row(
    'secure',
    '',
    'TLS versions for clients: `secure` (1.2 and 1.3), `tlsv1.2`, `tlsv1.3`.',
    'as PgBouncer; older ones are broken and not spoken',
    'pgbouncer',
  ),
  client_tls_ciphers: row(
    'default',
    '',
    "Ciphers for clients' TLS 1.2, OpenSSL's names. `default`: those with forward secrecy.",
    'anything weaker must be asked for',
    'pgbouncer',
  ),
  client_tls13_ciphers: row('default', '', 'Ciphers for their TLS 1.3.', "OpenSSL's", 'pgbouncer'),
  client_tls_ecdhcurve: row(
    'auto',
    '',
    "Groups for the key exchange, OpenSSL's names, separated by colons.",
    "OpenSSL's",
    'pgbouncer',
  ),
  tls_verify: row(
    'prefer' as const,
    '',
    'TLS towards servers: `disabled`, `prefer` (if the server has it, unverified), `require` (unverified), `verify_ca`, `verify_full` (and its name). Also as `disable`, `verify-ca`, `verify-full`.',
    'as PgDog, which lacks `require`',
  ),
  tls_server_ca_certificate: row(
    null as string | null,
    '',
    'File with the authorities of server certificates. Unset: the public ones that Node brings.',
    AS_PGDOG,
  ),
  tls_server_crl: row(
    null as string | null,
    '',
    'File with revocation lists for server certificates.',
    'no list, no check',
    'ours',
  ),
  tls_server_certificate: row(
    null as string | null,
    '',
    'File with the certificate shown to servers that ask for one.',
    AS_PGDOG,
  ),
  tls_server_private_key: row(
    null as string | null,
    '',
    'File with its key (PEM, without a passphrase).',
    AS_PGDOG,
  ),
  server_tls_protocols: row(
    'secure',
    '',
    'As `client_tls_protocols`, towards servers.',
    'as PgBouncer',
    'pgbouncer',
  ),
  server_tls_ciphers: row(
    'default',
    '',
    'As `client_tls_ciphers`, towards servers.',
    'as for clients',
    'pgbouncer',
  ),
  server_tls13_ciphers: row(
    'default',
    '',
    'As `client_tls13_ciphers`, towards servers.',
    "OpenSSL's",
    'pgbouncer',
  ),
  server_tls_ecdhcurve: row('auto', '', 'As `client_tls_ecdhcurve`, towards servers.', "OpenSSL's", 'ours'),
} as const;
