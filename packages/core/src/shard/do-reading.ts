/**
 * DO of definitions alone, as migrations write them: CREATE TYPE or ADD CONSTRAINT that may be there already. Every other block
 * runs code that cannot be seen.
 *
 *     BEGIN { definition; | IF [NOT] EXISTS (SELECT … FROM a catalog) THEN definitions END IF; | NULL; }
 *     [EXCEPTION WHEN duplicate_object THEN NULL;] END
 *
 * What is caught must be of names alone: those are the same on all shards. Of what rows have (a value that is there twice), one shard
 * would go on where another has failed.
 */
import { isSqlNode, nodeOf, nodesOf, pathOf, type SqlNode, type SqlValue, textOf } from '../sql/sql-node.js';
import type { SqlParser } from '../sql/sql-parser.js';
import { StatementText, type TokenSpan } from '../sql/statement-text.js';

const OPEN = 0x28;
const SEMICOLON = 0x3b;

const DEFINITIONS: ReadonlySet<string> = new Set(
  (
    'CreateStmt CreateEnumStmt AlterEnumStmt CreateDomainStmt CompositeTypeStmt CreateSeqStmt AlterSeqStmt AlterTableStmt IndexStmt ' +
    'CreateSchemaStmt CreateExtensionStmt DropStmt RenameStmt CommentStmt ViewStmt CreateFunctionStmt CreateTrigStmt CreatePolicyStmt'
  ).split(' '),
);
const CONDITIONS: ReadonlySet<string> = new Set(
  (
    'duplicate_object duplicate_table duplicate_column duplicate_schema duplicate_function duplicate_alias ' +
    'undefined_object undefined_table undefined_column undefined_function invalid_schema_name'
  ).split(' '),
);
/** What they say of names is the same on all shards. */
const CATALOGS: ReadonlySet<string> = new Set(
  (
    'pg_type pg_class pg_constraint pg_namespace pg_attribute pg_index pg_indexes pg_tables pg_views pg_proc pg_enum pg_extension ' +
    'pg_trigger pg_policy pg_policies schemata tables columns views table_constraints key_column_usage constraint_column_usage ' +
    'referential_constraints check_constraints triggers routines sequences'
  ).split(' '),
);
const FUNCTIONS: ReadonlySet<string> = new Set(['current_schema', 'lower', 'to_regclass', 'to_regtype']);

/**
 * @param node fields of a DoStmt
 * @param isAlike whether a definition does the same on every shard
 */
export function isDefiningBlock(
  node: SqlNode,
  parser: SqlParser,
  isAlike: (kind: string, node: SqlNode) => boolean,
): boolean {
  const options = nodesOf(node, 'args').map((each) => nodeOf(each, 'DefElem') ?? {});
  const textFor = (name: string): string | undefined => {
    const option = options.find((each) => textOf(each, 'defname') === name);
    return option === undefined ? undefined : textOf(nodeOf(nodeOf(option, 'arg'), 'String'), 'sval');
  };
  const body = textFor('as');
  if (body === undefined || (textFor('language') ?? 'plpgsql') !== 'plpgsql') return false;
  return new Block(Buffer.from(body), parser, isAlike).isRead();
}

class Block {
  readonly #text: StatementText;
  readonly #bytes: Uint8Array;
  readonly #tokens: readonly TokenSpan[];
  readonly #parser: SqlParser;
  readonly #isAlike: (kind: string, node: SqlNode) => boolean;
  #at = 0;
  #definitions = 0;

  constructor(bytes: Uint8Array, parser: SqlParser, isAlike: (kind: string, node: SqlNode) => boolean) {
    this.#bytes = bytes;
    this.#text = new StatementText(bytes, 0, bytes.length);
    this.#tokens = this.#text.tokens;
    this.#parser = parser;
    this.#isAlike = isAlike;
  }

