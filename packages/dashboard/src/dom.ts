/** Elements are made of tags, classes and texts, never of HTML: what comes from a database stays text. */

export type Child = Node | string;

export interface Traits {
  class?: string;
  text?: string;
  [attribute: string]: string | undefined;
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  traits: Traits = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(traits)) {
    if (value === undefined) continue;
    if (name === 'text') made.textContent = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const SVG = 'http://www.w3.org/2000/svg';

export function drawing<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, string | number> = {},
): SVGElementTagNameMap[Tag] {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** What the page is made with. @throws when the page is not ours. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}

/** A text that has not changed is not touched: no layout, and nothing for a screen reader to say again. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node: Element, name: string, value: string): void {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Shows exactly these, in this order, moving only what is elsewhere: focus and open details stay. */
export function arrange(parent: Element, wanted: readonly Element[]): void {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, index) => {
    const present = parent.children[index];
    if (present !== child) parent.insertBefore(child, present ?? null);
  });
}

/** One view per key, made when the key is first seen and forgotten when it is gone. */
export class Keyed<View extends { root: Element }> {
  readonly #views = new Map<string, View>();
  readonly #make: (key: string) => View;

  constructor(make: (key: string) => View) {
    this.#make = make;
  }

  get(key: string): View {
    let view = this.#views.get(key);
    if (view === undefined) {
      view = this.#make(key);
      this.#views.set(key, view);
    }
    return view;
  }

  /** Forgets all others. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of [...this.#views.keys()]) if (!keys.has(key)) this.#views.delete(key);
  }
}
