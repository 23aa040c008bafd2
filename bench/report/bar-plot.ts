/**
 * Bar plots as one SVG, without a library: panels below each other, each with groups of horizontal bars, the value in
 * figures at the bar's end and the spread over repeats as a whisker. Colours follow the reader's light or dark scheme.
 */

export interface Bar {
  /** Index into the plot's series. */
  series: number;
  value: number;
  min: number;
  max: number;
}

export interface BarGroup {
  label: string;
  bars: Bar[];
}

export interface Panel {
  title: string;
  digits: number;
  groups: BarGroup[];
}

export interface Series {
  name: string;
  /** Must stand out from white and from near-black. */
  colour: string;
}

export interface BarPlot {
  title: string;
  subtitle: string;
  series: Series[];
  panels: Panel[];
}

const WIDTH = 900;
const MARGIN = 24;
const COLUMN_COUNT = 2;
const COLUMN_WIDTH = (WIDTH - (COLUMN_COUNT + 1) * MARGIN) / COLUMN_COUNT;
const LABEL_WIDTH = 96;
/** Room for the figures right of the longest bar. */
const VALUE_WIDTH = 50;
const BAR_HEIGHT = 13;
const BAR_STEP = 16;
const GROUP_GAP = 12;
const PANEL_HEAD = 34;
const PANEL_GAP = 18;
const LEGEND_TOP = 84;
const LEGEND_STEP = 20;
const LEGEND_COLUMN_WIDTH = 284;
const LEGEND_COLUMNS = 3;

const STYLE = `
    .back { fill: #ffffff } .text { fill: #1f2430 } .faint { fill: #5b6472 } .axis { stroke: #b5bcc7 } .whisker { stroke: #1f2430 }
    text { font-family: system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; font-size: 12px }
    .title { font-size: 18px; font-weight: 600 } .panel { font-size: 14px; font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      .back { fill: #14171c } .text { fill: #e8ebf0 } .faint { fill: #a3acb9 } .axis { stroke: #4a5260 } .whisker { stroke: #e8ebf0 }
    }
  `;

/** XML 1.0: markup characters escaped, control characters dropped since no escape makes them legal. */
export function escapeXml(text: string): string {
  let safe = '';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 32 && code !== 9 && code !== 10 && code !== 13) continue;
    safe += character;
  }
  return safe
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function textAt(x: number, y: number, style: string, text: string, anchor = 'start'): string {
  return `<text x="${round(x)}" y="${round(y)}" class="${style}" text-anchor="${anchor}">${escapeXml(text)}</text>`;
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Large values with a narrow space between thousands, others with the panel's digits. */
function figure(value: number, digits: number): string {
  return digits > 0 ? value.toFixed(digits) : value.toFixed(0).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');
}

function panelHeight(panel: Panel): number {
  const bars = panel.groups.reduce((sum, group) => sum + group.bars.length * BAR_STEP + GROUP_GAP, 0);
  return PANEL_HEAD + bars + PANEL_GAP;
}

function legend(series: readonly Series[]): string[] {
  return series.flatMap(({ name, colour }, index) => {
    const x = MARGIN + (index % LEGEND_COLUMNS) * LEGEND_COLUMN_WIDTH;
    const y = LEGEND_TOP + Math.floor(index / LEGEND_COLUMNS) * LEGEND_STEP;
    const swatch = `<rect x="${x}" y="${y - 10}" width="12" height="12" rx="2" fill="${escapeXml(colour)}"/>`;
    return [swatch, textAt(x + 18, y, 'text', name)];
  });
}

/** Where a bar goes: left edge, top, and pixels per unit of the value. */
interface Place {
  left: number;
  top: number;
  scale: number;
}

function barAt(
  bar: Bar,
  label: string,
  series: Series,
  digits: number,
  { left, top, scale }: Place,
): string[] {
  // A negative value (memory that shrank) has no length, only its figure.
  const width = Math.max(1, bar.value * scale);
  const title = `<title>${escapeXml(`${label}, ${series.name}: ${figure(bar.value, digits)}`)}</title>`;
  const box = `x="${round(left)}" y="${round(top)}" width="${round(width)}" height="${BAR_HEIGHT}" rx="2"`;
  const parts = [`<rect ${box} fill="${escapeXml(series.colour)}">${title}</rect>`];
  if (bar.max > bar.min)
    parts.push(whisker(left + Math.max(0, bar.min * scale), left + Math.max(0, bar.max * scale), top));
  const end = left + Math.max(width, bar.max * scale);
  parts.push(textAt(end + 6, top + BAR_HEIGHT - 2, 'text', figure(bar.value, digits)));
  return parts;
}

function whisker(from: number, to: number, top: number): string {
  const middle = round(top + BAR_HEIGHT / 2);
  const foot = round(top + BAR_HEIGHT / 2 - 3);
  const path = `M${round(from)} ${middle}H${round(to)}M${round(from)} ${foot}v6M${round(to)} ${foot}v6`;
  return `<path d="${path}" class="whisker" stroke-width="1"/>`;
}

function panelAt(panel: Panel, series: readonly Series[], x: number, top: number): string[] {
  const left = x + LABEL_WIDTH;
  const highest = Math.max(
    0,
    ...panel.groups.flatMap((group) => group.bars.flatMap((bar) => [bar.value, bar.max])),
  );
  const scale = highest > 0 ? (COLUMN_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / highest : 0;
  const parts = [textAt(x, top + 16, 'text panel', panel.title)];
  let y = top + PANEL_HEAD;
  for (const group of panel.groups) {
    const height = group.bars.length * BAR_STEP;
    parts.push(textAt(left - 8, y + height / 2 + 2, 'faint', group.label, 'end'));
    for (const bar of group.bars) {
      parts.push(...barAt(bar, group.label, series[bar.series], panel.digits, { left, top: y, scale }));
      y += BAR_STEP;
    }
    y += GROUP_GAP;
  }
  const axis = `M${round(left)} ${round(top + PANEL_HEAD - 4)}V${round(y - GROUP_GAP)}`;
  parts.push(`<path d="${axis}" class="axis" stroke-width="1"/>`);
  return parts;
}

/** Each panel goes below the column that is shorter so far; with equal columns, to the left. */
function panels(plot: BarPlot, top: number): { parts: string[]; bottom: number } {
  const bottoms = new Array<number>(COLUMN_COUNT).fill(top);
  const parts: string[] = [];
  for (const panel of plot.panels) {
    const column = bottoms.indexOf(Math.min(...bottoms));
    parts.push(...panelAt(panel, plot.series, MARGIN + column * (COLUMN_WIDTH + MARGIN), bottoms[column]));
    bottoms[column] += panelHeight(panel);
  }
  return { parts, bottom: Math.max(...bottoms) };
}

export function barPlot(plot: BarPlot): string {
  const legendRows = Math.ceil(plot.series.length / LEGEND_COLUMNS);
  const { parts, bottom } = panels(plot, LEGEND_TOP + legendRows * LEGEND_STEP + 10);
  const height = Math.ceil(bottom);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escapeXml(plot.title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="back" width="${WIDTH}" height="${height}" rx="8"/>`,
    textAt(MARGIN, 36, 'text title', plot.title),
    textAt(MARGIN, 57, 'faint', plot.subtitle),
    ...legend(plot.series),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}
