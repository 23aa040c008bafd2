/** A configuration that is edited by chance, as people and programs edit theirs: well, badly, and in ways nobody would. */
import {
  assembleConfig,
  ConfigurationError,
  formatProblem,
  type KnownConfig,
  type LoadedConfig,
} from '@pgdog-cluster/core/config';
import { Chance } from '../chaos/chance.js';

/** Of one [[databases]] or [[users]]: its lines, the header first. */
type Block = string[];

export interface RandomTexts {
  config: string;
  users: string;
  environment: Record<string, string>;
  files: Record<string, string>;
}

/** What an entry may have beside its name; some of it makes warnings, some errors. */
const DATABASE_LINES = [
  'pool_size = 7',
  'pool_size = 1',
  'min_pool_size = 2',
  'port = 6000',
  'port = 99999',
  'role = "replica"',
  'role = "boss"',
  'shard = 1',
  'database_name = "a name of more than a dozen letters"',
  'databse_name = "slip"',
  'password = "secret"',
  'password = ""',
  'password = { env = "PW" }',
  'password = { file = "pw" }',
  'auth_user = "app"',
  'auth_password = "asks"',
  'patroni_url = "http://10.0.0.1:8008"',
  'read_only = true # a remark [with] "brackets"',
  'resharding_only = true',
  'tls_verify = "prefer"',
  'tls_verify = "require"',
  'tls_verify = "disabled"',
  'tls_server_certificate = "none.pem"',
  'statement_timeout = 9223372036854775807',
  'host = "10.0.0.1:5432"',
  'max_db_connections = 9',
];
const USER_LINES = [
  'password = "hunter2"',
  'passwords = [\n  "one",\n  "two", # and no more\n]',
  'password_hash = "md50123456789abcdef0123456789abcdef"',
  'password_hash = "nonsense"',
  'password = { env = "PW" }',
  'all_databases = true',
  'database = "d1"',
  'databases = ["d1", "d2",\n"d3"]',
  'databases = [\n"d4",\n[["d5"]]\n]',
  'databases = ["nobody_has_it"]',
  'pool_size = 3',
  'min_pool_size = 8',
  'replication_mode = true',
  'server_auth = "rds_iam"',
  'max_user_connections = 4',
];
const GENERAL_LINES = [
  'default_pool_size = 4',
  'min_pool_size = 3',
  'auth_type = "md5"',
  'auth_user = "app"',
  'auth_password = "asks"',
  'passthrough_auth = "enabled"',
  'patroni_url = "http://10.0.0.9:8008"',
  'query_timeout = 5',
  'tls_verify = "disabled"',
  'query_log = "x"',
  'worker = 3',
];
/** Between the entries: tables, and texts that look like them. */
const STRANGE = [
  '[tcp]\nkeepalive = false',
  '[admin]\npassword = "admin"',
  '[general]\nport = 6000',
  '[databases.tls]\nx = 1',
  '[[databases]]',
  '[[ databases ]]\nname = "spaced"\nhost = "h"',
  ' [[databases]]\nname = "indented"\nhost = "h"',
  '[["databases"]]\nname = "quoted"\nhost = "h"',
  '[["users"]]\nname = "quoted"\npassword = "p"\nall_databases = true',
  '[[databases]] # remark\nname = "remarked"\nhost = "h"',
  '[[users]]\nname = "misplaced"\npassword = "p"',
  '[plugins]\nname = "x"',
  '[[mirroring]]\nsource_db = "d1"\ndestination_db = "d2"',
  '[[sharded_tables]]\ndatabase = "d1"\ncolumn = "id"\ndata_type = "bigint"',
  '[multi_tenant]\ncolumn = """\n[[databases]]\nname = "inside"\nhost = "h"\n[x]"""',
  "[multi_tenant]\ncolumn = '''a\n[[databases]]\nname = \"inside\"\nhost = \"h\"\n[a]'''",
  '[tcp]\nx = [\n[[databases]]\nname = "inside"\nhost = "h"\n[1]\n]',
  '[[databases]\nname = "x"',
  'lonely = 1',
  '# [[databases]]\n# name = "remark"',
  '\n\n\n',
  '[[databases]]\nname = "d1"\nhost = "10.0.0.1"',
  '[__proto__]\nx = 1',
];

