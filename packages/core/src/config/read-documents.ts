/** From texts to the two documents that a configuration is made of, whatever files they stand in. */
import type * as z from 'zod';
import { parseDatabaseUrl, type UrlEntry } from './database-url.js';
import type { ReadSecretFile } from './entries.js';
import type { Environment } from './environment.js';
import { IncludeFiles, type IncludeReader } from './include-files.js';
import type { KnownConfig } from './known-config.js';
import { mergeDocuments } from './merge-documents.js';
import { checkDocument, type ParsedDocument, parseDocument, type SourceText } from './parse-document.js';
import type { DraftDocument } from './pgbouncer/draft.js';
import { translatePgBouncer } from './pgbouncer/translate-pgbouncer.js';
import { Origin, type ProblemList } from './problem-list.js';
import {
  type ConfigInput,
  configSchema,
  type IncludedInput,
  type UsersInput,
  usersSchema,
} from './schema.js';

/** What is read before anything is known of it. */
export interface DocumentSources {
  config: SourceText | null;
  users: SourceText | null;
  /** Instead of both: pgbouncer.ini. */
  pgbouncer?: SourceText | null;
  /** Without it nothing can be included. */
  includes?: IncludeReader;
  commandLine: { databaseUrls: string[] };
  environment: Environment;
  readSecretFile: ReadSecretFile;
  /** What was read before. */
  known?: KnownConfig;
}

export interface Documents {
  config: ParsedDocument<ConfigInput> | null;
  users: ParsedDocument<UsersInput> | null;
  urls: UrlEntry[];
  /** Names of included files, in the order in which they were read. */
  included: string[];
}

type Part = ParsedDocument<IncludedInput>;

/** Reads one file against its schema. */
export type ReadDocument = <S extends z.ZodObject>(
  source: SourceText,
  schema: S,
) => ParsedDocument<z.infer<S>> | null;

/** Through the same schema as files of ours: a translation has no way around a check. */
function readPgBouncer(
  source: SourceText,
  readSecretFile: ReadSecretFile,
  problems: ProblemList,
): Pick<Documents, 'config' | 'users'> {
  const { config, users } = translatePgBouncer(source, readSecretFile, problems);
  const originOf = (document: DraftDocument) => new Origin(source.name, document.places());
  return {
    config: checkDocument(config.toObject(), originOf(config), configSchema, problems),
    users: checkDocument(users.toObject(), originOf(users), usersSchema, problems),
  };
}

/** With only those sections; without the document when it has none of them. */
function withSections({ data, origin }: Part, isWanted: (section: string) => boolean): Part[] {
  const kept = Object.entries(data).filter(([section]) => section !== 'include' && isWanted(section));
  return kept.length === 0 ? [] : [{ data: Object.fromEntries(kept), origin }];
}

/** Both files with what they include. [admin] is the one section of both: what users.toml and its own say of it wins, key by key. */
function readFiles(
  { config, users, includes, known }: DocumentSources,
  problems: ProblemList,
): Omit<Documents, 'urls'> {
  const read: ReadDocument = (source, schema) =>
    known === undefined ? parseDocument(source, schema, problems) : known.document(source, schema, problems);
  const files = new IncludeFiles(includes, read, problems);
  for (const source of [config, users]) if (source !== null) files.known(source);
  const plain = {
    config: config && read(config, configSchema),
    users: users && read(users, usersSchema),
  };
  const besideConfig = plain.config === null ? [] : files.of(plain.config);
  const besideUsers = plain.users === null ? [] : files.of(plain.users);
  const { names: included } = files;
  if (included.length === 0) return { ...plain, included };
  const allConfig = [
    ...(plain.config === null ? [] : [plain.config]),
    ...besideConfig.flatMap((part) => withSections(part, (section) => section !== 'users')),
    ...besideUsers.flatMap((part) =>
      withSections(part, (section) => section !== 'users' && section !== 'admin'),
    ),
  ];
  const allUsers = [
    ...(plain.users === null ? [] : [plain.users]),
    ...besideConfig.flatMap((part) => withSections(part, (section) => section === 'users')),
    ...besideUsers.flatMap((part) =>
      withSections(part, (section) => section === 'users' || section === 'admin'),
    ),
  ];
  return {
    config: mergeDocuments<ConfigInput>(allConfig, problems),
    users: mergeDocuments<UsersInput>(allUsers as ParsedDocument<UsersInput>[], problems),
    included,
  };
}

export function readDocuments(sources: DocumentSources, problems: ProblemList): Documents {
  const { pgbouncer, readSecretFile, known } = sources;
  known?.beginReading();
  const files = pgbouncer
    ? { ...readPgBouncer(pgbouncer, readSecretFile, problems), included: [] }
    : readFiles(sources, problems);
  const urls: UrlEntry[] = [];
  const add = (text: string, source: string) => {
    const entry = parseDatabaseUrl(text, new Origin(source), problems);
    if (entry !== null) urls.push(entry);
  };
  const { databaseUrls } = sources.commandLine;
  for (const [index, url] of databaseUrls.entries()) {
    add(url, databaseUrls.length === 1 ? '-d' : `-d (number ${index + 1})`);
  }
  for (const [name, value] of Object.entries(sources.environment)) {
    if (name.startsWith('PGDOG_DATABASE_URL_') && value) add(value, name);
  }
  if (!problems.hasErrors) known?.endReading();
  return { ...files, urls };
}
