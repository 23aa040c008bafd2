import {
  BACKEND,
  BIND_COMPLETE,
  FRONTEND,
  FrameWriter,
  NO_DATA,
  PARSE_COMPLETE,
  readParse,
  readTarget,
  type SqlPlan,
  TARGET,
} from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';

const HEADER_BYTES = 5;
const NO_PARAMETERS = new FrameWriter().begin(BACKEND.ParameterDescription).int16(0).end().take();
const completions = new Map<string, Uint8Array>();

/** Answers, frame by frame, an extended batch of one BEGIN, COMMIT or ROLLBACK that no server has to know of. */
export class MadeAnswer {
  private readonly session: Session;
  private readonly plan: SqlPlan;
  private readonly run: (text: string) => void;
  private readonly isPiece: boolean;

  /** @param run does it and sends its CommandComplete @param isPiece of a batch that goes on behind its Execute */
  constructor(session: Session, plan: SqlPlan, run: (text: string) => void, isPiece: boolean) {
    this.isPiece = isPiece;
    this.session = session;
    this.plan = plan;
    this.run = run;
  }

  /** True: the batch is over. */
  frame(type: number, bytes: Uint8Array, start: number, end: number): boolean {
    const { session } = this;
    switch (type) {
      case FRONTEND.Parse:
        if (readParse(bytes, start + HEADER_BYTES, end) !== null) {
          session.requests?.extended.unnamed.keepUnsent(bytes, start, end, this.plan);
        }
        session.send(PARSE_COMPLETE);
        return false;
      case FRONTEND.Bind:
        session.send(BIND_COMPLETE);
        return false;
      case FRONTEND.Describe: {
        const target = readTarget(bytes, start + HEADER_BYTES, end);
        if (target?.target === TARGET.Statement) session.send(NO_PARAMETERS);
        session.send(NO_DATA);
        return false;
      }
      case FRONTEND.Execute:
        this.run(session.requests?.extended.unnamed.text ?? '');
        return this.isPiece;
      case FRONTEND.Sync:
        session.sendReady();
        return true;
      default:
        return false;
    }
  }

  /** CommandComplete with this tag. */
  static completion(tag: string): Uint8Array {
    let frame = completions.get(tag);
    if (frame === undefined) {
      frame = new FrameWriter().begin(BACKEND.CommandComplete).cstring(tag).end().take();
      completions.set(tag, frame);
    }
    return frame;
  }
}
