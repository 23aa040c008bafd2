import koffi, { type LibraryHandle } from 'koffi';

/*
 * Every function of OpenSSL that TLS needs, in one place. Pointers are plain numbers, as in io/libc.ts. Node's own
 * OpenSSL is used: its binary exports it, and where Node is linked to the system's, the same lookup finds that.
 * Functions that fail leave their reasons in this thread's error queue, which must be emptied (tls-error.ts).
 */

const program = koffi.load(null);

function hasOpenssl(library: LibraryHandle): boolean {
  try {
    library.func('SSL_new', 'uintptr_t', ['uintptr_t']);
    return true;
  } catch {
    return false;
  }
}

const isInProgram = hasOpenssl(program);
const libssl = isInProgram ? program : koffi.load('libssl.so.3');
const libcrypto = isInProgram ? program : koffi.load('libcrypto.so.3');

const P = 'uintptr_t';
type Numbers0 = () => number;
type Numbers1 = (a: number) => number;
type Numbers2 = (a: number, b: number) => number;
type Numbers3 = (a: number, b: number, c: number) => number;
type Numbers4 = (a: number, b: number, c: number, d: number) => number;
type Calls1 = (a: number) => void;
type Calls3 = (a: number, b: number, c: number) => void;
/** The text of a constant C string; null for a null pointer. */
type Text1 = (a: number) => string | null;

export const OpenSSL_version: (what: number) => string = libcrypto.func('OpenSSL_version', 'str', ['int']);

// --- contexts -----------------------------------------------------------------------------------------

export const TLS_server_method: Numbers0 = libssl.func('TLS_server_method', P, []);
export const TLS_client_method: Numbers0 = libssl.func('TLS_client_method', P, []);
export const SSL_CTX_new: Numbers1 = libssl.func('SSL_CTX_new', P, [P]);
export const SSL_CTX_up_ref: Numbers1 = libssl.func('SSL_CTX_up_ref', 'int', [P]);
export const SSL_CTX_free: Calls1 = libssl.func('SSL_CTX_free', 'void', [P]);
export const SSL_CTX_ctrl: Numbers4 = libssl.func('SSL_CTX_ctrl', 'long', [P, 'int', 'long', P]);
export const SSL_CTX_ctrlText: (ctx: number, command: number, larg: number, text: string) => number =
  libssl.func('SSL_CTX_ctrl', 'long', [P, 'int', 'long', 'str']);
export const SSL_CTX_set_options: Numbers2 = libssl.func('SSL_CTX_set_options', 'uint64_t', [P, 'uint64_t']);
export const SSL_CTX_set_cipher_list: (ctx: number, list: string) => number = libssl.func(
  'SSL_CTX_set_cipher_list',
  'int',
  [P, 'str'],
);
export const SSL_CTX_set_ciphersuites: (ctx: number, list: string) => number = libssl.func(
  'SSL_CTX_set_ciphersuites',
  'int',
  [P, 'str'],
);
export const SSL_CTX_set_num_tickets: Numbers2 = libssl.func('SSL_CTX_set_num_tickets', 'int', [P, 'size_t']);
export const SSL_CTX_set_max_early_data: Numbers2 = libssl.func('SSL_CTX_set_max_early_data', 'int', [
  P,
  'uint32_t',
]);
export const SSL_CTX_use_certificate: Numbers2 = libssl.func('SSL_CTX_use_certificate', 'int', [P, P]);
export const SSL_CTX_use_PrivateKey: Numbers2 = libssl.func('SSL_CTX_use_PrivateKey', 'int', [P, P]);
export const SSL_CTX_check_private_key: Numbers1 = libssl.func('SSL_CTX_check_private_key', 'int', [P]);
export const SSL_CTX_get_cert_store: Numbers1 = libssl.func('SSL_CTX_get_cert_store', P, [P]);
export const SSL_CTX_add_client_CA: Numbers2 = libssl.func('SSL_CTX_add_client_CA', 'int', [P, P]);
/** SSL_CTX_set_verify(ctx, mode, callback of registerVerify() or 0). */
export const SSL_CTX_set_verify: (ctx: number, mode: number, callback: bigint | null) => void = libssl.func(
  'SSL_CTX_set_verify',
  'void',
  [P, 'int', 'void *'],
);
export const SSL_CTX_set_alpn_select_cb: (ctx: number, callback: bigint | null, arg: number) => void =
  libssl.func('SSL_CTX_set_alpn_select_cb', 'void', [P, 'void *', P]);
