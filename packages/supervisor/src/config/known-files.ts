import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';

/**
 * What was read so long after it was first seen with the times that it has would have others by now, had it been changed since:
 * no file system's clock ticks more slowly.
 */
const SETTLED_MS = 3000;
const ABSENT = 'absent';

/**
 * What the system says of a file, whatever links to it. In bigints: Node resolves no symbolic link of a module that it loads after a
 * stat of a pipe or a socket in plain numbers (unix-listener.ts).
 */
interface Identity {
  kind: 'file' | 'directory' | 'other' | 'absent' | 'unreadable';
  /** Why it cannot be looked at; empty = it can. */
  code: string;
  isLink: boolean;
  dev: bigint;
  ino: bigint;
  size: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
}

interface KnownFile {
  identity: Identity;
  /** The look that found it so. */
  turn: number;
  /** Since when it has been seen so, and when it was read last; by a clock that nobody sets. */
  sinceMs: number;
  readMs: number;
  /** Of what was read: of a file its digest, of a directory its names. */
  content: string | null;
  text: string | null;
  names: readonly string[] | null;
}

/**
 * Files and directories as they were when they were looked at last. Of thousands of them a look asks the system when each was
 * changed, and reads only those of which it does not say that they are as they were.
 */
export class KnownFiles {
  readonly #files = new Map<string, KnownFile>();
  readonly #nowMs: () => number;
  #turn = 0;
  #turnMs: number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#turnMs = nowMs();
  }

  /** What is asked for from here on is looked at again; once, until this is said again. */
  begin(): void {
    this.#turn++;
    this.#turnMs = this.#nowMs();
  }

  forget(path: string): void {
    this.#files.delete(path);
  }

  /** Whatever nobody has asked for since then. */
  forgetOthers(): void {
    for (const [path, { turn }] of this.#files) if (turn !== this.#turn) this.#files.delete(path);
  }

  isDirectory(path: string): boolean {
    return this.#look(path).identity.kind === 'directory';
  }

  isLink(path: string): boolean {
    return this.#look(path).identity.isLink;
  }

  isThere(path: string): boolean {
    return this.#look(path).identity.code === '';
  }

  /** What tells whether it is as it was. A pipe is not read: it would be waited for, or taken from whom it is for. */
  contentOf(path: string): string {
    const known = this.#look(path);
    const { kind, code } = known.identity;
    if (kind === 'absent') return ABSENT;
    if (kind === 'unreadable') return `unreadable ${code}`;
    if (kind === 'other') return 'no file';
    try {
      if (!this.#isFresh(known) || known.content === null) {
        if (kind === 'file') this.#readFile(path, known, known.text !== null);
        else this.#readNames(path, known);
      }
      return known.content ?? '';
    } catch (error) {
      const reason = codeOf(error);
      return isAbsence(reason) ? ABSENT : `unreadable ${reason}`;
    }
  }

  /** @throws */
  textOf(path: string, bytesMax: number): string {
    const known = this.#look(path);
    const { kind, code, size } = known.identity;
    // For the system's own words.
    if (code !== '') statSync(path);
    // A pipe would be waited for.
    if (kind !== 'file') throw new Error('is no file');
    if (size > bytesMax) throw new Error(`more than ${bytesMax} bytes`);
    if (!this.#isFresh(known) || known.text === null) this.#readFile(path, known, true);
    return known.text ?? '';
  }

  /** All of them, as they come. @throws */
  namesIn(path: string): readonly string[] {
    const known = this.#look(path);
    if (!this.#isFresh(known) || known.names === null) this.#readNames(path, known);
    return known.names ?? [];
  }

  #look(path: string): KnownFile {
    const known = this.#files.get(path);
    if (known?.turn === this.#turn) return known;
    const identity = identityOf(path);
    if (known !== undefined && isSame(known.identity, identity)) {
      known.turn = this.#turn;
      return known;
    }
    const sinceMs = this.#nowMs();
    const nothing = { readMs: Number.NEGATIVE_INFINITY, content: null, text: null, names: null };
    const found = { identity, turn: this.#turn, sinceMs, ...nothing };
    this.#files.set(path, found);
    return found;
  }

  /** Read in this turn, or when another change would have shown. */
  #isFresh({ readMs, sinceMs }: KnownFile): boolean {
    return readMs >= this.#turnMs || readMs - sinceMs >= SETTLED_MS;
  }

  #readFile(path: string, known: KnownFile, isTextWanted: boolean): void {
    // Before it is read: what is written meanwhile must not count as read.
    const readMs = this.#nowMs();
    const bytes = readFileSync(path);
    const content = createHash('sha256').update(bytes).digest('base64');
    if (content !== known.content) known.text = null;
    known.content = content;
    // The same text stays the same object.
    if (isTextWanted) known.text ??= bytes.toString('utf8');
    known.readMs = readMs;
  }

  /** In what tells it: without those of editors and of Kubernetes, which begin with a dot. */
  #readNames(path: string, known: KnownFile): void {
    const readMs = this.#nowMs();
    const names = readdirSync(path);
    const shown = names.filter((name) => !name.startsWith('.'));
    known.content = `directory ${JSON.stringify(shown.sort())}`;
    known.names = names;
    known.readMs = readMs;
  }
}

const NOWHERE = { isLink: false, dev: 0n, ino: 0n, size: 0n, mtimeNs: 0n, ctimeNs: 0n };

function identityOf(path: string): Identity {
  try {
    const own = lstatSync(path, { bigint: true });
    const isLink = own.isSymbolicLink();
    const stat = isLink ? statSync(path, { bigint: true }) : own;
    const { dev, ino, size, mtimeNs, ctimeNs } = stat;
    return { kind: kindOf(stat), code: '', isLink, dev, ino, size, mtimeNs, ctimeNs };
  } catch (error) {
    const code = codeOf(error);
    return { kind: isAbsence(code) ? 'absent' : 'unreadable', code, ...NOWHERE };
  }
}

function kindOf(stat: BigIntStats): Identity['kind'] {
  if (stat.isFile()) return 'file';
  return stat.isDirectory() ? 'directory' : 'other';
}

function isSame(one: Identity, other: Identity): boolean {
  return (
    one.kind === other.kind &&
    one.code === other.code &&
    one.isLink === other.isLink &&
    one.dev === other.dev &&
    one.ino === other.ino &&
    one.size === other.size &&
    one.mtimeNs === other.mtimeNs &&
    one.ctimeNs === other.ctimeNs
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
}

function isAbsence(code: string): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR';
}
