import { decodeName, FRONTEND, readBind, readParse, readTarget, TARGET } from '@pgdog-cluster/core';

const HEADER_BYTES = 5;

/**
 * Whether all that a batch says of statements is about the one that it binds: another may then stand in its place in each of
 * the frames. It is prepared once at most, ahead of whatever else is said of it. Others may be closed, and ahead of that what had
 * its name.
 */
export function isOfOneStatement(frames: readonly Uint8Array[]): boolean {
  const at = (type: number): number => frames.findIndex((frame) => frame[0] === type);
  const [bind, parse] = [at(FRONTEND.Bind), at(FRONTEND.Parse)];
  if (bind < 0) return true;
  const bound = statementOf(frames[bind]);
  return frames.every((frame, index) => {
    const name = statementOf(frame);
    if (name === null) return true;
    if (frame[0] === FRONTEND.Parse) return index === parse && index < bind && name === bound;
    if (frame[0] === FRONTEND.Close) return name !== bound || index > bind || index < parse;
    return name === bound && index > parse;
  });
}

/** The statement that it names; null: none. */
function statementOf(frame: Uint8Array): string | null {
  const [start, end] = [HEADER_BYTES, frame.length];
  switch (frame[0]) {
    case FRONTEND.Parse: {
      const fields = readParse(frame, start, end);
      return fields === null ? null : decodeName(frame, fields.nameStart, fields.nameEnd);
    }
    case FRONTEND.Bind: {
      const fields = readBind(frame, start, end);
      return fields === null ? null : decodeName(frame, fields.statementStart, fields.statementEnd);
    }
    case FRONTEND.Describe:
    case FRONTEND.Close: {
      const fields = readTarget(frame, start, end);
      if (fields?.target !== TARGET.Statement) return null;
      return decodeName(frame, fields.nameStart, fields.nameEnd);
    }
    default:
      return null;
  }
}
