import { formatCount, formatSpan, type Occupancy } from '@pgdog-cluster/core/status';
import { element, setAttribute, setText } from './dom.js';

/** Server connections of a pool: busy, idle, and room for more; with words beside it, for not everybody sees bars. */
export class OccupancyMeter {
  readonly root: HTMLElement;
  readonly #busy = element('i', { class: 'busy' });
  readonly #idle = element('i', { class: 'idle' });
  readonly #text = element('span', { class: 'meter-text' });

  constructor() {
    const bar = element('span', { class: 'bar', 'aria-hidden': 'true' }, this.#busy, this.#idle);
    this.root = element('span', { class: 'meter' }, bar, this.#text);
  }

  show({ active, idle, limit, waiting, maxWaitMs }: Occupancy): void {
    const whole = Math.max(1, limit, active + idle);
    this.#busy.style.width = `${(100 * active) / whole}%`;
    this.#idle.style.width = `${(100 * idle) / whole}%`;
    const room = limit === 0 ? '' : ` of ${formatCount(limit)}`;
    const queue = waiting === 0 ? '' : `, ${formatCount(waiting)} waiting ${formatSpan(maxWaitMs)}`;
    setText(this.#text, `${formatCount(active)}${room} busy${queue}`);
    setAttribute(this.root, 'class', waiting > 0 ? 'meter is-full' : 'meter');
  }
}