/** 0 is success here, unlike everywhere else. */
export const SSL_CTX_set_alpn_protos: (ctx: number, list: Uint8Array, length: number) => number = libssl.func(
  'SSL_CTX_set_alpn_protos',
  'int',
  [P, 'void *', 'uint32_t'],
);

// --- connections --------------------------------------------------------------------------------------

export const SSL_new: Numbers1 = libssl.func('SSL_new', P, [P]);
export const SSL_free: Calls1 = libssl.func('SSL_free', 'void', [P]);
/** SSL_set_bio(ssl, read, write): takes one reference of each. */
export const SSL_set_bio: Calls3 = libssl.func('SSL_set_bio', 'void', [P, P, P]);
export const SSL_set_accept_state: Calls1 = libssl.func('SSL_set_accept_state', 'void', [P]);
export const SSL_set_connect_state: Calls1 = libssl.func('SSL_set_connect_state', 'void', [P]);
export const SSL_do_handshake: Numbers1 = libssl.func('SSL_do_handshake', 'int', [P]);
/** SSL_read(ssl, address, room). */
export const SSL_read: Numbers3 = libssl.func('SSL_read', 'int', [P, P, 'int']);
/** SSL_write(ssl, address, length). */
export const SSL_write: Numbers3 = libssl.func('SSL_write', 'int', [P, P, 'int']);
export const SSL_pending: Numbers1 = libssl.func('SSL_pending', 'int', [P]);
export const SSL_get_error: Numbers2 = libssl.func('SSL_get_error', 'int', [P, 'int']);
export const SSL_shutdown: Numbers1 = libssl.func('SSL_shutdown', 'int', [P]);
export const SSL_set_shutdown: (ssl: number, bits: number) => void = libssl.func('SSL_set_shutdown', 'void', [
  P,
  'int',
]);
export const SSL_ctrlText: (ssl: number, command: number, larg: number, text: string) => number = libssl.func(
  'SSL_ctrl',
  'long',
  [P, 'int', 'long', 'str'],
);
/** Gives back the record buffers of a connection that is between records; 0 when it is not. */
export const SSL_free_buffers: Numbers1 = libssl.func('SSL_free_buffers', 'int', [P]);
export const SSL_get_version: Text1 = libssl.func('SSL_get_version', 'str', [P]);
export const SSL_get_current_cipher: Numbers1 = libssl.func('SSL_get_current_cipher', P, [P]);
export const SSL_CIPHER_get_name: Text1 = libssl.func('SSL_CIPHER_get_name', 'str', [P]);
/** SSL_get0_alpn_selected(ssl, address of a pointer, address of a uint32). */
export const SSL_get0_alpn_selected: Calls3 = libssl.func('SSL_get0_alpn_selected', 'void', [P, P, P]);
export const SSL_get_verify_result: Numbers1 = libssl.func('SSL_get_verify_result', 'long', [P]);
export const SSL_get1_peer_certificate: Numbers1 = libssl.func('SSL_get1_peer_certificate', P, [P]);
export const SSL_get0_param: Numbers1 = libssl.func('SSL_get0_param', P, [P]);
export const SSL_get1_session: Numbers1 = libssl.func('SSL_get1_session', P, [P]);
export const SSL_set_session: Numbers2 = libssl.func('SSL_set_session', 'int', [P, P]);
export const SSL_session_reused: Numbers1 = libssl.func('SSL_session_reused', 'int', [P]);
export const SSL_SESSION_free: Calls1 = libssl.func('SSL_SESSION_free', 'void', [P]);
export const SSL_SESSION_is_resumable: Numbers1 = libssl.func('SSL_SESSION_is_resumable', 'int', [P]);

// --- memory BIOs --------------------------------------------------------------------------------------

export const BIO_s_mem: Numbers0 = libcrypto.func('BIO_s_mem', P, []);
export const BIO_new: Numbers1 = libcrypto.func('BIO_new', P, [P]);
export const BIO_new_mem_buf: Numbers2 = libcrypto.func('BIO_new_mem_buf', P, [P, 'int']);
export const BIO_new_mem_text: (text: Uint8Array, length: number) => number = libcrypto.func(
  'BIO_new_mem_buf',
  P,
  ['void *', 'int'],
);
export const BIO_up_ref: Numbers1 = libcrypto.func('BIO_up_ref', 'int', [P]);
export const BIO_free: Numbers1 = libcrypto.func('BIO_free', 'int', [P]);
export const BIO_read: Numbers3 = libcrypto.func('BIO_read', 'int', [P, P, 'int']);
export const BIO_write: Numbers3 = libcrypto.func('BIO_write', 'int', [P, P, 'int']);
export const BIO_ctrl: Numbers4 = libcrypto.func('BIO_ctrl', 'long', [P, 'int', 'long', P]);

