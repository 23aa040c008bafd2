/** Longer than any frame: what does not end is no stream of ours. */
const PENDING_CHARS_MAX = 4_000_000;

export interface ServerEvent {
  /** `message` where none is given. */
  event: string;
  data: string;
}

/**
 * Takes server-sent events apart, whatever pieces they come in. Only what our own server sends: lines that end in \n,
 * `event`, `data` and comments.
 */
export class EventReader {
  #pending = '';

  /** @throws RangeError when an event does not end. */
  push(text: string): ServerEvent[] {
    this.#pending += text;
    const blocks = this.#pending.split('\n\n');
    this.#pending = blocks.pop() ?? '';
    if (this.#pending.length > PENDING_CHARS_MAX) throw new RangeError('an event does not end');
    return blocks.map(readBlock).filter((event) => event !== null);
  }
}

function readBlock(block: string): ServerEvent | null {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) event = line.slice('event: '.length);
    else if (line.startsWith('data: ')) data.push(line.slice('data: '.length));
  }
  return data.length === 0 ? null : { event, data: data.join('\n') };
}
