/** What people call the statements whose tree node is not named like them. */
const LABELS: ReadonlyMap<string, string> = new Map([
  ['AlterObjectSchemaStmt', 'ALTER … SET SCHEMA'],
  ['AlterOwnerStmt', 'ALTER … OWNER TO'],
  ['AlterObjectDependsStmt', 'ALTER … DEPENDS ON'],
  ['AlterDatabaseSetStmt', 'ALTER DATABASE'],
  ['AlterRoleSetStmt', 'ALTER ROLE'],
  ['AlterSeqStmt', 'ALTER SEQUENCE'],
  ['CheckPointStmt', 'CHECKPOINT'],
  ['CompositeTypeStmt', 'CREATE TYPE'],
  ['CopyStmt', 'COPY'],
  ['CreateEnumStmt', 'CREATE TYPE'],
  ['CreateRangeStmt', 'CREATE TYPE'],
  ['CreatePLangStmt', 'CREATE LANGUAGE'],
  ['CreateSeqStmt', 'CREATE SEQUENCE'],
  ['CreateStmt', 'CREATE TABLE'],
  ['CreateTrigStmt', 'CREATE TRIGGER'],
  ['CreateTableAsStmt', 'CREATE TABLE AS'],
  ['CreatedbStmt', 'CREATE DATABASE'],
  ['DefineStmt', 'CREATE'],
  ['DropdbStmt', 'DROP DATABASE'],
  ['GrantRoleStmt', 'GRANT'],
  ['IndexStmt', 'CREATE INDEX'],
  ['RefreshMatViewStmt', 'REFRESH MATERIALIZED VIEW'],
  ['RenameStmt', 'ALTER … RENAME'],
  ['RuleStmt', 'CREATE RULE'],
  ['SecLabelStmt', 'SECURITY LABEL'],
  ['TransactionStmt', 'transaction control'],
  ['VariableSetStmt', 'SET'],
  ['VariableShowStmt', 'SHOW'],
  ['ViewStmt', 'CREATE VIEW'],
]);

function isUpper(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}

/** 'CREATE FUNCTION' for CreateFunctionStmt. */
export function statementLabel(kind: string): string {
  const known = LABELS.get(kind);
  if (known !== undefined) return known;
  const name = kind.endsWith('Stmt') ? kind.slice(0, -'Stmt'.length) : kind;
  let label = '';
  for (let i = 0; i < name.length; i++) {
    if (i > 0 && isUpper(name.charCodeAt(i)) && !isUpper(name.charCodeAt(i - 1))) label += ' ';
    label += name[i];
  }
  return label.toUpperCase();
}
