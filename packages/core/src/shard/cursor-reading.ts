import { nodeOf, nodesOf, type SqlNode, textOf } from '../sql/sql-node.js';
import type { Refusal } from './shard-context.js';
import type { CursorUse } from './shard-reading.js';

/** CURSOR_OPT_… of parsenodes.h. */
const BINARY = 0x01;
const SCROLL = 0x02;
const HOLD = 0x20;
/** FETCH_ALL as the parser gives it, whose long is of 32 bits. */
const ALL = 0x7fff_ffff;

const ONE_SHARD = 'restrict the sharding key to one value';
const FORWARD_ONLY: Refusal = {
  reason: 'a cursor over several shards goes forward only',
  remedy: 'FETCH NEXT, n, ALL or FORWARD n, n being above 0',
};

/** DECLARE. */
export function readDeclared(node: SqlNode): CursorUse {
  return { kind: 'declare', name: textOf(node, 'portalname'), isBinary: (optionsOf(node) & BINARY) !== 0 };
}

/** What a cursor over several shards cannot be; null: nothing against it. */
export function declareRefusal(node: SqlNode): Refusal | null {
  const options = optionsOf(node);
  if ((options & HOLD) !== 0) {
    return {
      reason: 'a cursor WITH HOLD over several shards',
      remedy: `leave WITH HOLD out, or ${ONE_SHARD}`,
    };
  }
  const query = nodeOf(nodeOf(node, 'query'), 'SelectStmt');
  if (nodesOf(query, 'lockingClause').length > 0) {
    return {
      reason: 'a cursor over several shards that locks rows',
      remedy: `leave FOR UPDATE out, or ${ONE_SHARD}`,
    };
  }
  if ((options & SCROLL) === 0) return null;
  return { reason: 'a SCROLL cursor over several shards', remedy: `leave SCROLL out, or ${ONE_SHARD}` };
}

/** FETCH, MOVE, CLOSE; null: another statement. */
export function readCursorUse(kind: string, node: SqlNode): CursorUse | null {
  const name = textOf(node, 'portalname');
  if (kind === 'ClosePortalStmt') return { kind: 'close', name: name === '' ? null : name };
  if (kind !== 'FetchStmt') return null;
  const howMany = typeof node.howMany === 'number' ? node.howMany : 0;
  const isForward = textOf(node, 'direction') === 'FETCH_FORWARD' && howMany > 0;
  return {
    kind: node.ismove === true ? 'move' : 'fetch',
    name,
    count: howMany === ALL ? Number.POSITIVE_INFINITY : howMany,
    refusal: isForward ? null : FORWARD_ONLY,
  };
}

function optionsOf({ options }: SqlNode): number {
  return typeof options === 'number' ? options : 0;
}
