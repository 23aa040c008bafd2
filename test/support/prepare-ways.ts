import { B, E, P, Q, S } from './frames.js';

/** A way to prepare the statement `s` and to run it. */
export interface PrepareWay {
  prepare(text: string): Buffer[];
  run: Buffer[];
}

export const PREPARE_WAYS: Record<string, PrepareWay> = {
  Parse: { prepare: (text) => [P('s', text), S()], run: [B('', 's'), E(''), S()] },
  PREPARE: { prepare: (text) => [Q(`PREPARE s AS ${text}`)], run: [Q('EXECUTE s')] },
};
