/** Batches for several shards whose keys and values come in every form: binary, text, literals, lists. */
import { again, type BatchScript, int8, one, READ, READ_ALL, step, UPDATE } from './batch-words.js';
import { B, D, E, P, S } from './frames.js';

export const VALUE_SCRIPTS: BatchScript[] = [
  {
    name: 'binary parameters and results',
    steps: (pair) => [
      step(
        P('u', UPDATE),
        P('r', READ),
        P('a', READ_ALL),
        [0, 1, 2].flatMap((shard) => [
          B('', 'u', { values: [int8(pair.old(shard)), '3'], valueFormats: [1, 0], resultFormats: [1] }),
          D('P', ''),
          E(''),
          B('', 'r', { values: [int8(pair.old(shard))], valueFormats: [1], resultFormats: [1, 0, 1] }),
          D('P', ''),
          E(''),
        ]),
        B('', 'a', { resultFormats: [1] }),
        D('P', ''),
        E(''),
        B('', 'a', { resultFormats: [0] }),
        E(''),
        S(),
      ),
    ],
  },
  {
    name: 'types that the client names, nulls, and texts of many bytes',
    steps: (pair) => [
      step(
        P('ins', 'INSERT INTO thing (id, n, name, at) VALUES ($1, $2, $3, $4)', [20, 23, 25, 1184]),
        ['', 'ä€😀', "o'clock; -- $1", null].flatMap((text, index) =>
          again(
            'ins',
            pair.fresh(index % 3, index),
            index,
            text,
            index === 0 ? null : '2020-01-02 03:04:05+00',
          ),
        ),
        one('SELECT id, name, at FROM thing WHERE name IS NULL OR id > $1 ORDER BY id', 30),
        S(),
      ),
    ],
  },
  {
    name: 'keys as literals of the text',
    steps: (pair) => [
      step(
        [0, 1, 2].flatMap((shard) => one(`UPDATE thing SET n = ${shard} WHERE id = ${pair.old(shard)}`)),
        [0, 1, 2].flatMap((shard) => one(`SELECT n FROM thing WHERE id = ${pair.old(shard)}`)),
        S(),
      ),
    ],
  },
  {
    name: 'keys in a list, of one shard and of several',
    steps: (pair) => [
      step(
        one(
          'SELECT id, n FROM thing WHERE id = ANY ($1::bigint[]) ORDER BY id',
          `{${pair.old(0)},${pair.old(1)}}`,
        ),
        one('UPDATE thing SET n = 3 WHERE id IN ($1, $2)', pair.old(0), pair.old(0, 1)),
        one('UPDATE thing SET n = n + 3 WHERE id IN ($1, $2)', pair.old(1), pair.old(0, 1)),
        S(),
      ),
    ],
  },
];
