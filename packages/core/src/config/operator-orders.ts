/** Why clients' next transactions wait. Bits: several may be in force. */
export const HOLD_MAINTENANCE = 1;
/** Server connections are closed as they come free, and none is opened but for transactions under way. */
export const HOLD_PAUSE = 2;
/** Clients wait before their next request, be they in a transaction or not. */
export const HOLD_SUSPEND = 4;

/** What the operator has ordered, of one database or of all. Never mixed with what is measured. */
export interface Orders {
  /** HOLD_… bits. */
  holds: number;
  /** New clients are refused. */
  isDisabled: boolean;
  /** Server connections opened under an earlier epoch are closed as they come free; 0 = all are good. */
  reconnectEpoch: number;
  /** A worker that takes this epoch up, coming from an earlier one, drops clients and server connections; 0 = none. */
  killEpoch: number;
}

export const NO_ORDERS: Readonly<Orders> = Object.freeze({
  holds: 0,
  isDisabled: false,
  reconnectEpoch: 0,
  killEpoch: 0,
});

export interface OperatorOrders {
  /** For every database, those that will be configured later included. */
  all: Orders;
  /** A list, since a database may have any name. Those without orders are left out. */
  databases: readonly (Orders & { database: string })[];
}

/** What was ordered of the database itself. */
export function ownOrders(orders: OperatorOrders | undefined, database: string): Readonly<Orders> {
  return orders?.databases.find((one) => one.database === database) ?? NO_ORDERS;
}

/** What holds for the database, by its own orders and those for all. */
export function ordersOf(orders: OperatorOrders | undefined, database: string): Readonly<Orders> {
  if (orders === undefined) return NO_ORDERS;
  return joinOrders(orders.all, ownOrders(orders, database));
}

export function joinOrders(all: Readonly<Orders>, own: Readonly<Orders>): Orders {
  return {
    holds: all.holds | own.holds,
    isDisabled: all.isDisabled || own.isDisabled,
    reconnectEpoch: Math.max(all.reconnectEpoch, own.reconnectEpoch),
    killEpoch: Math.max(all.killEpoch, own.killEpoch),
  };
}
