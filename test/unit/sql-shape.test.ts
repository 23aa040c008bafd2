// The shape against libpg-query's scanner and parser: over the corpus, and over mutations of it.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import {
  DEPENDS_ON_SETTINGS,
  loadSqlParser,
  parseSql,
  readShape,
  SeededRandom,
  SHAPE_LITERALS_MAX,
  SHAPE_READ,
  type SqlPlan,
  SYNTAX_ERROR,
  shape,
} from '@pgdog-cluster/core';
import { PlanCache } from '@pgdog-cluster/worker';
import { readWholeCorpus } from '../support/corpus.js';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const parser = await loadSqlParser();
const corpus = readWholeCorpus();

interface Token {
  start: number;
  end: number;
  tokenType: number;
  tokenName: string;
}

const require = createRequire(import.meta.resolve('@pgdog-cluster/core'));
const { scanSync } = require('libpg-query') as { scanSync(text: string): { tokens: Token[] } };

// Of Postgres 18's grammar, as libpg-query numbers them.
const FCONST = 260;
const SCONST = 261;
const USCONST = 262;
const BCONST = 263;
const XCONST = 264;
const ICONST = 266;
const LITERALS = new Set([FCONST, SCONST, USCONST, BCONST, XCONST, ICONST]);
const UIDENT = 259;

/** null when Postgres's scanner refuses the text, or the package cannot say what it found. */
function scan(text: string): Token[] | null {
  try {
    return scanSync(text).tokens.filter(({ tokenName }) => !tokenName.endsWith('COMMENT'));
  } catch {
    return null;
  }
}

/** libpg-query ends a string at a comment, where Postgres goes on with it behind the next newline. */
function isSplitAtComment(bytes: Buffer, tokens: readonly Token[]): boolean {
  return tokens.some((token, i) => {
    const before = tokens[i - 1];
    if (before === undefined || token.tokenType !== SCONST || !LITERALS.has(before.tokenType)) return false;
    return bytes.toString('latin1', before.end, token.start).includes('--');
  });
}

function textOf(bytes: Buffer, { start, end, tokenType }: Token): string {
  const text = bytes.toString('utf8', start, end);
  if (LITERALS.has(tokenType)) return '';
  // Quoted names keep their case.
  return text.startsWith('"') || tokenType === UIDENT
    ? text
    : text.replaceAll(/[A-Z]/g, (c) => c.toLowerCase());
}

/** Integers and other numbers are told apart by their size, about; see the note at readNumber. */
function kindOf({ tokenType }: Token): number {
  if (tokenType === USCONST) return SCONST;
  return tokenType === FCONST ? ICONST : tokenType;
}

function shapeOf(text: string): { bytes: Buffer; status: number; literals: [number, number][] } {
  const source = Buffer.from(text);
  const status = readShape(source, 0, source.length);
  const count = Math.min(shape.literalCount, SHAPE_LITERALS_MAX);
  return {
    status,
    bytes: Buffer.from(shape.bytes.subarray(0, shape.length)),
    literals: Array.from({ length: count }, (_, i) => [shape.literalStarts[i], shape.literalEnds[i]]),
  };
}

const COLLAPSING = ['in', 'array', 'values'];

/** Whether lists or rows may have been left out: then only the plans are compared. */
function mayCollapse(text: string): boolean {
  const words = text.toLowerCase().split(/[^a-z]+/);
  return COLLAPSING.some((word) => words.includes(word));
}

/** The shape's tokens are the text's, and so are its literals. @returns false when there was nothing to compare */
function compareTokens(text: string): boolean {
  const source = Buffer.from(text);
  const tokens = scan(text);
  // An escape in U&'…' is checked with the UESCAPE behind it, which the shape no longer fits.
  if (tokens === null || text.includes('\0') || isSplitAtComment(source, tokens) || mayCollapse(text))
    return false;
  if (text.toLowerCase().includes('uescape')) return false;
  const { status, bytes, literals } = shapeOf(text);
  const where = `seed ${seed}: ${JSON.stringify(text)} -> ${JSON.stringify(bytes.toString())}`;
  assert.equal(status, SHAPE_READ, where);
  const shaped = bytes.length === 0 ? [] : scan(bytes.toString());
  assert.ok(shaped !== null, where);
  assert.deepEqual(
    shaped.map((token) => [kindOf(token), textOf(bytes, token)]),
    tokens.map((token) => [kindOf(token), textOf(source, token)]),
    where,
  );
  const expected = tokens.filter(({ tokenType }) => LITERALS.has(tokenType));
  // N'…' is a word and a string to Postgres, one literal to us.
  const isNational = (at: number): boolean => (source[at] | 0x20) === 0x6e && source[at + 1] === 0x27;
  assert.deepEqual(
    literals.map(([start, end]) => [isNational(start) ? start + 1 : start, end]),
    expected.map(({ start, end }) => [start, end]),
    where,
  );
  return true;
}

