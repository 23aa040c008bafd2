/** Writes the TOML that tests need: plain tables, and lists of them. */

export type TomlValue = string | number | boolean | string[];
export interface TomlTable {
  [key: string]: TomlValue | undefined;
}

function lines(table: TomlTable): string[] {
  // JSON's strings, numbers, booleans and lists of strings are TOML's too.
  return Object.entries(table).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} = ${JSON.stringify(value)}`],
  );
}

/** `tables` become `[name]`, each item of `lists` a `[[name]]`. */
export function toToml(tables: Record<string, TomlTable>, lists: Record<string, TomlTable[]> = {}): string {
  const single = Object.entries(tables).map(([name, table]) => [`[${name}]`, ...lines(table)].join('\n'));
  const many = Object.entries(lists).flatMap(([name, items]) =>
    items.map((item) => [`[[${name}]]`, ...lines(item)].join('\n')),
  );
  return `${[...single, ...many].join('\n\n')}\n`;
}
