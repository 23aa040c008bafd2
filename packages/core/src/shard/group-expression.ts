/** Types that are computed with over groups; names of pg_type. */
export type ComputedType = 'int2' | 'int4' | 'int8' | 'numeric' | 'bool';

export type GroupOperator =
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '='
  | '<>'
  | '<'
  | '<='
  | '>'
  | '>='
  /** IS NOT DISTINCT FROM */
  | 'same'
  | 'negate'
  | 'abs'
  | 'round'
  | 'and'
  | 'or'
  | 'not'
  | 'isNull'
  | 'isTrue'
  | 'isFalse'
  | 'coalesce'
  | 'nullif'
  | 'greatest'
  | 'least'
  /** Condition, result, condition, result …, result of none of them. */
  | 'case'
  /** Of sum and count. */
  | 'avg'
  /** Of count, sum, and sum of squares. */
  | 'var_samp'
  | 'var_pop'
  | 'stddev_samp'
  | 'stddev_pop';

/** What is computed of one group, when the partial results of all shards are one. */
export type GroupExpression =
  /** A column of what the shards answer. */
  | { readonly kind: 'column'; readonly column: number }
  /** `text`: of a number as it is written; '' for NULL, whose type is what it stands beside. */
  | { readonly kind: 'constant'; readonly type: ComputedType | 'null'; readonly text: string }
  | { readonly kind: 'call'; readonly operator: GroupOperator; readonly args: readonly GroupExpression[] }
  | { readonly kind: 'cast'; readonly to: CastTarget; readonly arg: GroupExpression };

export interface CastTarget {
  readonly type: ComputedType;
  /** Of numeric(precision, scale); null: as it is. */
  readonly modifier: { readonly precision: number; readonly scale: number } | null;
}

export function call(operator: GroupOperator, ...args: GroupExpression[]): GroupExpression {
  return { kind: 'call', operator, args };
}

export function constant(type: ComputedType | 'null', text: string): GroupExpression {
  return { kind: 'constant', type, text };
}

/** All that it is made of. */
export function columnsOf(expression: GroupExpression): number[] {
  if (expression.kind === 'column') return [expression.column];
  if (expression.kind === 'cast') return columnsOf(expression.arg);
  return expression.kind === 'call' ? expression.args.flatMap(columnsOf) : [];
}

/** How many parts it has, for each time that they are computed. */
export function sizeOfGroup(expression: GroupExpression): number {
  if (expression.kind === 'cast') return 1 + sizeOfGroup(expression.arg);
  if (expression.kind !== 'call') return 1;
  return expression.args.reduce((size, arg) => size + sizeOfGroup(arg), 1);
}
