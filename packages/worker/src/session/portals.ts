// ● per-frame path
import { decodeName, type SqlPlan } from '@pgdog-cluster/core';
import { bindValues } from './bind-values.js';
import type { BindValues } from './effects.js';

/** What a portal will do when executed; only kept where it does something to the session. */
export interface PortalPlan {
  plan: SqlPlan;
  values: BindValues | null;
}

/** A client's portals of which the proxy has to know more than that they pass by. */
export class Portals {
  private unnamed: PortalPlan | null = null;
  private byName: Map<string, PortalPlan> | null = null;

  /** bytes[portalStart, portalEnd) is the name, bytes[valuesStart, end) the rest of the Bind. */
  note(
    plan: SqlPlan | null,
    bytes: Uint8Array,
    portalStart: number,
    portalEnd: number,
    valuesStart: number,
    end: number,
  ): void {
    if (portalStart === portalEnd) {
      this.unnamed = plan === null ? null : { plan, values: bindValues(plan, bytes, valuesStart, end) };
      return;
    }
    const name = decodeName(bytes, portalStart, portalEnd);
    if (plan === null) {
      this.byName?.delete(name);
      return;
    }
    // exempt: once per transaction at most, and only for portals that change the session
    this.byName ??= new Map();
    this.byName.set(name, { plan, values: bindValues(plan, bytes, valuesStart, end) });
  }

  find(bytes: Uint8Array, start: number, end: number): PortalPlan | null {
    if (start === end) return this.unnamed;
    if (this.byName === null) return null;
    return this.byName.get(decodeName(bytes, start, end)) ?? null;
  }

  /** Portals live no longer than a transaction. */
  forget(): void {
    this.unnamed = null;
    this.byName = null;
  }
}
