/** PGDOG_<KEY> variables: each fills the [general] key that the file leaves out. */
import { nearestKey } from './nearest-key.js';
import { describeValue } from './parse-document.js';
import type { ProblemList } from './problem-list.js';
import { generalSchema } from './schema.js';

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'PGDOG_';

/** Names that do not follow from the key: PgDog's own irregularities. */
const IRREGULAR: Record<string, string> = {
  PGDOG_CLIENT_LOG_TIMEOUT: 'client_login_timeout',
  PGDOG_SCHEMA_RELOAD_ON_DDL: 'reload_schema_on_ddl',
};

/** Other variables of ours and PgDog's, which are no [general] keys. */
const OTHERS = ['PGDOG_ADMIN_PASSWORD', 'PGDOG_OTEL_NAMESPACE', 'PGDOG_TEST_HOOKS'];
const OTHER_PREFIXES = ['PGDOG_DATABASE_URL_', 'PGDOG_MIRRORING_', 'PGDOG_SERVICE_', 'PGDOG_PORT_'];

/**
 * A Kubernetes service named "pgdog" puts PGDOG_PORT=tcp://10.0.0.1:6432 into every container of its
 * namespace. That is no setting of ours.
 */
function isServiceLink(name: string, value: string): boolean {
  return name === 'PGDOG_PORT' && value.startsWith('tcp://');
}

function keyOf(name: string): string {
  return IRREGULAR[name] ?? name.slice(PREFIX.length).toLowerCase();
}

/** What the text can stand for, most literal first: "10" is a text where a text is wanted. */
export function readings(text: string): unknown[] {
  const values: unknown[] = [text];
  if (text.trim() !== '' && Number.isFinite(Number(text))) values.push(Number(text));
  if (text === 'true' || text === '1') values.push(true);
  if (text === 'false' || text === '0') values.push(false);
  return values;
}

function warnAboutTypo(name: string, problems: ProblemList): void {
  if (OTHERS.includes(name) || OTHER_PREFIXES.some((prefix) => name.startsWith(prefix))) return;
  const key = keyOf(name);
  const nearest = nearestKey(key, Object.keys(generalSchema.shape));
  if (nearest === null) return;
  const place = { source: name, line: 0, key: '' };
  problems.warning(place, `no such setting, ignored; did you mean ${PREFIX}${nearest.toUpperCase()}?`);
}

export interface EnvironmentSettings {
  values: Record<string, unknown>;
  /** Key to the variable it came from. */
  names: Map<string, string>;
}

/** Values for the keys that `given` lacks. */
export function readEnvironment(
  environment: Environment,
  given: object,
  problems: ProblemList,
): EnvironmentSettings {
  const values: Record<string, unknown> = {};
  const names = new Map<string, string>();
  const shape: Record<string, { safeParse(value: unknown): { success: boolean; error?: unknown } }> =
    generalSchema.shape;
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || text === undefined || text === '' || isServiceLink(name, text)) continue;
    const key = keyOf(name);
    if (!Object.hasOwn(shape, key)) {
      warnAboutTypo(name, problems);
      continue;
    }
    if (Object.hasOwn(given, key)) continue;
    const value = readings(text).find((reading) => shape[key].safeParse(reading).success);
    if (value === undefined) {
      const refusal = generalSchema.safeParse({ [key]: text }).error?.issues[0].message ?? 'not accepted';
      problems.error({ source: name, line: 0, key: '' }, `${refusal}, got ${describeValue(text)}`);
      continue;
    }
    values[key] = value;
    names.set(key, name);
  }
  readNodeId(environment, given, { values, names }, problems);
  return { values, names };
}

/** Of a pod of a set, say, whose name ends in its number. */
function readNodeId(
  { NODE_ID }: Environment,
  given: object,
  { values, names }: EnvironmentSettings,
  problems: ProblemList,
): void {
  if (NODE_ID === undefined || NODE_ID === '' || Object.hasOwn(given, 'node_id') || names.has('node_id'))
    return;
  const digits = /^(?:.*-)?(\d{1,9})$/.exec(NODE_ID)?.[1];
  if (digits === undefined) {
    const text = `expected a number, or a name that ends in "-" and one, got ${describeValue(NODE_ID)}`;
    problems.error({ source: 'NODE_ID', line: 0, key: '' }, text);
    return;
  }
  values.node_id = Number(digits);
  names.set('node_id', 'NODE_ID');
}
