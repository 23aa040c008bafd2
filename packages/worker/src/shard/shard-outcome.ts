/** What becomes of a frame, as far as shards are concerned; an error: it is refused. */
import type { PgDogError } from '@pgdog-cluster/core';

/** The frame must wait, and will be shown again. */
export const HOLD = 'hold';
/** Nothing against it. */
export const GO_ON = null;
/** `request` is for several shards. */
export const SCATTER = 'scatter';
/** The session has no server connection any more, and its transaction is over several shards or held: the frame is to be shown again. */
export const SPREAD = 'spread';
/** The batch is to be shown again, and taken in pieces: its statements are not for one place. */
export const DIVIDE = 'divide';
export type ShardOutcome = PgDogError | typeof HOLD | typeof SCATTER | typeof SPREAD | typeof GO_ON;
