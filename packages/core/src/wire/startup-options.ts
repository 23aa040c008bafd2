import { progress } from '../base/assert.js';
import { PgDogError } from '../base/errors.js';

/** Settings in the order given (a later one wins), or why the string is refused; then `settings` is empty. */
export interface StartupOptions {
  settings: [name: string, value: string][];
  error: PgDogError | null;
}

/**
 * What the switches of a server process set (process_postgres_switches): a name that takes the argument, or a name with its
 * value; null where a client's switch means nothing. What cannot be set for a session is refused by the server itself.
 */
const SWITCHES: Readonly<Record<string, string | readonly [name: string, value: string] | null>> = {
  B: 'shared_buffers',
  b: null,
  C: null,
  D: null,
  E: null,
  e: ['datestyle', 'euro'],
  F: ['fsync', 'false'],
  h: 'listen_addresses',
  i: ['listen_addresses', '*'],
  j: null,
  k: 'unix_socket_directories',
  l: ['ssl', 'true'],
  N: 'max_connections',
  n: null,
  O: ['allow_system_table_mods', 'true'],
  P: ['ignore_system_indexes', 'true'],
  p: 'port',
  r: null,
  S: 'work_mem',
  s: ['log_statement_stats', 'true'],
  T: null,
  v: null,
  W: 'post_auth_delay',
};
const WITH_ARGUMENT = new Set('BCcDdfhkNprStvW-');

/** `-f`: plans that are not made. */
const PLAN_KINDS: Readonly<Record<string, string>> = {
  s: 'enable_seqscan',
  i: 'enable_indexscan',
  o: 'enable_indexonlyscan',
  b: 'enable_bitmapscan',
  t: 'enable_tidscan',
  n: 'enable_nestloop',
  m: 'enable_mergejoin',
  h: 'enable_hashjoin',
};

/**
 * The start-up parameter `options` (PGOPTIONS), read as Postgres reads it: words split at white space, a
 * backslash takes the next character as it is, switches as getopt() has them (`-eS 64MB`), dashes in names turned into
 * underscores. All come to settings, which are the client's on whatever server connection.
 */
export function parseStartupOptions(text: string): StartupOptions {
  const words = splitOptions(text);
  const settings: [string, string][] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index];
    if (word === '--') {
      // The end of the switches: nothing else is expected.
      if (index + 1 < words.length) return refuse(invalid(words[index + 1]));
      break;
    }
    if (!word.startsWith('-') || word === '-') return refuse(invalid(word));
    for (let at = 1; at < word.length; at += 1) {
      const letter = word[at];
      let argument = '';
      if (WITH_ARGUMENT.has(letter)) {
        if (at + 1 === word.length && index + 1 === words.length) return refuse(invalid(word));
        argument = at + 1 < word.length ? word.slice(at + 1) : words[++index];
        at = word.length;
      }
      const problem = readSwitch(letter, argument, settings);
      if (problem !== null) return refuse(problem === '' ? invalid(words[index]) : problem);
    }
  }
  return { settings, error: null };
}

/** @returns why it is refused, '' where it is no switch or has a wrong argument; null: it has been taken */
function readSwitch(letter: string, argument: string, settings: [string, string][]): string | null {
  if (letter === 'c' || letter === '-') {
    const equals = argument.indexOf('=');
    const dashes = letter === 'c' ? '-c ' : '--';
    // No setting has an empty name.
    if (equals === 0) return `unrecognized configuration parameter in ${dashes}${argument}`;
    if (equals < 0) return `${dashes}${argument} requires a value`;
    settings.push([argument.slice(0, equals).replaceAll('-', '_'), argument.slice(equals + 1)]);
    return null;
  }
  if (letter === 'd') settings.push(...debugSettings(argument));
  else if (letter === 'f') {
    if (!Object.hasOwn(PLAN_KINDS, argument[0] ?? '')) return '';
    settings.push([PLAN_KINDS[argument[0]], 'false']);
  } else if (letter === 't') {
    const name = statisticsOf(argument);
    if (name === null) return '';
    settings.push([name, 'true']);
  } else {
    if (!Object.hasOwn(SWITCHES, letter)) return '';
    const meaning = SWITCHES[letter];
    if (meaning !== null) settings.push(typeof meaning === 'string' ? [meaning, argument] : [...meaning]);
  }
  return null;
}

/** set_debug_options() */
function debugSettings(argument: string): [string, string][] {
  const level = Number.parseInt(argument, 10) || 0;
  const settings: [string, string][] = [['log_min_messages', level > 0 ? `debug${level}` : 'notice']];
  if (level >= 2) settings.push(['log_statement', 'all']);
  if (level >= 3) settings.push(['debug_print_parse', 'true']);
  if (level >= 4) settings.push(['debug_print_plan', 'true']);
  if (level >= 5) settings.push(['debug_print_rewritten', 'true']);
  return settings;
}

/** get_stats_option_name() */
function statisticsOf(argument: string): string | null {
  if (argument.startsWith('pa')) return 'log_parser_stats';
  if (argument.startsWith('pl')) return 'log_planner_stats';
  return argument.startsWith('e') ? 'log_executor_stats' : null;
}

const invalid = (word: string): string => `invalid command-line argument for server process: ${word}`;

function refuse(message: string): StartupOptions {
  return { settings: [], error: new PgDogError('invalid_startup_option', message) };
}

/** isspace() of the C locale. */
function isSpace(character: string): boolean {
  return character === ' ' || (character >= '\t' && character <= '\r');
}

function splitOptions(text: string): string[] {
  const words: string[] = [];
  let at = 0;
  while (at < text.length) {
    while (at < text.length && isSpace(text[at])) at += 1;
    if (at === text.length) break;
    const wordStart = at;
    let word = '';
    while (at < text.length && !isSpace(text[at])) {
      // A backslash at the very end stands for nothing, as in Postgres.
      if (text[at] === '\\') at += 1;
      if (at < text.length) word += text[at];
      at += 1;
    }
    words.push(word);
    progress(wordStart, at);
  }
  return words;
}
