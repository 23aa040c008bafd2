import {
  formatCount,
  formatSpan,
  formatUs,
  type HistoryPoint,
  type StatusFrame,
} from '@pgdog-cluster/core/status';
import { Chart } from './chart.js';
import { ClusterView } from './cluster-view.js';
import { Connection, type LinkState } from './connection.js';
import { byId, setAttribute, setText } from './dom.js';
import { EventList } from './event-list.js';
import { Headline } from './headline.js';
import { PoolTable } from './pool-table.js';
import { ShapeTable } from './shape-table.js';
import { knownToken, TokenForm } from './token-form.js';
import { troubleText } from './trouble.js';

const HISTORY_MAX = 300;
const LINK_TEXTS: Record<LinkState, string> = {
  connecting: 'connecting',
  live: 'live',
  lost: 'no connection, trying again',
  refused: 'a token is needed',
};

/** The whole page: figures come in, views show them. */
class Page {
  readonly #headline = new Headline();
  readonly #throughput = new Chart(byId('throughput'), {
    series: [
      { name: 'queries', class: 'series-a', value: (point) => point.queriesPerS },
      { name: 'errors', class: 'series-bad', value: (point) => point.errorsPerS, isHiddenAtZero: true },
    ],
    format: formatCount,
    isLogarithmic: false,
    ceilingMin: 10,
  });
  readonly #latency = new Chart(byId('latency'), {
    series: [
      { name: 'p50', class: 'series-a', value: (point) => point.p50Us },
      { name: 'p99', class: 'series-b', value: (point) => point.p99Us },
    ],
    format: formatUs,
    isLogarithmic: true,
    ceilingMin: 1000,
  });
  readonly #cluster = new ClusterView();
  readonly #pools = new PoolTable();
  readonly #shapes = new ShapeTable();
  readonly #events = new EventList();
  readonly #connection: Connection;
  readonly #tokenForm: TokenForm;
  #history: HistoryPoint[] = [];
  #isPaused = false;
  #link: LinkState = 'connecting';

  constructor() {
    this.#tokenForm = new TokenForm((token) => this.#connection.setToken(token));
    this.#connection = new Connection(
      {
        onHistory: ({ points }) => this.#takeHistory(points),
        onStatus: (frame) => this.#take(frame),
        onState: (state) => this.#showLink(state),
      },
      knownToken(),
    );
    document.addEventListener('keydown', (event) => this.#onKey(event));
    void this.#connection.run();
  }

  /** What this page has seen itself is as good, and goes back further after a restart of the other side. */
  #takeHistory(points: readonly HistoryPoint[]): void {
    const last = this.#history.at(-1)?.atMs ?? 0;
    this.#history = [...this.#history, ...points.filter(({ atMs }) => atMs > last)].slice(-HISTORY_MAX);
  }

  #take(frame: StatusFrame): void {
    const { queriesPerS, errorsPerS, waiting, p50Us, p99Us } = frame.totals;
    this.#history.push({ atMs: frame.atMs, queriesPerS, errorsPerS, waiting, p50Us, p99Us });
    this.#history = this.#history.slice(-HISTORY_MAX);
    // Nobody sees a page in the background; it catches up with the next frame.
    if (!this.#isPaused && !document.hidden) this.#show(frame);
  }

  #show(frame: StatusFrame): void {
    const isWell = frame.unready === null;
    setText(byId('state'), frame.unready ?? 'serving');
    setAttribute(byId('state'), 'class', isWell ? 'pill good' : 'pill bad');
    setText(byId('about'), aboutText(frame));
    setText(byId('trouble'), troubleText(frame));
    this.#headline.show(frame);
    this.#throughput.show(this.#history);
    this.#latency.show(this.#history);
    this.#cluster.show(frame);
    this.#pools.show(frame);
    this.#shapes.show(frame);
    this.#events.show(frame);
    document.body.classList.add('has-figures');
  }

  #showLink(state: LinkState): void {
    if (state === 'refused') setText(byId('state'), 'locked');
    if (state === 'refused') this.#tokenForm.show(true);
    else if (state === 'live') this.#tokenForm.show(false);
    this.#link = state;
    this.#showState();
  }

  #showState(): void {
    const link = byId('link');
    setText(link, this.#isPaused ? 'paused' : LINK_TEXTS[this.#link]);
    setAttribute(link, 'class', `link ${this.#isPaused ? 'paused' : this.#link}`);
  }

  #onKey(event: KeyboardEvent): void {
    const isTyping = event.target instanceof HTMLInputElement;
    if (event.key === 'Escape' && event.target === this.#pools.filter) this.#pools.filter.blur();
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const section = { 1: 'cluster', 2: 'pools', 3: 'shapes', 4: 'events' }[event.key];
    if (section !== undefined) byId(section).scrollIntoView({ block: 'start' });
    else if (event.key === 'p') {
      this.#isPaused = !this.#isPaused;
      this.#showState();
    } else if (event.key === '/') {
      event.preventDefault();
      this.#pools.filter.focus();
    }
  }
}

function aboutText(frame: StatusFrame): string {
  const { version, startedMs, atMs, epoch, epochWorkers, workers, reload } = frame;
  const serving = workers.filter(({ state }) => state === 'serving').length;
  const late = epochWorkers < serving ? ` (taken up by ${epochWorkers} of ${serving} workers)` : '';
  // Seconds would change all the time.
  const upMs = Math.max(60_000, Math.floor((atMs - startedMs) / 60_000) * 60_000);
  return `${version} · up ${formatSpan(upMs).replace(' 0 s', '')} · configuration ${epoch}${late}${reloadText(reload)}`;
}

/** When it was taken up anew, by whom, and what of it waits for a restart. */
function reloadText({ atMs, trigger, error, pending }: StatusFrame['reload']): string {
  const when = new Date(atMs).toLocaleTimeString([], { hourCycle: 'h23' });
  const taken = trigger === 'start' || error !== '' ? '' : `, taken up at ${when} by ${trigger}`;
  return pending.length === 0 ? taken : `${taken}; ${pending.join(', ')} waits for a restart`;
}

new Page();
