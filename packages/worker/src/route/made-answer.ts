import {
  BACKEND,
  BIND_COMPLETE,
  decodeName,
  decodeText,
  FRONTEND,
  FrameWriter,
  NO_DATA,
  PARSE_COMPLETE,
  readBind,
  readParse,
  readTarget,
  type SqlPlan,
  TARGET,
} from '@pgdog-cluster/core';
import { currentReading } from '../session/client-statements.js';
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
  /** Of what has been bound last. */
  private text = '';

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
        this.parse(bytes, start, end);
        session.send(PARSE_COMPLETE);
        return false;
      case FRONTEND.Bind:
        this.bind(bytes, start, end);
        session.send(BIND_COMPLETE);
        return false;
      case FRONTEND.Describe: {
        const target = readTarget(bytes, start + HEADER_BYTES, end);
        if (target?.target === TARGET.Statement) session.send(NO_PARAMETERS);
        session.send(NO_DATA);
        return false;
      }
      case FRONTEND.Execute:
        this.run(this.text);
        return this.isPiece;
      case FRONTEND.Sync:
        session.sendReady();
        return true;
      default:
        return false;
    }
  }

  private parse(bytes: Uint8Array, start: number, end: number): void {
    const { session, plan } = this;
    const fields = readParse(bytes, start + HEADER_BYTES, end);
    if (fields === null) return;
    if (fields.nameStart === fields.nameEnd) {
      session.requests?.extended.unnamed.keepUnsent(bytes, start, end, plan);
      return;
    }
    const { statements, context } = session;
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    const reading = currentReading(session);
    statements.underWay?.isNew(name);
    statements.set(
      name,
      context.statements.acquireParsed(bytes, fields.textStart, end, plan, reading),
      session,
    );
  }

  /** JDBC gives BEGIN a name when it has been used a few times: it need not be what was prepared last. */
  private bind(bytes: Uint8Array, start: number, end: number): void {
    const { session } = this;
    const fields = readBind(bytes, start + HEADER_BYTES, end);
    const name = fields === null ? '' : decodeName(bytes, fields.statementStart, fields.statementEnd);
    const frame = name === '' ? null : (session.statements.get(name)?.frame ?? null);
    const parse = frame === null ? null : readParse(frame, HEADER_BYTES, frame.length);
    this.text =
      frame === null || parse === null
        ? (session.requests?.extended.unnamed.text ?? '')
        : decodeText(frame, parse.textStart, parse.textEnd);
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
