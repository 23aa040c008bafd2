/** Types of pg_type whose order and equality are known here, by oid. */
export const VALUE_TYPE = {
  bool: 16,
  bytea: 17,
  /** "char", one byte. */
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  float4: 700,
  float8: 701,
  /** char(n) */
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
  uuid: 2950,
} as const;

/** Only for messages: what else people sort and group by. */
const OTHER_NAMES: Record<number, string> = {
  114: 'json',
  142: 'xml',
  650: 'cidr',
  790: 'money',
  829: 'macaddr',
  869: 'inet',
  1009: 'text[]',
  1007: 'integer[]',
  1016: 'bigint[]',
  1186: 'interval',
  1266: 'time with time zone',
  1560: 'bit',
  1562: 'bit varying',
  3802: 'jsonb',
};

/** Oids from here on are given at run time: the same type has another one on another server. */
export const FIRST_USER_OID = 16_384;

/** For messages: `jsonb`, `type 16423`. */
export function typeName(oid: number): string {
  for (const [name, value] of Object.entries(VALUE_TYPE)) if (value === oid) return name;
  return OTHER_NAMES[oid] ?? `type ${oid}`;
}

export const VALUE_FORMAT = { text: 0, binary: 1 } as const;
