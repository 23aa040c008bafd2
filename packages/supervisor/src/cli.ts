import yargs, { type Argv } from 'yargs';
import { type CommandIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from './commands/exit-code.js';
import type { ConfigurationOptions } from './config/config-file.js';
import { sourceTrace } from './log/source-trace.js';
import { VERSION } from './version.js';

/** As many as the table of workers in shared memory may have. */
const WORKERS_MAX = 256;
/** More than that we refuse ourselves when a server asks for it (SCRAM_ITERATIONS_MAX). */
const ITERATIONS_MAX = 100_000;
const HELP_WIDTH = 80;

/** Wrong usage: told in one line, exit code 2. */
class UsageError extends Error {}

/** yargs hands over a repeated single option as a list; the last one counts, as everywhere. */
function last<T>(value: T | T[] | undefined): T | undefined {
  return Array.isArray(value) ? value[value.length - 1] : value;
}

function wholeNumber(name: string, min: number, max: number) {
  return (value: unknown): number | undefined => {
    if (value === undefined) return undefined;
    const number = Number(last(value as string | string[]));
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    throw new UsageError(`--${name}: expected a whole number from ${min} to ${max}`);
  };
}

function fileOptions<T>(argv: Argv<T>) {
  return argv
    .option('config', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      describe: 'pgdog.toml [./pgdog.toml]',
    })
    .option('users', { alias: 'u', type: 'string', requiresArg: true, describe: 'users.toml [./users.toml]' })
    .option('pgbouncer-ini', {
      type: 'string',
      requiresArg: true,
      describe: 'pgbouncer.ini, instead of both',
    })
    .option('database-url', {
      alias: 'd',
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'postgres://user:password@host:port/db?pool_size=N',
    });
}

/** `isBrief`: the less usual ones are not in the help, which fits a screen; that of `run` has them. */
function configurationOptions<T>(argv: Argv<T>, isBrief = false) {
  return fileOptions(argv)
    .option('workers', {
      type: 'string',
      requiresArg: true,
      describe: 'Worker threads [one per CPU]',
      coerce: wholeNumber('workers', 1, WORKERS_MAX),
    })
    .option('listen', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'addr:port, repeatable [0.0.0.0:6432]',
    })
    .option('pool-size', {
      alias: 'p',
      type: 'string',
      requiresArg: true,
      describe: 'Server connections per pool [10]',
      hidden: isBrief,
      coerce: wholeNumber('pool-size', 1, 65_535),
    })
    .option('min-pool-size', {
      alias: 'm',
      type: 'string',
      requiresArg: true,
      describe: 'Kept open per pool [1]',
      hidden: isBrief,
      coerce: wholeNumber('min-pool-size', 0, 65_535),
    })
    .option('session-mode', {
      alias: 's',
      type: 'boolean',
      describe: 'Pool by session',
      hidden: isBrief,
    });
}

interface RawOptions {
  config?: string | string[];
  users?: string | string[];
  pgbouncerIni?: string | string[];
  databaseUrl?: string[];
  workers?: number;
  listen?: string[];
  poolSize?: number;
  minPoolSize?: number;
  sessionMode?: boolean;
}

function toOptions(raw: RawOptions): ConfigurationOptions {
  return {
    config: last(raw.config),
    users: last(raw.users),
    pgbouncerIni: last(raw.pgbouncerIni),
    databaseUrls: raw.databaseUrl ?? [],
    workers: raw.workers,
    listen: raw.listen ?? [],
    poolSize: raw.poolSize,
    minPoolSize: raw.minPoolSize,
    isSessionMode: raw.sessionMode ?? false,
  };
}

function checkOptions(argv: Argv) {
  return configurationOptions(argv).option('connect', {
    type: 'boolean',
    default: false,
    describe: 'Log in to each server too',
  });
}

function routeOptions(argv: Argv) {
  return fileOptions(argv)
    .positional('statement', { type: 'string' })
    .option('file', { alias: 'f', type: 'string', requiresArg: true, describe: 'Of statements; - = stdin' })
    .option('database', { type: 'string', requiresArg: true, describe: 'Which one [the first]' })
    .option('connect', { type: 'boolean', default: false, describe: 'Ask the catalog of the primary' })
    .option('json', { type: 'boolean', default: false });
}

function setupOptions(argv: Argv) {
  return fileOptions(argv).option('database', {
    type: 'string',
    requiresArg: true,
    describe: 'Which one [all with several shards]',
  });
}

function hashOptions(argv: Argv) {
  return argv
    .positional('password', { type: 'string' })
    .option('iterations', {
      type: 'string',
      requiresArg: true,
      describe: 'Of PBKDF2 [4096]',
      coerce: wholeNumber('iterations', 1, ITERATIONS_MAX),
    })
    .option('md5', {
      type: 'string',
      requiresArg: true,
      describe: 'Print the md5 hash for this user instead',
    });
}

function demoOptions(argv: Argv) {
  return argv
    .option('workers', {
      type: 'string',
      default: '2',
      requiresArg: true,
      coerce: wholeNumber('workers', 1, WORKERS_MAX),
    })
    .option('port', {
      type: 'string',
      default: '6432',
      requiresArg: true,
      coerce: wholeNumber('port', 1, 65_535),
    })
    .option('load', { type: 'boolean', default: false, describe: 'Run a pgbench-like load' });
}

