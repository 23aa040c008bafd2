/**
 * A [[databases]] entry whose name is a pattern: what its keys mean for one name that a client asks for. The name is the
 * client's; where it may lead is the author's of the pattern. See docs/internals/tenants.md.
 */
import { byExactness, DATABASE_NAME_BYTES_MAX, isPattern, matchPattern } from '../base/name-pattern.js';
import { byteLength } from './fields.js';
import type { DatabaseEntry, DatabaseTemplate } from './loaded-config.js';

const PLACEHOLDER = /\{([^{}]*)\}/g;
/** What may stand for a part of a host name: no dot, for that would be another host's name. */
const HOST_PART = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?$/;
/** Whatever inet_aton(3) takes for an address. */
const NUMERIC_HOST = /^(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?$/i;
const HOST_CHARS_MAX = 253;
const LABEL_CHARS_MAX = 63;

/** One per pattern, the most exact first. */
export function templatesOf(entries: readonly DatabaseEntry[]): DatabaseTemplate[] {
  const byName = new Map<string, DatabaseTemplate>();
  for (const entry of entries) {
    if (!isPattern(entry.name)) continue;
    const known = byName.get(entry.name);
    if (known === undefined) byName.set(entry.name, { pattern: entry.name, entries: [entry] });
    else known.entries.push(entry);
  }
  return [...byName.values()].sort(byExactness);
}

export function hasPlaceholder(text: string): boolean {
  return text.includes('{');
}

/** Why a text with placeholders makes no sense behind a pattern; null: it does. */
export function placeholderProblem(text: string, pattern: string): string | null {
  const count = pattern.split('*').length - 1;
  for (const [whole, name] of text.matchAll(PLACEHOLDER)) {
    if (name === 'name' || (/^[1-9]$/.test(name) && Number(name) <= count)) continue;
    const known = ['{name}', ...Array.from({ length: count }, (_, star) => `{${star + 1}}`)];
    return `there is no ${whole} here: the pattern gives ${known.join(', ')}`;
  }
  const rest = text.replaceAll(PLACEHOLDER, '');
  return /[{}]/.test(rest) ? 'expected { and } around `name` or a number only' : null;
}

/** The same of a host: what the client chooses may be a part of a name, and not the whole of it. */
export function hostTemplateProblem(host: string, pattern: string): string | null {
  const problem = placeholderProblem(host, pattern);
  if (problem !== null || !hasPlaceholder(host)) return problem;
  if (host.startsWith('/') || host.startsWith('@')) return 'a Unix socket cannot be chosen by the client';
  if (!/[A-Za-z]/.test(host.replaceAll(PLACEHOLDER, ''))) {
    return 'the client would choose the host: expected a part that is always the same, such as "{1}.db.internal"';
  }
  const labels = host.replace(/\.$/, '').split('.');
  if (labels.length > 1 && hasPlaceholder(labels[labels.length - 1])) {
    return 'the client would choose the domain: expected its last part without placeholders';
  }
  return null;
}

/** The entries of the database of that name, or why there can be none, for the client. */
export function fillTemplate(template: DatabaseTemplate, name: string): DatabaseEntry[] | string {
  if (byteLength(name) > DATABASE_NAME_BYTES_MAX) return 'its name is too long';
  const stars = matchPattern(template.pattern, name);
  if (stars === null) return 'its name does not fit';
  const fill = (text: string): string =>
    text.replaceAll(PLACEHOLDER, (_, key: string) => (key === 'name' ? name : stars[Number(key) - 1]));
  const entries: DatabaseEntry[] = [];
  for (const entry of template.entries) {
    const host = fillHost(entry.host, fill);
    if (host === null) return 'its name cannot be part of a host name';
    const serverDatabase = fill(entry.serverDatabase);
    if (byteLength(serverDatabase) > DATABASE_NAME_BYTES_MAX) return 'its name is too long';
    entries.push({ ...entry, name, host, serverDatabase, pattern: template.pattern });
  }
  return entries;
}

/** Null: it would be no host name, or not one that the pattern means. */
function fillHost(host: string, fill: (text: string) => string): string | null {
  if (!hasPlaceholder(host)) return host;
  for (const [whole] of host.matchAll(PLACEHOLDER)) if (!HOST_PART.test(fill(whole))) return null;
  const filled = fill(host);
  if (filled.length > HOST_CHARS_MAX || NUMERIC_HOST.test(filled)) return null;
  const areLabelsShort = filled.split('.').every(({ length }) => length <= LABEL_CHARS_MAX);
  return areLabelsShort ? filled : null;
}