// --- certificates and keys ----------------------------------------------------------------------------

/** PEM_read_bio_X509(bio, 0, 0, 0): 0 at the end. */
export const PEM_read_bio_X509: Numbers4 = libcrypto.func('PEM_read_bio_X509', P, [P, P, P, P]);
export const PEM_read_bio_X509_CRL: Numbers4 = libcrypto.func('PEM_read_bio_X509_CRL', P, [P, P, P, P]);
/** PEM_read_bio_PrivateKey(bio, 0, 0, passphrase): with none it would ask at the terminal. */
export const PEM_read_bio_PrivateKey: (bio: number, a: number, b: number, passphrase: string) => number =
  libcrypto.func('PEM_read_bio_PrivateKey', P, [P, P, P, 'str']);
export const X509_free: Calls1 = libcrypto.func('X509_free', 'void', [P]);
export const X509_CRL_free: Calls1 = libcrypto.func('X509_CRL_free', 'void', [P]);
export const EVP_PKEY_free: Calls1 = libcrypto.func('EVP_PKEY_free', 'void', [P]);
export const X509_STORE_add_cert: Numbers2 = libcrypto.func('X509_STORE_add_cert', 'int', [P, P]);
export const X509_STORE_add_crl: Numbers2 = libcrypto.func('X509_STORE_add_crl', 'int', [P, P]);
export const X509_STORE_set_flags: Numbers2 = libcrypto.func('X509_STORE_set_flags', 'int', [P, 'ulong']);
/** i2d_X509(x509, address of the pointer that is written through, or 0 for the length alone). */
export const i2d_X509: Numbers2 = libcrypto.func('i2d_X509', 'int', [P, P]);
export const X509_get_subject_name: Numbers1 = libcrypto.func('X509_get_subject_name', P, [P]);
export const X509_get_issuer_name: Numbers1 = libcrypto.func('X509_get_issuer_name', P, [P]);
/** X509_NAME_print_ex(bio, name, indent, flags). */
export const X509_NAME_print_ex: Numbers4 = libcrypto.func('X509_NAME_print_ex', 'int', [
  P,
  P,
  'int',
  'ulong',
]);
export const X509_NAME_get_index_by_NID: Numbers3 = libcrypto.func('X509_NAME_get_index_by_NID', 'int', [
  P,
  'int',
  'int',
]);
export const X509_NAME_get_entry: Numbers2 = libcrypto.func('X509_NAME_get_entry', P, [P, 'int']);
export const X509_NAME_ENTRY_get_data: Numbers1 = libcrypto.func('X509_NAME_ENTRY_get_data', P, [P]);
/** ASN1_STRING_to_UTF8(address of a pointer, string): the length, or negative. Freed by CRYPTO_free. */
export const ASN1_STRING_to_UTF8: Numbers2 = libcrypto.func('ASN1_STRING_to_UTF8', 'int', [P, P]);
export const CRYPTO_free: (address: number, file: number, line: number) => void = libcrypto.func(
  'CRYPTO_free',
  'void',
  [P, P, 'int'],
);
/** X509_get_signature_info(x509, address of the digest's number, 0, 0, 0). */
export const X509_get_signature_info: (x: number, a: number, b: number, c: number, d: number) => number =
  libcrypto.func('X509_get_signature_info', 'int', [P, P, P, P, P]);
export const OBJ_nid2sn: Text1 = libcrypto.func('OBJ_nid2sn', 'str', ['int']);
export const X509_verify_cert_error_string: (code: number) => string | null = libcrypto.func(
  'X509_verify_cert_error_string',
  'str',
  ['long'],
);
/** X509_VERIFY_PARAM_set1_host(param, name, 0). */
export const X509_VERIFY_PARAM_set1_host: (param: number, name: string, length: number) => number =
  libcrypto.func('X509_VERIFY_PARAM_set1_host', 'int', [P, 'str', 'size_t']);
