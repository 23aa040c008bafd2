/** Statements, by the type of their top node, that need no reading of their own. */

/**
 * Change data or definitions, and leave the session alone but for what the expressions in them call.
 * ALTER ROLE/DATABASE/SYSTEM … SET are among them: they concern sessions that start later.
 */
const WRITING_KINDS =
  'InsertStmt UpdateStmt DeleteStmt MergeStmt TruncateStmt ' +
  'AlterCollationStmt AlterDatabaseRefreshCollStmt AlterDatabaseSetStmt AlterDatabaseStmt ' +
  'AlterDefaultPrivilegesStmt AlterDomainStmt AlterEnumStmt AlterEventTrigStmt AlterFdwStmt ' +
  'AlterForeignServerStmt AlterFunctionStmt AlterObjectDependsStmt AlterObjectSchemaStmt AlterOpFamilyStmt ' +
  'AlterOperatorStmt AlterOwnerStmt AlterPolicyStmt AlterPublicationStmt AlterRoleSetStmt AlterRoleStmt ' +
  'AlterSeqStmt AlterStatsStmt AlterSubscriptionStmt AlterSystemStmt AlterTSConfigurationStmt ' +
  'AlterTSDictionaryStmt AlterTableMoveAllStmt AlterTableSpaceOptionsStmt AlterTableStmt AlterTypeStmt ' +
  'AlterUserMappingStmt ClusterStmt CommentStmt CompositeTypeStmt CreateAmStmt CreateCastStmt ' +
  'CreateConversionStmt CreateDomainStmt CreateEnumStmt CreateEventTrigStmt CreateFdwStmt ' +
  'CreateForeignServerStmt CreateForeignTableStmt CreateOpClassStmt CreateOpFamilyStmt CreatePLangStmt ' +
  'CreatePolicyStmt CreatePublicationStmt CreateRangeStmt CreateRoleStmt CreateSchemaStmt CreateSeqStmt ' +
  'CreateStatsStmt CreateStmt CreateSubscriptionStmt CreateTableAsStmt CreateTableSpaceStmt ' +
  'CreateTransformStmt CreateTrigStmt CreateUserMappingStmt CreatedbStmt DefineStmt DropOwnedStmt ' +
  'DropRoleStmt DropStmt DropSubscriptionStmt DropTableSpaceStmt DropUserMappingStmt DropdbStmt ' +
  'GrantRoleStmt GrantStmt ImportForeignSchemaStmt IndexStmt ReassignOwnedStmt RefreshMatViewStmt ' +
  'ReindexStmt ReplicaIdentityStmt SecLabelStmt VacuumStmt';

/** Define code that runs later, elsewhere: what it calls is not called now. */
const DEFINING_KINDS = 'CreateFunctionStmt ViewStmt RuleStmt';

/** Neither write nor leave anything behind. */
const QUIET_KINDS = 'SelectStmt CheckPointStmt LockStmt NotifyStmt ConstraintsSetStmt FetchStmt';

const kinds = new Map<string, 'writing' | 'defining' | 'quiet'>();
for (const kind of WRITING_KINDS.split(' ')) kinds.set(kind, 'writing');
for (const kind of DEFINING_KINDS.split(' ')) kinds.set(kind, 'defining');
for (const kind of QUIET_KINDS.split(' ')) kinds.set(kind, 'quiet');

/**
 * Everything not listed may do anything: DO, CALL, LOAD, CREATE and ALTER EXTENSION (they run scripts), and
 * ALTER … RENAME, after which a temporary table no longer goes by the name it was created under.
 */
export function statementKind(kind: string): 'writing' | 'defining' | 'quiet' | 'unknown' {
  return kinds.get(kind) ?? 'unknown';
}

/** Make or change what may run unseen afterwards; CREATE SCHEMA does what stands in it. */
const CODE_KINDS = new Set(
  (
    'CreateFunctionStmt AlterFunctionStmt CreateTrigStmt CreateEventTrigStmt AlterEventTrigStmt ViewStmt RuleStmt ' +
    'CreatePolicyStmt AlterPolicyStmt CreateCastStmt CreateOpClassStmt AlterOpFamilyStmt DefineStmt CreateDomainStmt ' +
    'CreateSchemaStmt AlterDomainStmt CreateExtensionStmt AlterExtensionStmt AlterExtensionContentsStmt ImportForeignSchemaStmt'
  ).split(' '),
);

export function definesCode(kind: string): boolean {
  return CODE_KINDS.has(kind);
}

/** Of the statements that write, and of those nothing is known of, those that change no definitions. */
const DATA_KINDS = new Set(
  'InsertStmt UpdateStmt DeleteStmt MergeStmt TruncateStmt VacuumStmt ReindexStmt'.split(' '),
);
/** Unknown by what they do to the session, not by what they are; DO may do anything. */
const OTHER_DEFINITIONS = new Set(
  'RenameStmt CreateExtensionStmt AlterExtensionStmt AlterExtensionContentsStmt DoStmt'.split(' '),
);

/** What Postgres's log_statement = ddl logs. */
export function definesAnything(kind: string): boolean {
  const group = kinds.get(kind);
  if (group === 'writing') return !DATA_KINDS.has(kind);
  return group === 'defining' || OTHER_DEFINITIONS.has(kind);
}

/** After these a relation may be unlogged, foreign, a sequence, another one by its name, or have other columns. */
const RELATION_KINDS = new Set(
  'CreateStmt CreateTableAsStmt CreateForeignTableStmt CreateSchemaStmt AlterTableStmt RenameStmt AlterObjectSchemaStmt CreateSeqStmt'.split(
    ' ',
  ),
);

export function definesRelation(kind: string): boolean {
  return RELATION_KINDS.has(kind);
}
