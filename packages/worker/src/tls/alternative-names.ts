import { progress } from '@pgdog-cluster/core';

/** Kinds of names that say who a client is. Addresses say where it is; e-mail addresses are given out by others. */
const KINDS = ['DNS', 'URI'];

/**
 * Names out of Node's `X509Certificate.subjectAltName`: `DNS:a, URI:"b\u002cc"`, entries set apart by `, `, a value with
 * anything odd in it as a JSON string. What cannot be read ends the list, and a name that holds a NUL is none: such names
 * end early for some readers and not for others.
 */
export function alternativeNames(text: string): string[] {
  return entriesOf(text).flatMap(([kind, value]) =>
    KINDS.includes(kind) && value !== '' && !value.includes('\0') ? [value] : [],
  );
}

/** Of whatever kind. */
export function hasZeroByte(text: string): boolean {
  return entriesOf(text).some(([, value]) => value.includes('\0'));
}

export function hasDnsName(text: string): boolean {
  return entriesOf(text).some(([kind]) => kind === 'DNS');
}

function entriesOf(text: string): [kind: string, value: string][] {
  const entries: [string, string][] = [];
  let at = 0;
  while (at < text.length) {
    const colon = text.indexOf(':', at);
    if (colon === -1) break;
    const start = colon + 1;
    const end = text[start] === '"' ? endOfString(text, start) : endOfPlain(text, start);
    if (end === -1) break;
    const value = readValue(text.slice(start, end));
    if (value === null) break;
    entries.push([text.slice(at, colon), value]);
    at = progress(at, end + ', '.length);
  }
  return entries;
}

function endOfPlain(text: string, start: number): number {
  const end = text.indexOf(', ', start);
  return end === -1 ? text.length : end;
}

/** Behind the closing quote; -1 without one. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return -1;
}

function readValue(text: string): string | null {
  if (!text.startsWith('"')) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return null;
  }
}
