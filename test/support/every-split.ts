/** Runs the same bytes in two pieces, cut at each offset in turn: the shape most framing defects have. */

/** Pure form: `feed` gets the pieces of one split. Errors name the offset. */
export async function everySplit(
  bytes: Buffer,
  feed: (pieces: Buffer[], offset: number) => void | Promise<void>,
): Promise<void> {
  for (let offset = 0; offset <= bytes.length; offset++) {
    const pieces = [bytes.subarray(0, offset), bytes.subarray(offset)].filter((piece) => piece.length > 0);
    try {
      await feed(pieces, offset);
    } catch (error) {
      throw new Error(`split at offset ${offset} of ${bytes.length}`, { cause: error });
    }
  }
}

/** Cut into single bytes: the extreme that two pieces do not cover. */
export function singleBytes(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.from([byte]));
}

interface ByteSink {
  send(...parts: Buffer[]): void;
}

/** Sends pieces as packets of their own: Nagle must be off at the sender, and the pause lets the reader run. */
export async function sendInPieces(client: ByteSink, pieces: Buffer[], pauseMs = 1): Promise<void> {
  for (const piece of pieces) {
    client.send(piece);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
