/** Batches that go to several shards, as drivers send them, and as none does: each is asked of the proxy and of one Postgres. */
import { VALUE_SCRIPTS } from './batch-values.js';
import {
  again,
  type BatchScript,
  bound,
  COUNT,
  DELETE,
  INSERT,
  inserts,
  one,
  READ,
  READ_ALL,
  rowOf,
  SYNTAX,
  several,
  step,
  UPDATE,
  UPDATE_ALL,
  updates,
} from './batch-words.js';
import { B, C, D, E, P, Q, S } from './frames.js';

const WRITES: BatchScript[] = [
  { name: 'inserts for all shards', steps: (pair) => [step(inserts(pair), S())] },
  { name: 'updates for all shards', steps: (pair) => [step(updates(pair), S())] },
  {
    name: 'deletes for all shards, of rows and of none',
    steps: (pair) => [
      step(
        [0, 1, 2].flatMap((shard) => [...one(DELETE, pair.old(shard)), ...one(DELETE, pair.fresh(shard))]),
        S(),
      ),
    ],
  },
  {
    name: 'reads for all shards',
    steps: (pair) => [step(rowOf(pair), rowOf(pair, 1), one(READ, pair.fresh(1)), S())],
  },
  {
    name: 'reads between writes see them',
    steps: (pair) => [
      step(
        one(INSERT, pair.fresh(0), 5, 'x'),
        one(READ, pair.fresh(0)),
        one(UPDATE, pair.fresh(0), 2),
        one(INSERT, pair.fresh(1), 6, 'y'),
        one(READ, pair.fresh(0)),
        one(READ, pair.fresh(1)),
        one(DELETE, pair.fresh(0)),
        one(READ, pair.fresh(0)),
        one(DELETE, pair.old(2)),
        one(READ, pair.old(2)),
        S(),
      ),
    ],
  },
  {
    name: 'a read of all shards in the middle sees what is before it',
    steps: (pair) => [step(inserts(pair), one(READ_ALL), one(DELETE, pair.fresh(1)), one(READ_ALL), S())],
  },
  {
    name: 'aggregates and groups of all shards in the middle',
    steps: (pair) => [
      step(
        updates(pair),
        one(COUNT),
        one('SELECT n, count(*), min(id), avg(n) FROM thing GROUP BY n ORDER BY n'),
        one(DELETE, pair.old(2)),
        one(COUNT),
        one('SELECT id FROM thing ORDER BY id DESC LIMIT $1 OFFSET 2', 3),
        S(),
      ),
    ],
  },
  {
    name: 'an UPDATE of all shards in the middle',
    steps: (pair) => [
      step(updates(pair), one(UPDATE_ALL), rowOf(pair), one(UPDATE, pair.old(1), 7), one(READ_ALL), S()),
    ],
  },
  {
    name: 'a read of all shards first, an UPDATE of all last',
    steps: (pair) => [step(one(COUNT), updates(pair), one(UPDATE_ALL), S())],
  },
  {
    name: 'an INSERT of several rows over shards in the middle',
    steps: (pair) => [step(updates(pair), several(pair), one(READ_ALL), one(DELETE, pair.fresh(0)), S())],
  },
  {
    name: 'several INSERTs of several rows, and nothing else',
    steps: (pair) => [step(several(pair), several(pair, 2), several(pair, 4), S())],
  },
  {
    name: 'RETURNING, of one shard and of all',
    steps: (pair) => [
      step(
        one(`${UPDATE} RETURNING n, name`, pair.old(0), 1),
        one(`${INSERT} RETURNING *`, pair.fresh(1), 1, 'r'),
        one(`${DELETE} RETURNING id`, pair.old(2)),
        one('DELETE FROM thing WHERE n > 1000 RETURNING id'),
        S(),
      ),
    ],
  },
  {
    name: 'tables that are whole on every shard',
    steps: (pair) => [
      step(
        one(UPDATE, pair.old(0), 1),
        one("INSERT INTO whole VALUES (77, 'x')"),
        one(UPDATE, pair.old(1), 1),
        one('SELECT * FROM whole ORDER BY id'),
        one("UPDATE whole SET name = 'y' WHERE id < $1", 3),
        one('SELECT t.id, w.name FROM thing t, whole w WHERE t.id = $1 AND w.id = 77', pair.old(2)),
        S(),
      ),
    ],
  },
  {
    name: 'two tables, and their rows together',
    steps: (pair) => [
      step(
        one("INSERT INTO part VALUES ($1, 2, 'second')", pair.old(0)),
        one("INSERT INTO part VALUES ($1, 2, 'second')", pair.old(1)),
        one(
          'SELECT t.name, p.note FROM thing t JOIN part p ON p.thing_id = t.id WHERE t.id = $1 ORDER BY p.no',
          pair.old(1),
        ),
        one(
          'SELECT t.id, count(*) FROM thing t JOIN part p ON p.thing_id = t.id GROUP BY t.id ORDER BY t.id',
        ),
        S(),
      ),
    ],
  },
  {
    name: 'statements of no table',
    steps: (pair) => [
      step(one('SELECT $1::int + 1', 4), updates(pair), one("SELECT 'x' AS a, NULL AS b"), rowOf(pair), S()),
    ],
  },
];

