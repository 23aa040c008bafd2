/** What is made ready to be computed for each group: see group-program.ts. */
import { decimal } from './decimal.js';
import { type GroupValue, isInteger, isNumber, type ValueType } from './group-value.js';
import { typeName } from './value-types.js';

/** One row of partial results: where its values are. */
export interface GroupRow {
  bytes: Uint8Array;
  /** By column: start and size, or NULL_SIZE. */
  readonly places: Int32Array;
}

export interface GroupProgram {
  readonly type: ValueType;
  /** The same for every row. */
  readonly isConstant?: boolean;
  run(row: GroupRow): GroupValue;
}

/** Why it cannot be computed here, in words: before there are rows. */
export class NoProgram extends Error {}

/** What is computed with is not what a server sends. */
export class MalformedGroup extends Error {}

const LADDER: readonly ValueType[] = ['int2', 'int4', 'int8', 'numeric'];

/** Of these the widest; of all else, they must be the same. */
export function commonType(args: readonly GroupProgram[]): ValueType {
  const types = args.map(({ type }) => type).filter((type) => type !== 'null');
  if (types.length === 0) return 'null';
  if (types.every(isNumber)) return LADDER[Math.max(...types.map((type) => LADDER.indexOf(type)))];
  if (types.every((type) => type === types[0])) return types[0];
  throw new NoProgram(
    `${nameOf(types[0])} beside ${nameOf(types.find((type) => type !== types[0]) ?? 'null')}`,
  );
}

export function nameOf(type: ValueType): string {
  return typeof type === 'number' ? typeName(type) : type;
}

/** As a value of the type that it has in common with others. */
export function widened({ type, run }: GroupProgram, to: ValueType): GroupProgram['run'] {
  if (to !== 'numeric' || !isInteger(type)) return run;
  return (row) => {
    const value = run(row);
    return value === null ? null : decimal(value as bigint);
  };
}
