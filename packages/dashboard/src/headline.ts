import {
  counted,
  formatBytes,
  formatCount,
  formatPercent,
  formatUs,
  type StatusFrame,
} from '@pgdog-cluster/core/status';
import { byId, element, setAttribute, setText } from './dom.js';

interface Figure {
  name: string;
  value: (frame: StatusFrame) => string;
  /** What stands below it. */
  note: (frame: StatusFrame) => string;
  isBad?: (frame: StatusFrame) => boolean;
}

const limit = (value: number) => (value === 0 ? 'no limit' : `of ${formatCount(value)}`);

const FIGURES: readonly Figure[] = [
  {
    name: 'queries/s',
    value: ({ totals }) => formatCount(totals.queriesPerS),
    note: ({ totals }) => `${formatCount(totals.transactionsPerS)} transactions/s`,
  },
  {
    name: 'p99',
    value: ({ totals }) => formatUs(totals.p99Us),
    note: ({ totals }) => `half within ${formatUs(totals.p50Us)}`,
  },
  {
    name: 'clients',
    value: ({ totals }) => formatCount(totals.clients),
    note: ({ totals }) => limit(totals.clientLimit),
  },
  {
    name: 'waiting',
    value: ({ totals }) => formatCount(totals.waiting),
    note: ({ totals }) => `p99 of waits ${formatUs(totals.waitP99Us)}`,
    isBad: ({ totals }) => totals.waiting > 0,
  },
  {
    name: 'server connections',
    value: ({ totals }) => formatCount(totals.servers),
    note: ({ totals }) => limit(totals.serverLimit),
  },
  {
    name: 'errors/s',
    value: ({ totals }) => formatCount(totals.errorsPerS),
    note: () => 'said by servers',
    isBad: ({ totals }) => totals.errorsPerS >= 0.05,
  },
  {
    name: 'traffic',
    value: ({ totals }) => `${formatBytes(totals.sentPerS)}/s`,
    note: ({ totals }) => `${formatBytes(totals.receivedPerS)}/s from clients`,
  },
  {
    name: 'CPU',
    value: ({ totals }) => formatPercent(totals.cpuPercent),
    note: ({ totals, workers }) => `${counted(workers.length, 'worker')}, ${formatBytes(totals.memoryBytes)}`,
  },
];

/** The figures of this second, in large. */
export class Headline {
  readonly #cells = FIGURES.map((figure) => {
    const value = element('dd', { class: 'value', text: '–' });
    const note = element('dd', { class: 'note', text: ' ' });
    const root = element('div', {}, element('dt', { text: figure.name }), value, note);
    return { figure, root, value, note };
  });

  constructor() {
    byId('headline').append(...this.#cells.map(({ root }) => root));
  }

  show(frame: StatusFrame): void {
    for (const { figure, root, value, note } of this.#cells) {
      setText(value, figure.value(frame));
      setText(note, figure.note(frame));
      setAttribute(root, 'class', figure.isBad?.(frame) === true ? 'bad' : '');
    }
  }
}