  isRead(): boolean {
    if (!this.#takes('begin') || !this.#statements(true)) return false;
    if (this.#takes('exception') && !this.#handlers()) return false;
    if (!this.#takes('end')) return false;
    this.#takesByte(SEMICOLON);
    return this.#definitions > 0 && this.#at === this.#tokens.length;
  }

  /** Up to END or EXCEPTION. */
  #statements(mayBranch: boolean): boolean {
    for (;;) {
      const word = this.#tokens[this.#at]?.word;
      if (word === undefined) return false;
      if (word === 'end' || word === 'exception') return true;
      const isRead = word === 'if' ? mayBranch && this.#branch() : this.#takesNull() || this.#definition();
      if (!isRead) return false;
    }
  }

  #branch(): boolean {
    this.#at++;
    this.#takes('not');
    if (!this.#takes('exists')) return false;
    const open = this.#at;
    if (!this.#takesByte(OPEN)) return false;
    const { depth } = this.#tokens[open];
    const close = this.#tokens.findIndex((token, at) => at > open && token.depth === depth);
    const query = close < 0 ? null : this.#parse(open + 1, close);
    if (query?.kind !== 'SelectStmt' || !readsCatalogs(query.node)) return false;
    this.#at = close + 1;
    const isRead = this.#takes('then') && this.#statements(false) && this.#takes('end') && this.#takes('if');
    return isRead && this.#takesByte(SEMICOLON);
  }

  #handlers(): boolean {
    let count = 0;
    for (; this.#takes('when'); count++) {
      do {
        const condition = this.#tokens[this.#at]?.word ?? '';
        if (!CONDITIONS.has(condition)) return false;
        this.#at++;
      } while (this.#takes('or'));
      if (!this.#takes('then')) return false;
      this.#takesNull();
    }
    return count > 0;
  }

  #takesNull(): boolean {
    const next = this.#tokens[this.#at + 1];
    if (this.#tokens[this.#at]?.word !== 'null' || !this.#isByte(next, SEMICOLON)) return false;
    this.#at += 2;
    return true;
  }

  #definition(): boolean {
    const end = this.#tokens.findIndex((token, at) => at > this.#at && this.#isByte(token, SEMICOLON));
    const statement = end < 0 ? null : this.#parse(this.#at, end);
    if (statement === null || !DEFINITIONS.has(statement.kind)) return false;
    this.#at = end + 1;
    this.#definitions++;
    return this.#isAlike(statement.kind, statement.node);
  }

  /** What stands in these tokens as one statement. */
  #parse(first: number, limit: number): { kind: string; node: SqlNode } | null {
    const parsed = this.#parser.parse(this.#text.between(first, limit));
    return parsed === null || parsed === 'unread' || parsed.length !== 1 ? null : parsed[0];
  }

  #takes(word: string): boolean {
    const isIt = this.#tokens[this.#at]?.word === word;
    if (isIt) this.#at++;
    return isIt;
  }

  #takesByte(byte: number): boolean {
    const isIt = this.#isByte(this.#tokens[this.#at], byte);
    if (isIt) this.#at++;
    return isIt;
  }

  #isByte(token: TokenSpan | undefined, byte: number): boolean {
    return token !== undefined && token.end - token.start === 1 && this.#bytes[token.start] === byte;
  }
}

/** Nothing but catalogs, by names: numbers of objects are each shard's own. */
function readsCatalogs(query: SqlNode): boolean {
  const stack: SqlValue[] = [query];
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (Array.isArray(value)) stack.push(...value);
    else if (isSqlNode(value)) {
      const relation = nodeOf(value, 'RangeVar');
      const schema = textOf(relation, 'schemaname');
      const isForeign = schema !== '' && schema !== 'pg_catalog' && schema !== 'information_schema';
      if (relation !== undefined && (isForeign || !CATALOGS.has(textOf(relation, 'relname')))) return false;
      if (relation !== undefined && schema === '' && !textOf(relation, 'relname').startsWith('pg_'))
        return false;
      const call = nodeOf(value, 'FuncCall');
      if (call !== undefined && !FUNCTIONS.has(pathOf(call, 'funcname').at(-1) ?? '')) return false;
      const number = nodeOf(nodeOf(value, 'A_Const'), 'ival')?.ival;
      if (typeof number === 'number' && number > OID_MAX) return false;
      for (const key in value) if (value[key] !== undefined) stack.push(value[key]);
    }
  }
  return true;
}

/** Of Postgres's own objects, which are the same everywhere. */
const OID_MAX = 9999;
