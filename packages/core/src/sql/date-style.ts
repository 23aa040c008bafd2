/** DateStyle is two settings under one name: a value may say one of the two and leave the other as it is. */

export interface DateStyle {
  /** Null: as it was. */
  readonly style: 'ISO' | 'SQL' | 'Postgres' | 'German' | null;
  /** Null: as it was. */
  readonly order: 'YMD' | 'DMY' | 'MDY' | null;
  /** What is not said is as the server has it by itself, not as it was. */
  readonly isFromDefault: boolean;
}

type Style = DateStyle['style'];
type Order = DateStyle['order'];

/** check_datestyle (variable.c of Postgres) compares some words by their beginning only. */
const STYLES: readonly (readonly [word: string, style: Style, isBeginning: boolean])[] = [
  ['iso', 'ISO', false],
  ['sql', 'SQL', false],
  ['postgres', 'Postgres', true],
  ['german', 'German', false],
];
const ORDERS: readonly (readonly [word: string, order: Order, isBeginning: boolean])[] = [
  ['ymd', 'YMD', false],
  ['dmy', 'DMY', false],
  ['euro', 'DMY', true],
  ['mdy', 'MDY', false],
  ['us', 'MDY', false],
  ['noneuro', 'MDY', true],
];

/** @returns null for what Postgres refuses */
export function readDateStyle(value: string): DateStyle | null {
  let style: Style = null;
  let order: Order = null;
  let isFromDefault = false;
  for (const item of value.split(',')) {
    const word = item.trim().replaceAll('"', '').toLowerCase();
    const known = STYLES.find(([name, , isBeginning]) => fits(word, name, isBeginning));
    const ordered = ORDERS.find(([name, , isBeginning]) => fits(word, name, isBeginning));
    if (word === 'default') isFromDefault = true;
    else if (known !== undefined) style = known[1];
    else if (ordered !== undefined) order = ordered[1];
    else return null;
  }
  // German dates have the day first, unless told otherwise.
  if (style === 'German') order ??= 'DMY';
  return { style, order, isFromDefault };
}

function fits(word: string, name: string, isBeginning: boolean): boolean {
  return isBeginning ? word.startsWith(name) : word === name;
}

/** What is in force after `next`, where `before` was. */
export function laterDateStyle(before: DateStyle, next: DateStyle): DateStyle {
  if (next.isFromDefault) return next;
  return {
    style: next.style ?? before.style,
    order: next.order ?? before.order,
    isFromDefault: before.isFromDefault,
  };
}

/** As a value that means the same whatever was in force before: what it does not say is the server's own default. */
export function dateStyleText({ style, order }: DateStyle): string {
  const words = [style === null || order === null ? 'default' : null, style, order];
  return words.filter((word) => word !== null).join(', ');
}
