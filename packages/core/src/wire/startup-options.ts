import { progress } from '../base/assert.js';
import { PgDogError } from '../base/errors.js';

/** Settings in the order given (a later one wins), or why the string is refused; then `settings` is empty. */
export interface StartupOptions {
  settings: [name: string, value: string][];
  error: PgDogError | null;
}

/**
 * The start-up parameter `options` (PGOPTIONS), read as Postgres reads it: words split at white space, a
 * backslash takes the next character as it is. Accepted: `-c name=value`, `-cname=value`, `--name=value`,
 * with dashes in names turned into underscores. Every other switch of the server's command line would have
 * to change a server connection that others use after this client, so it is refused.
 */
export function parseStartupOptions(text: string): StartupOptions {
  const settings: [string, string][] = [];
  const words = splitOptions(text);
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index];
    let setting: string | undefined;
    if (word === '-c') {
      index += 1;
      setting = words[index];
    } else if (word.startsWith('-c') || (word.startsWith('--') && word.length > 2)) {
      setting = word.slice(2);
    } else {
      return refuse(`invalid command-line argument for server process: ${word}`);
    }
    if (setting === undefined) return refuse('option requires an argument: -c');
    const equals = setting.indexOf('=');
    // `-c=x` and `--=x` too: no setting has an empty name.
    if (equals <= 0) return refuse(`${word.slice(0, 2)} ${setting} requires a name and a value`);
    settings.push([setting.slice(0, equals).replaceAll('-', '_'), setting.slice(equals + 1)]);
  }
  return { settings, error: null };
}

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