const PREPARED: BatchScript[] = [
  {
    name: 'a statement of the batch is bound many times',
    steps: (pair) => [
      step(
        P('ins', INSERT),
        D('S', 'ins'),
        [0, 1, 2, 0, 1, 2].flatMap((shard, index) => again('ins', pair.fresh(shard, index), 1, 'x')),
        S(),
      ),
      step(
        [2, 1, 0].flatMap((shard) => again('ins', pair.fresh(shard, 9), 2, null)),
        S(),
      ),
    ],
  },
  {
    name: 'statements that were prepared before',
    steps: (pair) => [
      step(P('u', UPDATE), P('r', READ), P('all', READ_ALL), S()),
      step(
        [0, 1, 2].flatMap((shard) => [...again('u', pair.old(shard), 3), ...again('r', pair.old(shard))]),
        again('all'),
        S(),
      ),
      step(again('all'), again('u', pair.old(1), 1), again('u', pair.old(0), 1), again('all'), S()),
    ],
  },
  {
    name: 'the unnamed one is bound for several shards after one Parse, as pgx and pgjdbc do it',
    steps: (pair) => [
      step(
        P('', UPDATE, [20, 23]),
        D('S', ''),
        [0, 1, 2, 1].flatMap((shard) => again('', pair.old(shard), 1)),
        S(),
      ),
    ],
  },
  {
    name: 'Describe of a statement and of a portal, before and behind its Execute',
    steps: (pair) => [
      step(
        P('r', READ),
        D('S', 'r'),
        B('', 'r', bound([pair.old(0)])),
        D('P', ''),
        E(''),
        D('S', 'r'),
        P('u', UPDATE),
        D('S', 'u'),
        B('', 'u', bound([pair.old(1), 1])),
        D('P', ''),
        E(''),
        P('a', READ_ALL),
        D('S', 'a'),
        B('', 'a'),
        D('P', ''),
        E(''),
        S(),
      ),
    ],
  },
  {
    name: 'Parse and Describe alone between others',
    steps: (pair) => [
      step(
        one(UPDATE, pair.old(0), 1),
        P('r', READ),
        D('S', 'r'),
        one(UPDATE, pair.old(1), 1),
        P('a', COUNT),
        S(),
      ),
      step(again('r', pair.old(2)), again('a'), S()),
    ],
  },
  {
    name: 'Close, and the name taken again',
    steps: (pair) => [
      step(
        P('s', UPDATE),
        again('s', pair.old(0), 1),
        again('s', pair.old(1), 1),
        C('S', 's'),
        P('s', READ),
        again('s', pair.old(0)),
        again('s', pair.old(2)),
        C('S', 's'),
        C('S', 'nobody'),
        C('P', 'nobody'),
        S(),
      ),
      step(again('s', pair.old(0)), S()),
    ],
  },
  {
    name: 'a name that is there is refused, and what is before it undone',
    steps: (pair) => [
      step(P('s', READ), S()),
      step(updates(pair), P('s', UPDATE), updates(pair), S()),
      step(again('s', pair.old(1)), again('s', pair.old(0)), S()),
    ],
  },
  {
    name: 'what a failed batch has prepared stays prepared',
    steps: (pair) => [
      step(P('s', READ), again('s', pair.old(0)), again('s', pair.old(1)), SYNTAX, P('t', READ), S()),
      step(again('s', pair.old(2)), again('s', pair.old(0)), S()),
      step(again('t', pair.old(2)), S()),
    ],
  },
  {
    name: 'portals with names, closed and executed in another order',
    steps: (pair) => [
      step(
        P('r', READ),
        B('p0', 'r', bound([pair.old(0)])),
        B('p1', 'r', bound([pair.old(1)])),
        B('p2', 'r', bound([pair.old(2)])),
        E('p2'),
        E('p0'),
        C('P', 'p1'),
        D('P', 'p0'),
        C('P', 'p0'),
        S(),
      ),
    ],
    mayRefuse: /shard/,
  },
];

const PORTIONS: BatchScript[] = [
  {
    name: 'a row limit on a statement of one shard that has fewer rows',
    steps: (pair) => [
      step(
        one(UPDATE, pair.old(0), 1),
        P('', READ),
        B('', '', bound([pair.old(1)])),
        D('P', ''),
        E('', 5),
        one(UPDATE, pair.old(2), 1),
        S(),
      ),
    ],
    mayRefuse: /shard/,
  },
  {
    name: 'a read of all shards in portions, between writes',
    steps: (pair) => [
      step(
        updates(pair),
        P('', READ_ALL),
        B('c', ''),
        D('P', 'c'),
        E('c', 4),
        E('c', 5),
        E('c'),
        updates(pair),
        S(),
      ),
    ],
    mayRefuse: /shard/,
  },
  {
    name: 'a portal of a transaction that goes on in the next batch',
    steps: (pair) => [
      step(Q('BEGIN')),
      step(updates(pair), P('', READ_ALL), B('c', ''), E('c', 4), S()),
      step(E('c', 4), updates(pair, 1), S()),
      step(E('c'), S()),
      step(Q('COMMIT')),
    ],
    mayRefuse: /shard|portal/,
  },
  {
    name: 'a limit of one row on writes, as JDBC has it',
    steps: (pair) => [
      step(
        [0, 1, 2].flatMap((shard) => [
          P('', UPDATE),
          B('', '', bound([pair.old(shard), 1])),
          D('P', ''),
          E('', 1),
        ]),
        S(),
      ),
    ],
    mayRefuse: /shard/,
  },
  {
    name: 'empty statements',
    steps: (pair) => [
      step(one(''), updates(pair), one(''), one(READ_ALL), one('-- nothing'), S()),
      step(one(UPDATE, pair.old(0), 1), one(';'), one(UPDATE, pair.old(1), 1), S()),
    ],
  },
];

export const PLAIN_SCRIPTS: BatchScript[] = [...WRITES, ...PREPARED, ...VALUE_SCRIPTS, ...PORTIONS];
