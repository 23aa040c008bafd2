/** ADD, ALTER and DROP of databases and users, as they are typed and as they are kept in persist_file. */
import { PgDogError } from '@pgdog-cluster/core';
import {
  CHANGE_SELECTORS,
  type ChangeKind,
  type ConfigurationChange,
  hideSecrets,
  isSecretKey,
} from '@pgdog-cluster/core/config';
import type { AdminToken } from '../admin/admin-lexer.js';

export interface ParsedChange {
  change: Omit<ConfigurationChange, 'source' | 'line'>;
  /** PERSIST at its end. */
  isPersisted: boolean;
}

export const CHANGE_USAGE =
  'ADD DATABASE|USER name key = value …, ALTER DATABASE|USER name [WHERE key = value [AND …]] key = value …, DROP DATABASE|USER name [WHERE …], each with PERSIST at its end if wanted; texts stand in single quotes';

function refuse(message: string): never {
  throw new PgDogError('admin_syntax', message, { hint: CHANGE_USAGE });
}

/** Reads tokens from left to right. Errors name keys, never values: one of them may be a password. */
class ChangeTokens {
  readonly #tokens: readonly AdminToken[];
  #at = 0;

  constructor(tokens: readonly AdminToken[]) {
    this.#tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** The word, and no key of that name. */
  get isAtPersist(): boolean {
    const token = this.peek();
    return token?.kind === 'word' && token.text === 'persist' && this.peek(1)?.text !== '=';
  }

  peek(ahead = 0): AdminToken | undefined {
    return this.#tokens[this.#at + ahead];
  }

  next(): AdminToken {
    const token = this.#tokens[this.#at++];
    if (token === undefined) refuse('the command is incomplete');
    return token;
  }

  takes(kind: AdminToken['kind'], text: string): boolean {
    const token = this.peek();
    if (token?.kind !== kind || token.text !== text) return false;
    this.#at++;
    return true;
  }

  /** A name as in SQL: in lower case unless it stands in double quotes. */
  name(kind: ChangeKind): string {
    const token = this.next();
    if (token.kind !== 'word' && token.kind !== 'quoted') refuse(`expected the name of a ${kind}`);
    return token.text;
  }

  key(): string {
    const { kind, text } = this.next();
    if (kind !== 'word') refuse('expected key = value');
    if (!this.takes('punctuation', '=')) refuse(`${text.slice(0, 63)}: expected = and a value`);
    return text;
  }

  value(key: string): unknown {
    if (!this.takes('punctuation', '(')) return this.#single(key);
    const list: unknown[] = [];
    do list.push(this.#single(key));
    while (this.takes('punctuation', ','));
    if (!this.takes('punctuation', ')')) refuse(`${key}: expected , or ) after a value of a list`);
    return list;
  }

  #single(key: string): unknown {
    const token = this.next();
    const { kind, text } = token;
    if (token.isRaw === true) refuse(`${key}: expected a text in plain single quotes`);
    if (kind === 'string' || kind === 'quoted') return text;
    if (kind === 'number') {
      const value = Number(text);
      return Number.isFinite(value) ? value : refuse(`${key}: not a number`);
    }
    if (kind !== 'word') refuse(`${key}: expected a value; a text stands in single quotes`);
    if ((text === 'env' || text === 'file') && this.takes('punctuation', '('))
      return this.#elsewhere(key, text);
    return wordValue(key, token);
  }

  /** `env('NAME')`, `file('/path')`. */
  #elsewhere(key: string, where: 'env' | 'file'): unknown {
    const { kind, text, isRaw } = this.next();
    if (kind !== 'string' || isRaw === true || !this.takes('punctuation', ')')) {
      refuse(`${key}: expected ${where}('…')`);
    }
    // There is no file that it could be relative to.
    if (where === 'file' && !text.startsWith('/')) refuse(`${key}: expected an absolute path`);
    return { [where]: text };
  }
}

/** Without quotes: true, false, DEFAULT, and words of a list (`replica`). Folded, it may be another text than was meant. */
function wordValue(key: string, { text, isFolded }: AdminToken): unknown {
  if (text === 'true' || text === 'on') return true;
  if (text === 'false' || text === 'off') return false;
  if (text === 'default') return null;
  if (isSecretKey(key) || isFolded === true) refuse(`${key}: a text stands in single quotes`);
  return text;
}

function pairsOf(
  tokens: ChangeTokens,
  isEnd: () => boolean,
  isSeparator: () => boolean,
): Record<string, unknown> {
  const pairs = new Map<string, unknown>();
  while (!isEnd()) {
    const key = tokens.key();
    if (pairs.has(key)) refuse(`${key} is said twice`);
    pairs.set(key, tokens.value(key));
    if (!isSeparator()) break;
  }
  return Object.fromEntries(pairs);
}

function whereOf(tokens: ChangeTokens, kind: ChangeKind): Record<string, unknown> {
  if (!tokens.takes('word', 'where')) return {};
  const pairs = pairsOf(
    tokens,
    () => false,
    () => tokens.takes('word', 'and'),
  );
  for (const key of Object.keys(pairs)) {
    if (CHANGE_SELECTORS[kind].includes(key)) continue;
    refuse(`entries of a ${kind} are told apart by ${CHANGE_SELECTORS[kind].join(', ')}, not by ${key}`);
  }
  return pairs;
}

function valuesOf(tokens: ChangeTokens, verb: string): Record<string, unknown> {
  if (tokens.peek()?.text === 'set' && tokens.peek(1)?.text !== '=') tokens.next();
  const isEnd = () => tokens.isAtEnd || tokens.isAtPersist;
  const isMore = () => {
    tokens.takes('punctuation', ',');
    return true;
  };
  const values = pairsOf(tokens, isEnd, isMore);
  if (Object.hasOwn(values, 'name')) {
    refuse('a name stands before the keys, and cannot be changed: ADD the other and DROP this one');
  }
  if (Object.keys(values).length === 0) refuse(`${verb.toUpperCase()}: expected key = value`);
  return values;
}

/** @throws PgDogError admin_syntax */
export function parseChange(given: readonly AdminToken[]): ParsedChange {
  const tokens = new ChangeTokens(given);
  const verb = tokens.next().text;
  const kind = tokens.next();
  if (verb !== 'add' && verb !== 'alter' && verb !== 'drop') refuse('expected ADD, ALTER or DROP');
  if (kind.kind !== 'word' || (kind.text !== 'database' && kind.text !== 'user')) {
    refuse(`${verb.toUpperCase()}: expected DATABASE or USER`);
  }
  const name = tokens.name(kind.text);
  const where = verb === 'add' ? {} : whereOf(tokens, kind.text);
  const values = verb === 'drop' ? {} : valuesOf(tokens, verb);
  const isPersisted = tokens.isAtPersist;
  if (isPersisted) tokens.next();
  if (!tokens.isAtEnd) {
    refuse(verb === 'drop' ? 'DROP takes no keys; WHERE chooses among entries' : 'PERSIST ends a command');
  }
  return { change: { verb, kind: kind.text, name, where, values: hideSecrets(values) }, isPersisted };
}