/** What must be the same whatever the literals are. */
function essence(plan: SqlPlan): unknown {
  return {
    flags: plan.flags,
    route: plan.route,
    statements: plan.statements.map(({ flags, effect, calls, route }) => ({ flags, effect, calls, route })),
  };
}

/** The plan that comes by way of the shape is the plan of the text. @returns false when the grammar refuses it */
function comparePlans(cache: PlanCache, text: string): boolean {
  const bytes = Buffer.from(text);
  const full = parseSql(text, parser);
  const plan = cache.lookup(bytes, 0, bytes.length);
  if ((full.flags & SYNTAX_ERROR) !== 0 || full.statements.length === 0) return false;
  const where = `seed ${seed}: ${JSON.stringify(text)}`;
  // A syntax error here may be a literal's own, such as a wrong escape: never the other way round.
  const direct = { ...full, flags: full.flags | (plan.flags & DEPENDS_ON_SETTINGS) };
  assert.deepEqual(essence({ ...plan, route: { ...plan.route, directive: null } }), essence(direct), where);
  return true;
}

const PIECES = (
  "'|''|\"|$$|$t$|/*|*/|--|\n|\t| |;|(|)|[|]|,|.|..|:|::|:=|=|<|>|-|+|*|/|%|@|#|~|!|?|&|1|0x1F|0x_F|0xA_f|0b_1|1e5|1.|.5|1_0|$1|" +
  "E'\\''|e'a\\\\'|U&'\\0061'|n'x'|N'y'|b'1'|X'f'|U&\"a\"|\"b\"\"c\"|'a'\n'b'|'it''s'|ä|'ö'|\"ü\"|e|u|n|x|b|in (1, 2)|values (1), (2)|" +
  'array[1, 2]|,+ 2|,- 2|,- $1|null|true|select|from|where|and|as|/* a /* b */ c */|-- d\n|pgdog|_|$|9|Ab'
).split('|');

function mutate(random: SeededRandom, text: string): string {
  let made = text;
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = random.below(made.length + 1);
    const piece = PIECES[random.below(PIECES.length)];
    switch (random.below(4)) {
      case 0:
        made = made.slice(0, at) + piece + made.slice(at);
        break;
      case 1:
        made = made.slice(0, at) + made.slice(at + 1 + random.below(3));
        break;
      case 2:
        made = made.slice(0, at) + piece + made.slice(at + 1);
        break;
      default: {
        const other = corpus[random.below(corpus.length)];
        made = made.slice(0, at) + other.slice(random.below(other.length));
      }
    }
  }
  return made;
}

test('the corpus is of a size, and of every statement of Postgres 18', () => {
  assert.ok(corpus.length >= 2000, `${corpus.length} statements`);
  const kinds = new Set<string>();
  for (const text of corpus) {
    const parsed = parser.parse(text);
    assert.ok(
      Array.isArray(parsed) || text.startsWith('CREATE ASSERTION') || text.includes("-- x\n 'b'"),
      text,
    );
    if (Array.isArray(parsed)) for (const { kind } of parsed) kinds.add(kind);
  }
  const missing = STATEMENT_KINDS.filter((kind) => !kinds.has(kind));
  assert.deepEqual(missing, []);
});

test('what closes more than it opens has no rows that could be left out', () => {
  assert.ok(compareTokens(') select cast(null as a) as b, cast(null as a) as c, (1) as d, (1)'));
});

