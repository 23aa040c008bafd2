import * as z from 'zod';
import { CONFIG_SOURCE_DEFAULTS } from './config-source-schema.js';
import {
  ADMIN_DEFAULTS,
  type DefaultRow,
  GENERAL_DEFAULTS,
  MULTI_TENANT_DEFAULTS,
  REWRITE_DEFAULTS,
  TCP_DEFAULTS,
} from './defaults.js';
import { LIST_MEANINGS, SECTION_MEANINGS } from './entry-meanings.js';
import { configSchema, usersSchema } from './schema.js';

interface JsonNode {
  properties?: Record<string, JsonNode>;
  items?: JsonNode;
  description?: string;
  default?: unknown;
  [key: string]: unknown;
}

const UNUSED = 'Known, but not supported by this version.';

/** Adds meaning and default to each property that the tables know. */
function describe(node: JsonNode | undefined, table: Readonly<Record<string, DefaultRow<unknown>>>): void {
  for (const [key, property] of Object.entries(node?.properties ?? {})) {
    const row = Object.hasOwn(table, key) ? table[key] : undefined;
    property.description = row === undefined ? UNUSED : `${row.meaning} ${row.unit}`.trim();
    if (row !== undefined && row.default !== null) property.default = row.default;
  }
}

/** The same for the entries of a list. */
function describeEntries(list: JsonNode | undefined, name: string): void {
  const meanings = LIST_MEANINGS[name] ?? {};
  for (const [key, property] of Object.entries(list?.items?.properties ?? {})) {
    property.description = Object.hasOwn(meanings, key) ? meanings[key] : UNUSED;
    if (property.items !== undefined) describeEntries(property, `${name}.${key}`);
  }
}

/** Sections of features that this version lacks. */
function describeUnused(section: JsonNode): void {
  section.description = UNUSED;
  for (const property of Object.values((section.items ?? section).properties ?? {})) {
    property.description = UNUSED;
  }
}

/** JSON Schema (draft 2020-12) of pgdog.toml or users.toml, from the same schema that checks them. */
export function configurationJsonSchema(file: 'pgdog' | 'users'): JsonNode {
  const schema = file === 'pgdog' ? configSchema : usersSchema;
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonNode;
  const sections = json.properties ?? {};
  describe(sections.general, GENERAL_DEFAULTS);
  describe(sections.config_source, CONFIG_SOURCE_DEFAULTS);
  describe(sections.tcp, TCP_DEFAULTS);
  describe(sections.admin, ADMIN_DEFAULTS);
  describe(sections.multi_tenant, MULTI_TENANT_DEFAULTS);
  describe(sections.rewrite, REWRITE_DEFAULTS);
  for (const [name, section] of Object.entries(sections)) {
    if (Object.hasOwn(SECTION_MEANINGS, name)) {
      section.description = SECTION_MEANINGS[name];
      describeEntries(section, name);
    } else describeUnused(section);
  }
  json.title = `${file}.toml`;
  return json;
}
