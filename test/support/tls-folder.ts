/** Files for TLS in a directory of their own, readable by the proxy and by a Postgres that runs as somebody else. */
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgresBinaries } from 'pgdog-cluster/demo/postgres-binaries';
import type { TestCertificate } from './certificates.js';

export class TlsFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'pgdog-tls-'));

  constructor() {
    chmodSync(this.path, 0o755);
    process.on('exit', () => rmSync(this.path, { recursive: true, force: true }));
  }

  /** The path of a file with this text. */
  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    chmodSync(path, 0o600);
    const { uid, gid } = postgresBinaries().runAs;
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
    return path;
  }

  /** Settings of [general] for a certificate shown to clients. */
  forClients(own: TestCertificate, name = 'own', chain = ''): Record<string, string> {
    return {
      tls_certificate: this.write(`${name}.pem`, own.certificate + chain),
      tls_private_key: this.write(`${name}.key`, own.privateKey),
    };
  }

  /** Settings of an embedded Postgres with TLS. */
  forPostgres(own: TestCertificate, ca = '', name = 'server'): Record<string, string> {
    return {
      ssl: 'on',
      ssl_cert_file: this.write(`${name}.pem`, own.certificate),
      ssl_key_file: this.write(`${name}.key`, own.privateKey),
      ...(ca === '' ? {} : { ssl_ca_file: this.write(`${name}-ca.pem`, ca) }),
    };
  }
}
