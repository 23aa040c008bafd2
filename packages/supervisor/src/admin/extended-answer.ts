import {
  type AdminQueryMessage,
  BACKEND,
  buildResult,
  formatRow,
  framesOf,
  NO_DATA,
  PgDogError,
  setFormats,
} from '@pgdog-cluster/core';
import { type AdminToken, splitCommands } from './admin-lexer.js';

/** Commands that answer with rows and change nothing: run to find their columns. */
const ROWS_OF: ReadonlySet<string> = new Set(['show', 'select']);

/** The one command of a Parse; null: an empty one. @throws PgDogError */
function onlyCommand(text: string): AdminToken[] | null {
  const commands = splitCommands(text);
  if (commands.length > 1) {
    throw new PgDogError('syntax_error', 'cannot insert multiple commands into a prepared statement');
  }
  const [command = null] = commands;
  const isParameter = ({ kind, text }: AdminToken) => kind === 'punctuation' && text.startsWith('$');
  if (command?.some(isParameter) === true) {
    throw new PgDogError('unsupported_feature', 'admin commands take no parameters', {
      hint: 'Write the value into the text of the command.',
    });
  }
  return command;
}

/**
 * Describe: RowDescription or NoData. Execute: what a Query would get, without RowDescription, in the formats that
 * were asked for. `run` answers the message as a Query.
 */
export async function answerExtended(
  message: AdminQueryMessage,
  run: () => Promise<Uint8Array[]>,
): Promise<Uint8Array[]> {
  const command = onlyCommand(message.text);
  const formats = message.formats ?? [];
  const isDescribe = message.step === 'describe';
  if (isDescribe && command?.[0].text === 'setup')
    return [describe(buildResult([{ name: 'result' }], [], ''), formats)];
  if (isDescribe && (command === null || !ROWS_OF.has(command[0].text))) return [NO_DATA];
  const answer = Buffer.concat(await run());
  if (isDescribe) return [describe(answer, formats)];
  let types: number[] = [];
  const frames: Uint8Array[] = [];
  for (const frame of framesOf(answer)) {
    if (frame[0] === BACKEND.RowDescription) types = setFormats(frame, formats);
    else frames.push(frame[0] === BACKEND.DataRow ? formatRow(frame, types, formats) : frame);
  }
  return frames;
}

/** The RowDescription among the frames, or the error that is there in its place. */
function describe(answer: Uint8Array, formats: readonly number[]): Uint8Array {
  for (const frame of framesOf(answer)) {
    if (frame[0] === BACKEND.ErrorResponse) return frame;
    if (frame[0] !== BACKEND.RowDescription) continue;
    setFormats(frame, formats);
    return frame;
  }
  return NO_DATA;
}
