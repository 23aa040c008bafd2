/** A client with a tap, without any socket: what unit tests of mirroring work with. */
import { CLIENT_UTF8, loadSqlParser, READY } from '@pgdog-cluster/core';
import {
  CaptureBudget,
  type CapturedUnit,
  MirrorTap,
  NO_PARAMETERS,
  PlanCache,
  type PreparedStatement,
  StatementRegistry,
} from '@pgdog-cluster/worker';
import { P } from './frames.js';

const parser = await loadSqlParser();

/** A client with a tap, and what came of its units. */
export class MirrorRig {
  readonly registry = new StatementRegistry();
  readonly names = new Map<string, PreparedStatement>();
  readonly units: CapturedUnit[] = [];
  parameters = NO_PARAMETERS;
  unnamedText = '';
  failedCount = 0;
  isGone = false;
  readonly tap: MirrorTap;

  constructor(readsLevel = false, budget = new CaptureBudget()) {
    const rig = this;
    const session = {
      get parameters() {
        return rig.parameters;
      },
      statements: { get: (name: string) => rig.names.get(name), names: () => [...rig.names.keys()] },
      clientReading: CLIENT_UTF8,
      context: { plans: new PlanCache(parser, 100, 1_000_000) },
      requests: {
        extended: {
          unnamed: {
            get size() {
              return rig.unnamedText === '' ? 0 : P('', rig.unnamedText).length;
            },
            copied: () =>
              rig.unnamedText === '' ? null : { frame: P('', rig.unnamedText), plan: null, reported: null },
          },
        },
      },
    };
    this.tap = new MirrorTap(
      session,
      [
        {
          readsLevel,
          offer: (unit) => void this.units.push(unit),
          noteFailed: () => void this.failedCount++,
          sourceGone: () => {
            this.isGone = true;
          },
        },
      ],
      budget,
    );
  }

  /** Frames that are taken. */
  send(...frames: Buffer[]): this {
    for (const frame of frames) {
      this.tap.showing();
      this.tap.shown(true, frame[0], frame, 0, frame.length, frame.length);
    }
    return this;
  }

  ready(status: number = READY.Idle, owed = 0, hasError = false): this {
    this.tap.answered(status, hasError, owed);
    return this;
  }

  name(name: string, sql: string): PreparedStatement {
    const frame = P('', sql);
    const statement = this.registry.acquireParsed(frame, 6, frame.length, null, {
      readingKey: '',
      values: null,
      origin: null,
      ownKey: '',
      encoding: 'UTF8',
      definitions: 0,
    });
    this.names.set(name, statement);
    return statement;
  }

  /** What would be sent, exchange by exchange. */
  get sent(): string[][] {
    return this.units.map(({ exchanges }) =>
      exchanges.map(({ frames }) => Buffer.concat(frames).toString('latin1')),
    );
  }
}

export const textOf = (...frames: Buffer[]): string => Buffer.concat(frames).toString('latin1');
