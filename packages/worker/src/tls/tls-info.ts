/** What a finished TLS handshake has settled, for authentication, SHOW and logs. */
export interface TlsInfo {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  /** OpenSSL's name of the cipher suite. */
  readonly cipher: string;
  /**
   * Channel binding of RFC 5929 `tls-server-end-point`: hash of the server end's certificate (ours towards a
   * client, the server's towards a server). Null when its signature algorithm names no usable hash.
   */
  readonly endPointHash: Uint8Array | null;
  /** The other end's verified certificate; null when it showed none or it was not verified. */
  readonly peer: PeerCertificate | null;
}

export interface PeerCertificate {
  /** The subject's common name, what `cert` authentication compares. */
  readonly commonName: string;
  /** The whole subject in RFC 2253 form, for `clientname=DN`. */
  readonly subject: string;
  /** DNS names and URIs beside the subject (subjectAltName). */
  readonly alternatives: readonly string[];
  readonly issuer: string;
  /** Decimal. */
  readonly serial: string;
  /** Epoch milliseconds. */
  readonly notAfterMs: number;
}