function topOptions(argv: Argv) {
  return fileOptions(argv)
    .option('url', {
      type: 'string',
      requiresArg: true,
      describe: 'Its HTTP port; token: PGDOG_OPENMETRICS_TOKEN [as configured]',
    })
    .option('once', { type: 'boolean', default: false, describe: 'Print one frame' });
}

type SetExit = (code: ExitCode) => void;

/** Each command's code is imported when it runs: `hash` needs no thread pool and `check` no demo. */
function addServing(argv: Argv, isBrief: boolean, io: CommandIo, setExit: SetExit) {
  const checkNow = async (raw: RawOptions & { connect: boolean }): Promise<void> => {
    const { check } = await import('./commands/check.js');
    setExit(await check({ ...toOptions(raw), connect: raw.connect }, io));
  };
  return (
    argv
      .command(
        ['run', '$0'],
        'Serve (the default)',
        (inner) =>
          configurationOptions(inner, isBrief).option('take-over', {
            alias: ['R', 'reboot'],
            type: 'boolean',
            default: false,
            describe: 'From the running process: no client is refused',
            hidden: isBrief,
          }),
        async (raw) => {
          const { run } = await import('./commands/run.js');
          setExit(await run({ ...toOptions(raw), isTakeOver: raw.takeOver }, io));
        },
      )
      .command('check', 'Is the configuration right?', checkOptions, checkNow)
      // PgDog's name of it.
      .command('configcheck', false, checkOptions, checkNow)
      .command('demo', 'Three Postgres servers and the proxy', demoOptions, async (raw) => {
        const { demo } = await import('./commands/demo.js');
        setExit(await demo({ load: raw.load, workers: raw.workers ?? 2, port: raw.port ?? 6432 }));
      })
      .command('setup', 'Make on all shards what commits need', setupOptions, async (raw) => {
        const { setup } = await import('./commands/setup.js');
        setExit(await setup({ ...toOptions(raw), database: last(raw.database) ?? null }, io));
      })
  );
}

/** What needs no server, or only asks. */
function addTools(argv: Argv, io: CommandIo, setExit: SetExit) {
  return argv
    .command('hash [password]', 'SCRAM verifier of a password', hashOptions, async (raw) => {
      const { hash } = await import('./commands/hash.js');
      setExit(await hash(raw, io));
    })
    .command(
      'import-pgbouncer <ini>',
      'Write it as pgdog.toml, users.toml',
      (inner) =>
        inner
          .positional('ini', { type: 'string', demandOption: true })
          .option('out', { alias: 'o', type: 'string', requiresArg: true, describe: 'Directory [.]' }),
      async (raw) => {
        const { importPgBouncer } = await import('./commands/import-pgbouncer.js');
        setExit(importPgBouncer({ ini: raw.ini, out: last(raw.out) ?? '.' }, io));
      },
    )
    .command('route [statement]', 'Where statements would go, and why', routeOptions, async (raw) => {
      const { route } = await import('./commands/route.js');
      const { statement, connect, json } = raw;
      const [file, database] = [last(raw.file), last(raw.database) ?? null];
      setExit(await route({ ...toOptions(raw), statement, file, database, connect, json }, io));
    })
    .command(
      'schema [file]',
      'JSON Schema of the configuration',
      (inner) =>
        inner.positional('file', { choices: ['pgdog', 'users', 'sql'] as const, default: 'pgdog' as const }),
      async (raw) => {
        const { schema } = await import('./commands/schema.js');
        setExit(schema(raw.file, io));
      },
    )
    .command('top', 'What runs, live in the terminal', topOptions, async (raw) => {
      const { top } = await import('./commands/top.js');
      setExit(await top({ ...toOptions(raw), url: last(raw.url), once: raw.once }, io));
    });
}

/**
 * The command line. Returns the exit code instead of exiting, so that output is flushed and tests can call it;
 * `run` returns when the proxy has stopped. Only what is not foreseen is thrown.
 */
export async function runCli(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  let exit: ExitCode = EXIT_OK;
  const setExit = (code: ExitCode) => {
    exit = code;
  };
  const serving = addServing(yargs([...argv]), argv[0] !== 'run', io, setExit);
  const parser = addTools(serving, io, setExit)
    .scriptName('pgdog-cluster')
    .usage('$0 [command] [options]   a pooling Postgres proxy for all cores')
    .parserConfiguration({ 'camel-case-expansion': true, 'parse-positional-numbers': false })
    .version(VERSION)
    .completion('completion', 'Completion script of the shell in use')
    .help()
    .alias('help', 'h')
    .strict()
    .wrap(HELP_WIDTH)
    .exitProcess(false)
    .fail((message, error) => {
      throw error instanceof Error ? error : new UsageError(message);
    });
  try {
    // Yargs would print it and go on to find that it knows no such command.
    if (argv[0] === 'completion') parser.showCompletionScript();
    else await parser.parseAsync();
    return exit;
  } catch (error) {
    if (error instanceof UsageError || (error instanceof Error && error.name === 'YError')) {
      io.err(`error: ${error.message}`);
      io.err('pgdog-cluster --help tells what there is');
      return EXIT_USAGE;
    }
    io.err(`error: ${error instanceof Error ? error.message : String(error)}`);
    if (process.env.PGDOG_TEST_HOOKS === '1' && error instanceof Error)
      io.err(sourceTrace(String(error.stack)));
    return EXIT_FAILED;
  }
}