export const X509_VERIFY_PARAM_set1_ip_asc: (param: number, address: string) => number = libcrypto.func(
  'X509_VERIFY_PARAM_set1_ip_asc',
  'int',
  [P, 'str'],
);
export const X509_VERIFY_PARAM_set_hostflags: (param: number, flags: number) => void = libcrypto.func(
  'X509_VERIFY_PARAM_set_hostflags',
  'void',
  [P, 'uint32_t'],
);
export const X509_STORE_CTX_get_error: Numbers1 = libcrypto.func('X509_STORE_CTX_get_error', 'int', [P]);
export const X509_STORE_CTX_get_error_depth: Numbers1 = libcrypto.func(
  'X509_STORE_CTX_get_error_depth',
  'int',
  [P],
);
export const X509_STORE_CTX_get_current_cert: Numbers1 = libcrypto.func(
  'X509_STORE_CTX_get_current_cert',
  P,
  [P],
);

// --- errors -------------------------------------------------------------------------------------------

/** Codes have 32 bits. */
export const ERR_get_error: Numbers0 = libcrypto.func('ERR_get_error', 'ulong', []);
export const ERR_clear_error: () => void = libcrypto.func('ERR_clear_error', 'void', []);
export const ERR_reason_error_string: Text1 = libcrypto.func('ERR_reason_error_string', 'str', ['ulong']);

// --- callbacks: on this thread, inside SSL_do_handshake() only ------------------------------------------

/** (is it fine so far, X509_STORE_CTX): 1 to go on. */
export type VerifyCallback = (isOk: number, storeContext: number) => number;
/** (ssl, address of the chosen pointer, address of its length byte, offered, their length, argument). */
export type AlpnCallback = (
  ssl: number,
  out: number,
  outLength: number,
  offered: number,
  offeredBytes: number,
  argument: number,
) => number;

const verifyType = koffi.pointer(koffi.proto(`int PgdogTlsVerify(int isOk, ${P} storeContext)`));
const alpnType = koffi.pointer(
  koffi.proto(
    `int PgdogTlsAlpn(${P} ssl, ${P} out, ${P} outLength, ${P} offered, uint32_t offeredBytes, ${P} argument)`,
  ),
);

/** Freed by unregister(), which must happen before the thread ends and after the last handshake. */
export function registerVerify(callback: VerifyCallback): bigint {
  return koffi.register(callback, verifyType);
}

export function registerAlpn(callback: AlpnCallback): bigint {
  return koffi.register(callback, alpnType);
}

export function unregister(callback: bigint): void {
  koffi.unregister(callback);
}

// --- constants of OpenSSL 3 ---------------------------------------------------------------------------

export const SSL_ERROR_WANT_READ = 2;
export const SSL_ERROR_ZERO_RETURN = 6;

export const SSL_CTRL_MODE = 33;
export const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
export const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
export const SSL_CTRL_CHAIN_CERT = 89;
export const SSL_CTRL_SET_GROUPS_LIST = 92;
export const SSL_CTRL_SET_DH_AUTO = 118;
export const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
export const SSL_CTRL_SET_MAX_PROTO_VERSION = 124;

export const SSL_MODE_AUTO_RETRY = 0x4;
export const SSL_MODE_RELEASE_BUFFERS = 0x10;
export const SSL_SESS_CACHE_OFF = 0;
export const SSL_OP_NO_TICKET = 2 ** 14;
export const SSL_OP_NO_COMPRESSION = 2 ** 17;
export const SSL_OP_CIPHER_SERVER_PREFERENCE = 2 ** 22;
export const SSL_OP_NO_RENEGOTIATION = 2 ** 30;
export const TLS1_2_VERSION = 0x0303;
export const TLS1_3_VERSION = 0x0304;
export const SSL_VERIFY_NONE = 0;
export const SSL_VERIFY_PEER = 1;
export const SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;
export const SSL_TLSEXT_ERR_OK = 0;
export const SSL_TLSEXT_ERR_ALERT_FATAL = 2;
/** Both directions are closed: a session of a connection that just ended would otherwise count as broken. */
export const SSL_SHUTDOWN_BOTH = 3;
export const X509_V_OK = 0;
export const X509_V_FLAG_CRL_CHECK = 0x4;
export const X509_V_FLAG_CRL_CHECK_ALL = 0x8;
export const X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS = 0x4;
export const XN_FLAG_RFC2253 = 0x1110317;
export const NID_COMMON_NAME = 13;
export const BIO_CTRL_RESET = 1;
export const BIO_CTRL_PENDING = 10;
export const BIO_C_GET_BUF_MEM_PTR = 115;
export const BIO_C_SET_BUF_MEM_EOF_RETURN = 130;
