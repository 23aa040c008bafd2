import type { HistoryPoint } from '@pgdog-cluster/core/status';
import { drawing, element, setText } from './dom.js';

/** Five minutes, of which the right end is now. */
const SPAN_MS = 300_000;
/** A pause longer than this is a gap in the line. */
const GAP_MS = 2500;
const HEIGHT = 150;
/** From here on there is room for a mark each minute. */
const WIDE = 420;
const MARGIN = { top: 8, right: 8, bottom: 18, left: 52 };

export interface Series {
  name: string;
  /** Of the line, for the style sheet. */
  class: string;
  value: (point: HistoryPoint) => number | null;
  /** No line where there is nothing to see. */
  isHiddenAtZero?: boolean;
}

export interface ChartOptions {
  series: readonly Series[];
  format: (value: number) => string;
  /** Powers of ten, for values that differ by much. */
  isLogarithmic: boolean;
  /** At least that much fits. */
  ceilingMin: number;
}

interface Scale {
  ticks: number[];
  /** 0 at the bottom, 1 at the top. */
  place: (value: number) => number;
}

/** 1, 2 or 5 times a power of ten, so that there are at most four steps. */
function linearScale(max: number): Scale {
  const rough = max / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? 10 * power;
  const count = Math.max(1, Math.ceil(max / step));
  const ticks = Array.from({ length: count + 1 }, (_, index) => index * step);
  return { ticks, place: (value) => value / (count * step) };
}

function logarithmicScale(min: number, max: number): Scale {
  const low = Math.floor(Math.log10(Math.max(1, min)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(max)));
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  return { ticks, place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low) };
}

/** Lines over the last minutes, with a cursor for pointer and arrow keys whose reading stands above them as text. */
export class Chart {
  readonly #options: ChartOptions;
  readonly #picture = drawing('svg', { height: HEIGHT, tabindex: 0, role: 'img' });
  readonly #grid = drawing('g', { class: 'grid' });
  readonly #lines: SVGPathElement[];
  readonly #cursor = drawing('line', { class: 'cursor', y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
  readonly #reading = element('p', { class: 'reading' });
  #points: readonly HistoryPoint[] = [];
  #width = 0;
  /** Epoch ms; null = none. */
  #cursorMs: number | null = null;

  constructor(parent: HTMLElement, options: ChartOptions) {
    this.#options = options;
    this.#lines = options.series.map((series) => drawing('path', { class: `line ${series.class}` }));
    this.#picture.append(this.#grid, ...this.#lines, this.#cursor);
    parent.append(this.#reading, this.#picture);
    new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width;
      this.#draw();
    }).observe(this.#picture);
    this.#picture.addEventListener('pointermove', ({ offsetX }) => this.#point(this.#timeAt(offsetX)));
    this.#picture.addEventListener('pointerleave', () => this.#point(null));
    this.#picture.addEventListener('blur', () => this.#point(null));
    this.#picture.addEventListener('keydown', (event) => this.#onKey(event));
  }

  show(points: readonly HistoryPoint[]): void {
    this.#points = points;
    this.#draw();
  }

