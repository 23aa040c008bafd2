import { type CursorUse, PgDogError } from '@pgdog-cluster/core';
import type { BatchFrames } from './batch-frames.js';
import { quoted } from './control-step.js';
import { type CrossShardRequest, inPortions, isWhole } from './cross-shard-request.js';
import type { CursorDesk } from './cursor-desk.js';
import type { DistributedTransaction } from './distributed-transaction.js';
import type { Leg } from './leg.js';
import type { Scatter } from './scatter.js';

/** Whoever takes requests to several shards. */
export interface CursorHost {
  /** As it is, on its shards. */
  run(request: CrossShardRequest): void;
  refuse(problem: PgDogError): void;
  /** It has been answered. `failure`: but for its error. */
  done(failure: Uint8Array | null): void;
}

/** DECLARE, FETCH, MOVE and CLOSE in a transaction over several shards: what each of them asks of whom. */
export class CursorRequests {
  private readonly scatter: Scatter;
  private readonly batch: BatchFrames;
  private readonly desk: CursorDesk;
  private readonly host: CursorHost;

  constructor(scatter: Scatter, batch: BatchFrames, desk: CursorDesk, host: CursorHost) {
    this.scatter = scatter;
    this.batch = batch;
    this.desk = desk;
    this.host = host;
  }

  /** @param transaction the client's; null: there is none */
  start(request: CrossShardRequest, use: CursorUse, transaction: DistributedTransaction | null): void {
    const { desk, host, batch } = this;
    if (transaction === null) {
      host.refuse(new PgDogError('cursor_outside_block'));
      return;
    }
    const spread = desk.spreadOf(use);
    const isFetch = use.kind === 'fetch' || use.kind === 'move';
    if (!batch.isQuery && batch.bound !== null && batch.executeCount !== 1) host.refuse(elsewhereExecuted());
    else if (spread !== null && isFetch)
      desk.portion(use, spread, batch.isQuery, (failure) => host.done(failure));
    else if (use.kind === 'declare' && this.isExecuted)
      this.declare(request, use.name, transaction.adoptedShard);
    else host.run(request);
  }

  /** The shard on which the transaction began may have a cursor of this name of which nobody here knows. */
  private declare(request: CrossShardRequest, name: string, adoptedShard: number | null): void {
    const { desk, host, scatter } = this;
    const problem = desk.problemOf(name);
    if (problem !== null) host.refuse(problem);
    else if (request.shards.length > 1 && isWhole(request)) host.refuse(inPortions(request));
    else if (adoptedShard === null || request.shards.includes(adoptedShard)) host.run(request);
    else {
      const sql = `DECLARE ${quoted(name)} NO SCROLL CURSOR FOR SELECT; CLOSE ${quoted(name)}`;
      scatter.order([{ leg: scatter.legOf(adoptedShard), sql }], ([failure]) => {
        if (failure === undefined) host.run(request);
        else host.done(failure.frame);
      });
    }
  }

  /** It does what it says, and is not only prepared. */
  private get isExecuted(): boolean {
    return this.batch.isQuery || this.batch.executeCount > 0;
  }

  /** Its shards have done it. */
  answered(request: CrossShardRequest, legs: readonly Leg[], depth: number): void {
    const { desk } = this;
    const use = request.cursor;
    if (use === null || !this.isExecuted) return;
    if (use.kind === 'declare') desk.declared(use, request, legs, depth);
    else if (use.kind === 'close' && use.name === null) desk.clear();
    else if (use.kind === 'close' && use.name !== null) desk.names.delete(use.name);
  }
}

function elsewhereExecuted(): PgDogError {
  const text =
    'what is done with cursors in a transaction over several shards is executed once, in the batch that binds it';
  return new PgDogError('cross_shard', text);
}
