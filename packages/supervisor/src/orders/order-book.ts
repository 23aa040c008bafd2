import {
  HOLD_MAINTENANCE,
  HOLD_PAUSE,
  HOLD_SUSPEND,
  NO_ORDERS,
  type OperatorOrders,
  type Orders,
  ownOrders,
  PgDogError,
} from '@pgdog-cluster/core';

/**
 * What each order makes of those in force, as a function: nothing here waits or knows of workers. `database` null: all of
 * them. Refusals are PgDogErrors with PgBouncer's texts. See docs/internals/orders.md.
 */
export type OrderChange = (orders: OperatorOrders, epoch: number, names: readonly string[]) => OperatorOrders;

const NOTHING: OperatorOrders = { all: { ...NO_ORDERS }, databases: [] };

/** PgBouncer's words for PAUSE and SUSPEND of everything. */
const GLOBAL_HOLDS = HOLD_PAUSE | HOLD_SUSPEND;

export function ordersInForce(orders: OperatorOrders | undefined): OperatorOrders {
  return orders ?? NOTHING;
}

function refuse(text: string): never {
  throw new PgDogError('order_refused', text);
}

function withOwn(
  orders: OperatorOrders,
  database: string,
  change: (own: Readonly<Orders>) => Partial<Orders>,
): OperatorOrders {
  const own = ownOrders(orders, database);
  const others = orders.databases.filter((one) => one.database !== database);
  return { ...orders, databases: [...others, { ...own, ...change(own), database }] };
}

function changed(
  orders: OperatorOrders,
  database: string | null,
  change: (own: Readonly<Orders>) => Partial<Orders>,
): OperatorOrders {
  if (database !== null) return withOwn(orders, database, change);
  return { ...orders, all: { ...orders.all, ...change(orders.all) } };
}

/** Of one while all are held: the others stay held. */
export function maintenance(isOn: boolean, database: string | null): OrderChange {
  const set = (own: Readonly<Orders>) => ({
    holds: isOn ? own.holds | HOLD_MAINTENANCE : own.holds & ~HOLD_MAINTENANCE,
  });
  return (orders, _epoch, names) => {
    if (isOn) return changed(orders, database, set);
    let next = orders;
    const isAll = (orders.all.holds & HOLD_MAINTENANCE) !== 0;
    const others = names.filter((name) => isAll && database !== null && name !== database);
    for (const name of others) {
      next = withOwn(next, name, ({ holds }) => ({ holds: holds | HOLD_MAINTENANCE }));
    }
    next = changed(next, null, set);
    const ended = database === null ? next.databases.map((one) => one.database) : [database];
    for (const name of ended) next = withOwn(next, name, set);
    return next;
  };
}

export function pause(database: string | null): OrderChange {
  return (orders) => {
    if (database === null && (orders.all.holds & GLOBAL_HOLDS) !== 0) refuse('already suspended/paused');
    return changed(orders, database, ({ holds }) => ({ holds: holds | HOLD_PAUSE }));
  };
}

export function suspend(): OrderChange {
  return (orders) => {
    if ((orders.all.holds & GLOBAL_HOLDS) !== 0) refuse('already suspended/paused');
    if (orders.databases.some(({ holds }) => (holds & HOLD_PAUSE) !== 0)) {
      refuse('cannot suspend with paused databases');
    }
    return changed(orders, null, ({ holds }) => ({ holds: holds | HOLD_SUSPEND }));
  };
}

/** Of all: also what SUSPEND and KILL have held. Databases that were paused by name stay so, as with PgBouncer. */
export function resume(database: string | null): OrderChange {
  return (orders) => {
    const { holds } = database === null ? orders.all : ownOrders(orders, database);
    if ((holds & GLOBAL_HOLDS) === 0) {
      refuse(database === null ? 'pooler is not paused/suspended' : `database ${database} is not paused`);
    }
    return changed(orders, database, (own) => ({ holds: own.holds & ~GLOBAL_HOLDS }));
  };
}

/** Nobody is held any more; the other orders stay. */
export function liftHolds({ all, databases }: OperatorOrders): OperatorOrders {
  return {
    all: { ...all, holds: 0 },
    databases: databases.map((own) => ({ ...own, holds: 0 })),
  };
}

export function setDisabled(database: string, isDisabled: boolean): OrderChange {
  return (orders) => changed(orders, database, () => ({ isDisabled }));
}

export function reconnect(database: string | null): OrderChange {
  return (orders, epoch) => changed(orders, database, () => ({ reconnectEpoch: epoch }));
}

export function kill(database: string | null): OrderChange {
  return (orders, epoch) =>
    changed(orders, database, ({ holds }) => ({ holds: holds | HOLD_PAUSE, killEpoch: epoch }));
}
