import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import {
  isUnixHost,
  type ServerTlsSnapshot,
  type TlsMaterial,
  type TlsSnapshot,
  type TlsTerms,
} from '@pgdog-cluster/core';
import {
  type ConfigSourceSettings,
  ConfigurationError,
  type ConfigurationProblem,
  clientTlsFiles,
  clientTlsMode,
  clientTlsTerms,
  type DatabaseEntry,
  type LoadedConfig,
  serverTlsSettings,
  serverTlsTerms,
  type TlsFilePaths,
} from '@pgdog-cluster/core/config';

/** Of a file with more certificates than this nobody could make sense. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';

/** One certificate in use, for SHOW TLS and metrics. */
export interface CertificateReport {
  /** `clients`: ours, shown to them. `client_ca`: whom we trust for theirs. `servers`, `server_ca`: the other side. */
  usage: 'clients' | 'client_ca' | 'servers' | 'server_ca';
  file: string;
  subject: string;
  issuer: string;
  serial: string;
  notBeforeMs: number;
  notAfterMs: number;
}

/** What the files said when they were last read. */
export interface LoadedTls {
  snapshot: TlsSnapshot;
  /** Position in snapshot.servers for each entry; -1 = in the clear. */
  indexOf: ReadonlyMap<DatabaseEntry, number>;
  certificates: CertificateReport[];
}

export const NO_TLS: LoadedTls = {
  snapshot: { clients: null, servers: [] },
  indexOf: new Map(),
  certificates: [],
};

/** Reads files once each, collecting what is wrong and what there is to report. */
class TlsFiles {
  readonly problems: ConfigurationProblem[] = [];
  readonly certificates: CertificateReport[] = [];
  readonly #source: string;
  readonly #folder: string;
  readonly #texts = new Map<string, string | null>();

  readonly #onRead: (path: string) => void;

  constructor(configFile: string | null, onRead: (path: string) => void) {
    this.#onRead = onRead;
    this.#source = configFile ?? 'configuration';
    this.#folder = configFile === null ? '.' : dirname(configFile);
  }

  problem(file: string, message: string): void {
    if (this.problems.some((known) => known.key === file)) return;
    this.problems.push({ severity: 'error', source: this.#source, line: 0, key: file, message });
  }

  text(path: string | null): string | null {
    if (path === null) return null;
    const known = this.#texts.get(path);
    if (known !== undefined) return known;
    const text = this.#read(path);
    this.#texts.set(path, text);
    return text;
  }

  #read(path: string): string | null {
    const file = resolve(this.#folder, path);
    this.#onRead(file);
    try {
      const text = readFileSync(file, 'utf8');
      if (text.length <= FILE_BYTES_MAX) return text;
      this.problem(path, `is larger than ${FILE_BYTES_MAX} bytes`);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
      this.problem(path, code === 'ENOENT' ? 'no such file' : `cannot be read (${code})`);
    }
    return null;
  }

  /** Every certificate of a file; the leaf alone where the rest is its chain. */
  note(usage: CertificateReport['usage'], path: string | null): void {
    const text = this.text(path);
    if (path === null || text === null) return;
    const pems = certificatesIn(text);
    if (pems.length === 0) this.problem(path, 'holds no certificate (PEM)');
    for (const pem of usage.endsWith('_ca') ? pems : pems.slice(0, 1)) this.#noteOne(usage, path, pem);
  }

  #noteOne(usage: CertificateReport['usage'], file: string, pem: string): void {
    try {
      const { subject, issuer, serialNumber, validFrom, validTo } = new X509Certificate(pem);
      this.certificates.push({
        usage,
        file,
        subject: oneLine(subject),
        issuer: oneLine(issuer),
        serial: serialNumber.toLowerCase(),
        notBeforeMs: Date.parse(validFrom),
        notAfterMs: Date.parse(validTo),
      });
    } catch {
      this.problem(file, 'holds a certificate that cannot be read');
    }
  }
}

function certificatesIn(text: string): string[] {
  return text
    .split(BEGIN)
    .slice(1)
    .map((part) => `${BEGIN}${part.slice(0, part.indexOf(END))}${END}\n`);
}

/** Node gives a name's parts on lines of their own. */
function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ');
}

/** The key fits the certificate, has no passphrase, and OpenSSL takes all of it. */
function checkPair(files: TlsFiles, paths: TlsFilePaths): void {
  const certificate = files.text(paths.certificate);
  const privateKey = files.text(paths.privateKey);
  if (paths.certificate === null || paths.privateKey === null || certificate === null || privateKey === null)
    return;
  const [leaf] = certificatesIn(certificate);
  if (leaf === undefined) return;
  if (privateKey.includes('ENCRYPTED')) {
    files.problem(
      paths.privateKey,
      'is encrypted: keys with a passphrase are not supported, for nobody is there to type it',
    );
    return;
  }
  try {
    const key = createPrivateKey(privateKey);
    if (!new X509Certificate(leaf).checkPrivateKey(key))
      files.problem(paths.privateKey, `is not the key of the certificate in ${paths.certificate}`);
  } catch (error) {
    files.problem(paths.privateKey, `holds no private key that can be used (${reasonOf(error)})`);
  }
}