test(`the shape has the tokens and literals that Postgres's scanner finds (seed ${seed})`, () => {
  const ofCorpus = corpus.filter(compareTokens).length;
  assert.ok(ofCorpus > corpus.length * 0.8, `only ${ofCorpus} of the corpus`);
  const random = new SeededRandom(seed);
  let ofMutants = 0;
  for (let round = 0; round < 10_000; round++) {
    if (compareTokens(mutate(random, corpus[random.below(corpus.length)]))) ofMutants++;
  }
  assert.ok(ofMutants > 2000, `only ${ofMutants} mutants`);
});

test(`the plan of a shape is the plan of each of its texts (seed ${seed})`, () => {
  const cache = new PlanCache(parser, 50_000, 256 << 20, true);
  const ofCorpus = corpus.filter((text) => comparePlans(cache, text)).length;
  assert.ok(ofCorpus > corpus.length * 0.98, `only ${ofCorpus} of the corpus`);
  // And once more, from the cache.
  for (const text of corpus) comparePlans(cache, text);
  const random = new SeededRandom(seed + 1);
  let ofMutants = 0;
  for (let round = 0; round < 10_000; round++) {
    if (comparePlans(cache, mutate(random, corpus[random.below(corpus.length)]))) ofMutants++;
  }
  assert.ok(ofMutants > 500, `only ${ofMutants} mutants`);
});

/** What the grammar's `stmt` can be. */
const STATEMENT_KINDS = (
  'AlterCollationStmt AlterDatabaseRefreshCollStmt AlterDatabaseSetStmt AlterDatabaseStmt AlterDefaultPrivilegesStmt AlterDomainStmt ' +
  'AlterEnumStmt AlterEventTrigStmt AlterExtensionContentsStmt AlterExtensionStmt AlterFdwStmt AlterForeignServerStmt AlterFunctionStmt ' +
  'AlterObjectDependsStmt AlterObjectSchemaStmt AlterOpFamilyStmt AlterOperatorStmt AlterOwnerStmt AlterPolicyStmt AlterPublicationStmt ' +
  'AlterRoleSetStmt AlterRoleStmt AlterSeqStmt AlterStatsStmt AlterSubscriptionStmt AlterSystemStmt AlterTSConfigurationStmt ' +
  'AlterTSDictionaryStmt AlterTableMoveAllStmt AlterTableSpaceOptionsStmt AlterTableStmt AlterTypeStmt AlterUserMappingStmt CallStmt ' +
  'CheckPointStmt ClosePortalStmt ClusterStmt CommentStmt CompositeTypeStmt ConstraintsSetStmt CopyStmt CreateAmStmt CreateCastStmt ' +
  'CreateConversionStmt CreateDomainStmt CreateEnumStmt CreateEventTrigStmt CreateExtensionStmt CreateFdwStmt CreateForeignServerStmt ' +
  'CreateForeignTableStmt CreateFunctionStmt CreateOpClassStmt CreateOpFamilyStmt CreatePLangStmt CreatePolicyStmt CreatePublicationStmt ' +
  'CreateRangeStmt CreateRoleStmt CreateSchemaStmt CreateSeqStmt CreateStatsStmt CreateStmt CreateSubscriptionStmt CreateTableAsStmt ' +
  'CreateTableSpaceStmt CreateTransformStmt CreateTrigStmt CreateUserMappingStmt CreatedbStmt DeallocateStmt DeclareCursorStmt DefineStmt ' +
  'DeleteStmt DiscardStmt DoStmt DropOwnedStmt DropRoleStmt DropStmt DropSubscriptionStmt DropTableSpaceStmt DropUserMappingStmt DropdbStmt ' +
  'ExecuteStmt ExplainStmt FetchStmt GrantRoleStmt GrantStmt ImportForeignSchemaStmt IndexStmt InsertStmt ListenStmt LoadStmt LockStmt ' +
  'MergeStmt NotifyStmt PrepareStmt ReassignOwnedStmt RefreshMatViewStmt ReindexStmt RenameStmt RuleStmt SecLabelStmt SelectStmt ' +
  'TransactionStmt TruncateStmt UnlistenStmt UpdateStmt VacuumStmt VariableSetStmt VariableShowStmt ViewStmt'
).split(' ');