export class RandomConfig {
  readonly #chance: Chance;
  #general: string[] = ['auth_type = "md5"'];
  #databases: Block[] = [];
  #users: Block[] = [];
  /** Place among the databases, and what stands there. */
  #strange: [place: number, text: string][] = [];
  readonly #edited = new Set<Block>();
  #password = 'from the variable';

  constructor(seed: number) {
    this.#chance = new Chance(seed);
    for (let count = 0; count < 24; count++) {
      this.#databases.push(this.#newDatabase());
      this.#users.push(this.#newUser());
    }
  }

  /** One edit or several; most of what is wrong goes again soon. */
  edit(): void {
    const chance = this.#chance;
    if (chance.is(75)) this.#strange = [];
    if (chance.is(75)) for (const list of [this.#databases, this.#users]) this.#mend(list);
    if (chance.is(75)) this.#general = ['auth_type = "md5"'];
    for (let left = chance.between(1, 3); left > 0; left--) this.#editOne();
  }

  texts(): RandomTexts {
    const end = this.#chance.is(10) ? '\r\n' : '\n';
    const parts = this.#databases.map((lines) => lines.join('\n'));
    for (const [place, text] of this.#strange) parts.splice(place % (parts.length + 1), 0, text);
    const whole = (list: string[]) => `${list.join('\n\n')}\n`.replaceAll('\n', end);
    return {
      config: whole([`[general]\n${this.#general.join('\n')}`, ...parts]),
      users: whole(this.#users.map((lines) => lines.join('\n'))),
      environment: { PW: this.#password },
      files: { pw: this.#password },
    };
  }

  #editOne(): void {
    const chance = this.#chance;
    const isUser = chance.is(40);
    const list = isUser ? this.#users : this.#databases;
    const place = chance.between(0, list.length - 1);
    const line = () => chance.pick(isUser ? USER_LINES : DATABASE_LINES);
    const edits: (() => void)[] = [
      () => list.splice(place, 0, isUser ? this.#newUser() : this.#newDatabase()),
      () => list.length > 3 && list.splice(place, 1),
      () => this.#put(list[place], line()),
      () => this.#put(list[place], line()),
      () => list.push(...list.splice(place, 1)),
      () => list.splice(place, 0, [...list[place]]),
      () => list[place].push('# nothing but a remark\n'),
      () => this.#put(this.#general, chance.pick(GENERAL_LINES)),
      () => this.#strange.push([chance.between(0, 99), chance.pick(STRANGE)]),
      () => {
        this.#password = `another ${chance.between(0, 9)}`;
      },
    ];
    const [before, entry] = [[...this.#databases], list[place]];
    chance.pick(edits)();
    // Never none at all.
    if (this.#databases.length === 0) this.#databases = before;
    if (entry.length > 8) entry.splice(4);
  }

  /** Instead of what it says of the same key, or, now and then, beside it. */
  #put(lines: string[], line: string): void {
    this.#edited.add(lines);
    const key = line.slice(0, line.indexOf('='));
    const place = lines.findIndex((one) => one.startsWith(key));
    if (place === -1 || this.#chance.is(5)) lines.push(line);
    else lines[place] = line;
  }

  #mend(list: Block[]): void {
    for (const [place, block] of list.entries()) {
      const isTwin = list.findIndex(([, name]) => name === block[1]) !== place;
      if (isTwin || this.#edited.has(block))
        list[place] = list === this.#users ? this.#newUser() : this.#newDatabase();
    }
  }

  #newDatabase(): Block {
    const name = this.#chance.between(1, 400);
    return ['[[databases]]', `name = "d${name}"`, `host = "10.0.0.${name % 5}"`];
  }

  #newUser(): Block {
    const name = this.#chance.between(1, 400);
    const database = this.#chance.is(10) ? 'all_databases = true' : `database = "d${name}"`;
    return ['[[users]]', `name = "u${name}"`, 'password = "a password of many letters"', database];
  }
}

/** The configuration, or what is wrong with it. */
export function readRandom(texts: RandomTexts, known?: KnownConfig): LoadedConfig | string[] {
  try {
    return assembleConfig({
      config: { name: 'pgdog.toml', text: texts.config },
      users: { name: 'users.toml', text: texts.users },
      commandLine: { listen: [], isSessionMode: false, databaseUrls: [] },
      environment: texts.environment,
      cpuCount: 3,
      readSecretFile: (path) => texts.files[path],
      known,
    });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map(formatProblem);
  }
}