/** OpenSSL's reason without what surrounds it. A key's text never stands in one. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0].split(':').at(-1)?.trim() ?? text;
}

/** OpenSSL's judgement of the whole, so that workers do not fail on it later. */
function checkContext(files: TlsFiles, material: TlsMaterial, name: string): void {
  if (files.problems.length > 0) return;
  const { certificate, privateKey, ca, crl, terms } = material;
  const ciphers = [terms.cipherSuites, terms.ciphers].filter((list) => list !== '').join(':');
  try {
    createSecureContext({
      ...(certificate === null ? {} : { cert: certificate, key: privateKey ?? '' }),
      ...(ca === null ? {} : { ca }),
      ...(crl === null ? {} : { crl }),
      ...(ciphers === '' ? {} : { ciphers }),
      ...(terms.groups === '' ? {} : { ecdhCurve: terms.groups }),
      minVersion: terms.versionMin,
      maxVersion: terms.versionMax,
    });
  } catch (error) {
    files.problem(name, `OpenSSL refuses these settings: ${reasonOf(error)}`);
  }
}

function materialOf(files: TlsFiles, paths: TlsFilePaths, terms: TlsTerms, mode: string): TlsMaterial {
  const material = {
    certificate: files.text(paths.certificate),
    privateKey: files.text(paths.privateKey),
    ca: files.text(paths.ca),
    crl: files.text(paths.crl),
    terms,
  };
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([mode, material]))
    .digest('hex');
  return { fingerprint, ...material };
}

function readClients(files: TlsFiles, loaded: LoadedConfig): TlsSnapshot['clients'] {
  const { general } = loaded;
  const mode = clientTlsMode(general);
  if (mode === 'disable') return null;
  const paths = clientTlsFiles(general);
  files.note('clients', paths.certificate);
  files.note('client_ca', paths.ca);
  checkPair(files, paths);
  const material = materialOf(files, paths, clientTlsTerms(general), mode);
  checkContext(files, material, 'TLS towards clients');
  return { mode, ...material };
}

/** What an entry says of TLS itself, as a key: of thousands of entries most say the same. */
function keyOfOwn({ tls: { verify, ca, certificate, privateKey } }: DatabaseEntry): string {
  return [verify, ca, certificate, privateKey].map((said) => said ?? '').join('\0');
}

function readServers(files: TlsFiles, loaded: LoadedConfig): Pick<LoadedTls, 'indexOf'> & TlsSnapshot {
  const { databases, templates } = loaded;
  const servers: TlsSnapshot['servers'] = [];
  const indexOf = new Map<DatabaseEntry, number>();
  const byOwn = new Map<string, number>();
  for (const database of [...databases, ...templates.flatMap((template) => template.entries)]) {
    // Nobody listens on the way through a Unix socket, and Postgres has no TLS there.
    if (isUnixHost(database.host)) {
      indexOf.set(database, -1);
      continue;
    }
    const key = keyOfOwn(database);
    const index = byOwn.get(key) ?? readServer(files, loaded, database, servers);
    byOwn.set(key, index);
    indexOf.set(database, index);
  }
  return { servers, indexOf, clients: null };
}

/** Its place among `servers`, to which it is added if it is not there; -1 = in the clear. */
function readServer(
  files: TlsFiles,
  { general }: LoadedConfig,
  database: DatabaseEntry,
  servers: TlsSnapshot['servers'],
): number {
  const { mode, ...paths } = serverTlsSettings(general, database.tls);
  if (mode === 'disabled') return -1;
  files.note('servers', paths.certificate);
  if (mode.startsWith('verify')) files.note('server_ca', paths.ca);
  checkPair(files, paths);
  const material = materialOf(files, paths, serverTlsTerms(general), mode);
  const known = servers.findIndex(({ fingerprint }) => fingerprint === material.fingerprint);
  if (known !== -1) return known;
  checkContext(files, material, `TLS towards servers of database "${database.name}"`);
  return servers.push({ mode, ...material }) - 1;
}

/** TLS towards the server of [config_source]; undefined = in the clear. @throws ConfigurationError */
export function readSourceTls(
  { entry, tls }: ConfigSourceSettings,
  configFile: string | null,
  onRead: (path: string) => void,
): ServerTlsSnapshot | undefined {
  const { mode, terms, ...paths } = tls;
  if (mode === 'disabled' || isUnixHost(entry.host)) return undefined;
  const files = new TlsFiles(configFile, onRead);
  checkPair(files, paths);
  const material = materialOf(files, paths, terms, mode);
  checkContext(files, material, 'TLS towards the server of [config_source]');
  if (files.problems.length > 0) throw new ConfigurationError(files.problems);
  return { mode, ...material };
}

/**
 * Reads every file that TLS needs and tries all of it out. Synchronous, some milliseconds; at start and reload.
 * @param onRead told of every file that is asked for, absolute
 * @throws ConfigurationError with everything that is wrong; it names files and reasons, never contents.
 */
export function readTls(loaded: LoadedConfig, onRead: (path: string) => void = () => {}): LoadedTls {
  const files = new TlsFiles(loaded.configFile, onRead);
  const clients = readClients(files, loaded);
  const { servers, indexOf } = readServers(files, loaded);
  if (files.problems.length > 0) throw new ConfigurationError(files.problems);
  const seen = new Set<string>();
  const certificates = files.certificates.filter(({ usage, file, serial, subject }) => {
    const key = [usage, file, serial, subject].join('\n');
    return !seen.has(key) && seen.add(key) !== undefined;
  });
  return { snapshot: { clients, servers }, indexOf, certificates };
}
