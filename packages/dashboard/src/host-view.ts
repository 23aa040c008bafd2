import { formatBytes, formatSpan, type HostStatus } from '@pgdog-cluster/core/status';
import { element, setAttribute, setText } from './dom.js';

export type HostTone = 'good' | 'odd' | 'bad';

/** By a sign and by words, not by colour alone. */
const SIGNS: Record<HostTone, string> = { good: '●', odd: '▲', bad: '✕' };
/** Less is nothing to speak of. */
const LAG_SHOWN_MS = 100;

export function hostTone({ health, ban, orders }: HostStatus): HostTone {
  if (health === 'failing') return 'bad';
  return ban !== '' || orders !== '' || health !== 'healthy' ? 'odd' : 'good';
}

/** What is out of the ordinary, as words; empty = nothing. */
export function hostNote({ health, ban, orders, lagMs, lagBytes }: HostStatus): string {
  const parts: string[] = [];
  if (health !== 'healthy') parts.push(health === 'failing' ? 'failing' : 'not checked yet');
  if (ban !== '') parts.push(`banned: ${ban}`);
  if (orders !== '' && !(orders === 'ban' && ban !== '')) parts.push(`ordered: ${orders}`);
  if (lagMs !== null && lagMs >= LAG_SHOWN_MS) parts.push(`${formatSpan(lagMs)} behind`);
  else if (lagBytes !== null && lagBytes > 1e6) parts.push(`${formatBytes(lagBytes)} behind`);
  return parts.join(', ');
}

/** One server: how it is, what it is, where, how busy. */
export class HostView {
  readonly root: HTMLElement;
  readonly #sign = element('span', { class: 'sign', 'aria-hidden': 'true' });
  readonly #role = element('span', { class: 'role' });
  readonly #place = element('span', { class: 'place' });
  readonly #note = element('span', { class: 'host-note' });
  readonly #load = element('span', { class: 'load' });

  constructor() {
    this.root = element('li', {}, this.#sign, this.#role, this.#place, this.#load, this.#note);
  }

  show(host: HostStatus): void {
    const tone = hostTone(host);
    setAttribute(this.root, 'class', `host ${tone}`);
    setText(this.#sign, SIGNS[tone]);
    setText(this.#role, host.role === 'unknown' ? 'role unknown' : host.role);
    setText(this.#place, host.host.startsWith('/') ? host.host : `${host.host}:${host.port}`);
    setText(this.#note, hostNote(host));
    setText(this.#load, host.busyCount === 0 ? 'idle' : `${host.busyCount} busy`);
  }
}
