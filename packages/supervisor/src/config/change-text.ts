import { type ConfigurationChange, Secret } from '@pgdog-cluster/core/config';

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const named = (text: string): string => `"${text.replaceAll('"', '""')}"`;

/** How a value is written so that it is read again as the same. @param showSecrets for the file that keeps it only */
function valueText(value: unknown, showSecrets: boolean): string {
  if (value instanceof Secret) return showSecrets ? quoted(value.reveal()) : '[secret]';
  if (Array.isArray(value)) return `(${value.map((one) => valueText(one, showSecrets)).join(', ')})`;
  if (value === null) return 'DEFAULT';
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object') return String(value);
  const [[where, text] = ['env', '']] = Object.entries(value);
  return `${where}(${quoted(String(text))})`;
}

function pairs(values: Readonly<Record<string, unknown>>, showSecrets: boolean, between: string): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} = ${valueText(value, showSecrets)}`)
    .join(between);
}

/** `ADD DATABASE` */
export function changeTag({ verb, kind }: Pick<ConfigurationChange, 'verb' | 'kind'>): string {
  return `${verb} ${kind}`.toUpperCase();
}

/** What it chooses entries by, and what it sets, without secrets. */
export function whereText({ where }: ConfigurationChange): string {
  return pairs(where, false, ' AND ');
}

export function valuesText({ values }: ConfigurationChange): string {
  return pairs(values, false, ', ');
}

/** The whole command, secrets in clear. */
export function commandText(change: ConfigurationChange): string {
  const where = pairs(change.where, true, ' AND ');
  const parts = [
    changeTag(change),
    named(change.name),
    where === '' ? '' : `WHERE ${where}`,
    change.verb === 'alter' && where !== '' ? 'SET' : '',
    pairs(change.values, true, ', '),
  ];
  return parts.filter((part) => part !== '').join(' ');
}
