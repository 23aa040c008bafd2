import type { LogEvent, StatusFrame } from '@pgdog-cluster/core/status';
import { arrange, byId, element, Keyed, setText } from './dom.js';

class EventRow {
  readonly root: HTMLElement;
  readonly #time = element('time', {});
  readonly #sign = element('span', { class: 'sign' });
  readonly #code = element('code', {});
  readonly #message = element('span', { class: 'message' });

  constructor() {
    this.root = element('li', {}, this.#time, this.#sign, this.#code, this.#message);
  }

  show({ atMs, level, code, message, count }: LogEvent): void {
    this.root.className = level;
    this.#time.dateTime = new Date(atMs).toISOString();
    setText(this.#time, new Date(atMs).toLocaleTimeString([], { hourCycle: 'h23' }));
    setText(this.#sign, level === 'error' ? '✕ error' : '▲ warning');
    setText(this.#code, code);
    setText(this.#message, count > 1 ? `${message} (${count}×)` : message);
  }
}

/** The last warnings and errors of the log, newest first. */
export class EventList {
  readonly #list = element('ul', {});
  readonly #rows = new Keyed(() => new EventRow());
  readonly #empty = element('p', { class: 'empty', text: 'None since the start.' });

  constructor() {
    byId('events').append(this.#empty, this.#list);
  }

  show({ events }: StatusFrame): void {
    this.#empty.hidden = events.length > 0;
    const keys = events.map(({ code, message }, index) => `${events.length - index} ${code} ${message}`);
    this.#rows.keep(new Set(keys));
    const rows = events.map((event, index) => {
      const row = this.#rows.get(keys[index]);
      row.show(event);
      return row.root;
    });
    arrange(this.#list, rows);
  }
}
