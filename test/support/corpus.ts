/** Statements of our own under test/corpus: separated by empty lines, a comment at the head of each file. */
import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../../corpus/', import.meta.url);

export type CorpusFile = 'reads' | 'writes' | 'definitions' | 'session' | 'several' | 'schema';

export function readCorpus(file: CorpusFile): string[] {
  const text = readFileSync(new URL(`${file}.sql`, FOLDER), 'utf8');
  return text.trimEnd().split('\n\n').slice(1);
}

/** All statements but those of the schema. */
export function readWholeCorpus(): string[] {
  const files = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.sql') && name !== 'schema.sql')
    .map((name) => name.slice(0, -'.sql'.length) as CorpusFile);
  return files.flatMap(readCorpus);
}