  #onKey(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined || this.#points.length === 0) return;
    event.preventDefault();
    const last = this.#points.length - 1;
    const at =
      this.#cursorMs === null ? last : this.#nearest(this.#cursorMs) + step * (event.shiftKey ? 10 : 1);
    this.#point(this.#points[Math.max(0, Math.min(last, at))].atMs);
    this.#picture.setAttribute('aria-label', this.#reading.textContent ?? '');
  }

  #endMs(): number {
    return this.#points.at(-1)?.atMs ?? Date.now();
  }

  #x(atMs: number): number {
    const width = this.#width - MARGIN.left - MARGIN.right;
    return MARGIN.left + width * (1 - (this.#endMs() - atMs) / SPAN_MS);
  }

  #timeAt(x: number): number {
    const width = this.#width - MARGIN.left - MARGIN.right;
    return this.#endMs() - SPAN_MS * (1 - (x - MARGIN.left) / Math.max(1, width));
  }

  #nearest(atMs: number): number {
    let best = 0;
    this.#points.forEach((point, index) => {
      if (Math.abs(point.atMs - atMs) < Math.abs(this.#points[best].atMs - atMs)) best = index;
    });
    return best;
  }

  #point(atMs: number | null): void {
    this.#cursorMs = atMs;
    this.#read();
  }

  #scale(): Scale {
    const { series, isLogarithmic, ceilingMin } = this.#options;
    const values = this.#points.flatMap((point) =>
      series.map(({ value }) => value(point)).filter((value) => value !== null),
    );
    const max = Math.max(ceilingMin, ...values);
    return isLogarithmic ? logarithmicScale(Math.min(ceilingMin, ...values), max) : linearScale(max);
  }

  #draw(): void {
    if (this.#width < MARGIN.left + MARGIN.right) return;
    this.#picture.setAttribute('viewBox', `0 0 ${this.#width} ${HEIGHT}`);
    const { ticks, place } = this.#scale();
    const y = (value: number) =>
      HEIGHT - MARGIN.bottom - (HEIGHT - MARGIN.top - MARGIN.bottom) * place(value);
    this.#drawGrid(ticks, y);
    this.#options.series.forEach(({ value, isHiddenAtZero = false }, index) => {
      this.#lines[index].setAttribute('d', this.#path(value, y, isHiddenAtZero));
    });
    this.#read();
  }

  #drawGrid(ticks: readonly number[], y: (value: number) => number): void {
    const right = this.#width - MARGIN.right;
    const parts: SVGElement[] = [];
    for (const tick of ticks) {
      parts.push(drawing('line', { x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick) }));
      const label = drawing('text', { x: MARGIN.left - 6, y: y(tick) + 3.5, 'text-anchor': 'end' });
      label.textContent = this.#options.format(tick);
      parts.push(label);
    }
    const step = this.#width < WIDE ? 2 : 1;
    for (let minutes = 0; minutes <= 5; minutes += step) {
      const x = this.#x(this.#endMs() - minutes * 60_000);
      const anchor = minutes === 0 ? 'end' : minutes === 5 ? 'start' : 'middle';
      const label = drawing('text', { x, y: HEIGHT - 4, 'text-anchor': anchor });
      label.textContent = minutes === 0 ? 'now' : `−${minutes} min`;
      parts.push(label);
    }
    this.#grid.replaceChildren(...parts);
  }

  #path(value: Series['value'], y: (value: number) => number, isHiddenAtZero: boolean): string {
    let path = '';
    let lastMs = Number.NEGATIVE_INFINITY;
    for (const point of this.#points) {
      const each = value(point);
      const isInside = point.atMs >= this.#endMs() - SPAN_MS;
      if (each === null || !isInside || (isHiddenAtZero && each === 0)) continue;
      const isGap = point.atMs - lastMs > GAP_MS;
      // A point between two gaps is seen as a dot: a line of no length with round ends.
      path += `${isGap ? 'M' : 'L'}${this.#x(point.atMs).toFixed(1)} ${y(each).toFixed(1)}`;
      if (isGap) path += 'h0';
      lastMs = point.atMs;
    }
    return path;
  }

  /** The values at the cursor, or the last ones. */
  #read(): void {
    const point =
      this.#points[this.#cursorMs === null ? this.#points.length - 1 : this.#nearest(this.#cursorMs)];
    if (point === undefined) {
      setText(this.#reading, 'no figures yet');
      return;
    }
    const parts = this.#options.series.map((series) => {
      const value = series.value(point);
      const text = value === null ? '–' : this.#options.format(value);
      return { series, text };
    });
    const when =
      this.#cursorMs === null ? '' : new Date(point.atMs).toLocaleTimeString([], { hourCycle: 'h23' });
    const texts = parts.map(({ series, text }) =>
      element('span', { class: series.class }, `${series.name} `, element('b', { text })),
    );
    this.#reading.replaceChildren(...texts, element('span', { class: 'when', text: when }));
    if (this.#cursorMs === null) {
      const summary = parts.map(({ series, text }) => `${series.name} ${text}`).join(', ');
      this.#picture.setAttribute('aria-label', `the last five minutes; now ${summary}`);
    }
    const x = this.#x(point.atMs);
    this.#cursor.setAttribute('x1', String(x));
    this.#cursor.setAttribute('x2', String(x));
    this.#cursor.classList.toggle('is-hidden', this.#cursorMs === null);
  }
}
