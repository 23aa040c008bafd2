/** [pgbouncer]: authentication and TLS. */
import { ignore, join, map, type SettingRule, when } from './rules.js';
import { anyText, oneOf, text, translated, whole } from './values.js';

const LDAP = 'LDAP is not spoken';

/** Not an error of syntax but of what this program can do: told apart, with what to do. */
export const AUTH_TYPES_REFUSED: Readonly<Record<string, string>> = {
  any: '"any" lets in whoever comes under any name: give the users names and "trust", or passwords',
  ldap: `"ldap": ${LDAP}; use auth_query, or passthrough_auth of pgdog.toml, which asks the server`,
  pam: '"pam" is not supported; use auth_query, or passthrough_auth of pgdog.toml, which asks the server',
};

export const AUTH_SETTINGS: Record<string, SettingRule> = {
  auth_type: join(
    oneOf('any', 'trust', 'plain', 'md5', 'cert', 'hba', 'ldap', 'pam', 'scram-sha-256'),
    'md5',
  ),
  auth_file: join(anyText, ''),
  auth_hba_file: join(anyText, ''),
  auth_ident_file: join(anyText, ''),
  auth_user: map('general.auth_user', text),
  auth_dbname: map('general.auth_dbname', text),
  auth_query: map(
    'general.auth_query',
    text,
    null,
    when(
      (value) => !value.includes('.'),
      'is asked with search_path = pg_catalog: functions and tables of your own need their schema in it',
    ),
  ),
  auth_ldap_options: ignore(text, [''], LDAP),
  scram_iterations: ignore(whole(1), ['4096'], 'passwords in clear are compared with 4096 iterations'),
  client_tls_sslmode: join(
    oneOf('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'),
    'disable',
  ),
  client_tls_ca_file: join(anyText, ''),
  client_tls_cert_file: join(anyText, ''),
  client_tls_key_file: join(anyText, ''),
  client_tls_protocols: map('general.client_tls_protocols', text),
  client_tls_ciphers: map('general.client_tls_ciphers', text),
  client_tls13_ciphers: map('general.client_tls13_ciphers', text),
  client_tls_ecdhcurve: map('general.client_tls_ecdhcurve', text),
  client_tls_dheparams: ignore(text, ['', 'auto'], 'key exchange is by elliptic curves'),
  server_tls_sslmode: map(
    'general.tls_verify',
    translated({
      disable: 'disabled',
      allow: 'prefer',
      prefer: 'prefer',
      require: 'require',
      'verify-ca': 'verify_ca',
      'verify-full': 'verify_full',
    }),
    'prefer',
    when((value) => value === 'allow', '"allow" is "prefer" here: TLS where the server has it'),
  ),
  server_tls_ca_file: join(anyText, ''),
  server_tls_cert_file: join(anyText, ''),
  server_tls_key_file: join(anyText, ''),
  server_tls_protocols: map('general.server_tls_protocols', text),
  server_tls_ciphers: map('general.server_tls_ciphers', text),
  server_tls13_ciphers: map('general.server_tls13_ciphers', text),
};
