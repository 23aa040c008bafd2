/** Batches that fail in the middle, that are sent without waiting, and that have other commands among them. */
import type { BatchPair } from './batch-pair.js';
import {
  again,
  type BatchScript,
  BEGIN,
  begun,
  bound,
  COMMIT,
  duplicate,
  inserts,
  one,
  READ,
  READ_ALL,
  rowOf,
  SYNTAX,
  step,
  UPDATE,
  UPDATE_ALL,
  updates,
} from './batch-words.js';
import { B, D, E, H, P, Q, S } from './frames.js';

/** What may go wrong within a batch. */
const failures = (pair: BatchPair): [what: string, frames: Buffer[]][] => [
  ['a text that cannot be parsed', SYNTAX],
  ['a table that is not there', one('SELECT * FROM nowhere')],
  ['a unique violation', duplicate(pair, 1)],
  ['a check violation', one(UPDATE, pair.old(2), -100)],
  ['a division by zero on one shard', one('SELECT 1 / (n - n) FROM thing WHERE id = $1', pair.old(0))],
  ['a division by zero on all shards', one('UPDATE thing SET n = 1 / (n - n)')],
  ['a value that cannot be read', one(UPDATE, 'x', 1)],
  ['too few values', [P('', UPDATE), B('', '', bound([pair.old(1)])), E('')]],
  ['a statement that is not prepared', again('nobody', 1)],
  ['a portal that is not bound', [E('nobody')]],
  [
    'a unique violation among several rows',
    one('INSERT INTO thing (id) VALUES ($1), ($2), ($3)', pair.fresh(0, 5), pair.old(1), pair.fresh(2, 5)),
  ],
];

/** Each failure first, in the middle and last; what follows is skipped up to the Sync, and nothing is kept. */
export function failingScripts(): BatchScript[] {
  const names = [
    'parse',
    'table',
    'unique',
    'check',
    'zero',
    'zero of all',
    'value',
    'values',
    'statement',
    'portal',
    'rows',
  ];
  return names.map((name, index) => ({
    name: `an error first, in the middle and last: ${name}`,
    steps: (pair) => {
      const bad = failures(pair)[index]?.[1] ?? [];
      return [
        step(bad, updates(pair), S()),
        step(inserts(pair), bad, inserts(pair, 1), one(UPDATE_ALL), S()),
        step(one(UPDATE_ALL), updates(pair), bad, S()),
        step(rowOf(pair), bad, rowOf(pair), S()),
        step(updates(pair, 1), S()),
        step(Q('SELECT count(*) FROM thing')),
      ];
    },
  }));
}

export const FLOW_SCRIPTS: BatchScript[] = [
  begun('several batches at once, each of its own', (pair) => [
    step(updates(pair), S(), inserts(pair), S(), one(READ_ALL), S(), updates(pair), S()),
  ]),
  begun('several batches at once, one of them fails', (pair) => [
    step(
      updates(pair),
      S(),
      inserts(pair),
      SYNTAX,
      S(),
      one(READ_ALL),
      S(),
      duplicate(pair, 2),
      updates(pair),
      S(),
      rowOf(pair),
      S(),
    ),
  ]),
  begun('batches and Queries at once', (pair) => [
    step(
      updates(pair),
      S(),
      Q(`SELECT n FROM thing WHERE id = ${pair.old(2)}`),
      inserts(pair),
      S(),
      Q('SELECT count(*) FROM thing'),
      S(),
      S(),
    ),
  ]),
  begun('a whole transaction at once', (pair) => [
    step(BEGIN, S(), updates(pair), S(), inserts(pair), one(READ_ALL), S(), COMMIT, S(), one(READ_ALL), S()),
  ]),
  begun('Sync alone, many times', (pair) => [step(S(), S(), updates(pair), S(), S(), rowOf(pair), S(), S())]),
  begun(
    'Flush in the middle, sent with the rest',
    (pair) => [step(updates(pair), H(), one(READ_ALL), H(), inserts(pair), S())],
    /Flush/,
  ),
  begun(
    'Flush in the middle, whose answers are awaited',
    (pair) => [{ frames: [...updates(pair), H()], until: ['C', 3] }, step(inserts(pair), S())],
    /Flush/,
  ),
  begun(
    'Flush after each of them',
    (pair) => [
      { frames: [...one(UPDATE, pair.old(0), 1), H()], until: ['C', 1] },
      { frames: [...one(UPDATE, pair.old(1), 1), H()], until: ['C', 1] },
      { frames: [...one(READ, pair.old(2)), H()], until: ['C', 1] },
      step(S()),
    ],
    /Flush|shard/,
  ),
  begun('Parse and Describe with a Flush, then Bind for several shards, as pgx and asyncpg do it', (pair) => [
    { frames: [P('u', UPDATE), D('S', 'u'), P('r', READ), D('S', 'r'), H()], until: ['T', 1] },
    step(
      [0, 1, 2].flatMap((shard) => [...again('u', pair.old(shard), 1), ...again('r', pair.old(shard))]),
      S(),
    ),
  ]),
];

/** Further commands between statements of several shards, each in a batch of its own. */
const COMMANDS = [
  'SET LOCAL statement_timeout = 60000',
  "SET application_name = 'x'",
  'SHOW application_name',
  'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
  'SET CONSTRAINTS ALL IMMEDIATE',
  'LOCK TABLE thing IN SHARE MODE',
  'TRUNCATE late',
  'CREATE TEMP TABLE own (id int)',
  'VACUUM thing',
  'LISTEN news',
  'DISCARD ALL',
  'DEALLOCATE ALL',
  'COMMIT AND CHAIN',
  'ROLLBACK AND CHAIN',
  'END',
  'ABORT',
  'START TRANSACTION',
  'DECLARE c CURSOR FOR SELECT id FROM thing ORDER BY id',
  'EXECUTE nothing',
  'SELECT 1; SELECT 2',
  'SELECT pg_advisory_xact_lock(1)',
  'SELECT id FROM thing ORDER BY id FOR UPDATE',
  'SELECT now() IS NULL',
];
const REASON = /./;
export const COMMAND_SCRIPTS: BatchScript[] = COMMANDS.flatMap((command) => [
  begun(
    `${command}, in the middle`,
    (pair) => [
      step(updates(pair), one(command), updates(pair, 1), S()),
      step(Q('ROLLBACK')),
      step(one(READ_ALL), S()),
    ],
    REASON,
  ),
  begun(
    `${command}, in the middle of a transaction`,
    (pair) => [
      step(Q('BEGIN')),
      step(updates(pair), S()),
      step(updates(pair), one(command), updates(pair, 1), S()),
      step(Q('ROLLBACK')),
      step(one(READ_ALL), S()),
    ],
    REASON,
  ),
]);
