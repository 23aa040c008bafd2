import { type CopyLayout, PgDogError } from '@pgdog-cluster/core';
import type { CopyRequest } from '../scatter/cross-shard-request.js';
import type { ShardedDatabase } from './sharded-database.js';

/** Encodings in which no byte of a longer character is an ASCII one: there a delimiter is a delimiter. */
const PLAIN_ENCODINGS: readonly string[] = [
  ...['utf8', 'sqlascii', 'latin', 'iso8859', 'win12', 'windows12', 'win866', 'windows866', 'win874'],
  ...['windows874', 'alt', 'win', 'koi8', 'euc', 'abc', 'tcvn', 'vscii', 'muleinternal'],
];
const WHOLE_NAMES: ReadonlySet<string> = new Set(['win', 'alt', 'abc']);

/** Names as Postgres compares them: letters and digits count. */
function normalized(name: string): string {
  let plain = '';
  for (const char of name.toLowerCase()) {
    if ((char >= 'a' && char <= 'z') || (char >= '0' && char <= '9')) plain += char;
  }
  return plain === 'unicode' ? 'utf8' : plain;
}

function isPlain(encoding: string): boolean {
  return PLAIN_ENCODINGS.some((each) =>
    WHOLE_NAMES.has(each) ? encoding === each : encoding.startsWith(each),
  );
}

/** How the data of a COPY FROM STDIN are divided among the shards, or why they are not. */
export function copyRequest(
  layout: CopyLayout,
  { functions, commitMode }: ShardedDatabase,
  reported: ReadonlyMap<string, string>,
): CopyRequest | PgDogError {
  const client = normalized(reported.get('client_encoding') ?? '');
  const server = normalized(reported.get('server_encoding') ?? '');
  const encoding = layout.encoding === null ? client : normalized(layout.encoding);
  if (layout.format !== 'binary' && !isPlain(encoding)) {
    const text = `COPY to several shards of data in ${layout.encoding ?? reported.get('client_encoding')}`;
    return new PgDogError('cross_shard', text, { hint: 'Send them in UTF8.' });
  }
  // Told now, and not when all rows have been sent.
  if (commitMode === 'refused') {
    return new PgDogError('cross_shard', 'COPY writes on several shards, which cannot be committed as one', {
      hint: 'Set max_prepared_transactions on every shard, or two_phase_commit = false (not atomic).',
    });
  }
  const rule = layout.key === null ? null : functions[layout.key.rule];
  return { layout, rule, isForeign: client !== server || encoding !== server };
}
