/** Which measurements become bars. */
import { type BarGroup, barPlot, type Panel, type Series } from './bar-plot.js';
import { type ContenderInfo, METRICS, type Metric, type Results, summaryOf } from './results.js';

interface PanelPlan {
  title: string;
  metric: Metric;
  cases: (key: string) => boolean;
}

const isSelect = (key: string): boolean => key.startsWith('select-');

const PANELS: readonly PanelPlan[] = [
  { title: 'Proxy CPU per query, us (less is better)', metric: 'cpuUsPerQuery', cases: isSelect },
  { title: 'Transactions per second (more is better)', metric: 'tps', cases: isSelect },
  { title: 'p99 latency, ms (less is better)', metric: 'p99Ms', cases: isSelect },
  {
    title: 'Large transfers, MB per second (more is better)',
    metric: 'mbPerS',
    cases: (key) => key === 'large-result' || key.startsWith('copy-'),
  },
  {
    title: 'Connections per second (more is better)',
    metric: 'tps',
    cases: (key) => key.startsWith('reconnect-'),
  },
  {
    title: 'Pipelined queries per second (more is better)',
    metric: 'tps',
    cases: (key) => key === 'pipeline',
  },
  {
    title: 'TPC-B transactions per second (more is better)',
    metric: 'tps',
    cases: (key) => key.startsWith('tpcb'),
  },
  {
    title: 'RSS per idle client, KB (less is better)',
    metric: 'idleQueryKb',
    cases: (key) => key === 'idle',
  },
];

/** After Okabe and Ito, so that contenders are told apart with any colour vision; one family of hues per kind. */
const COLOURS: Record<ContenderInfo['kind'], readonly string[]> = {
  direct: ['#7f8c99'],
  ours: ['#0072b2', '#56b4e9'],
  pgbouncer: ['#e69f00', '#d55e00', '#b07a00'],
  other: ['#cc79a7', '#009e73'],
};

function seriesOf(contenders: readonly ContenderInfo[]): Series[] {
  return contenders.map(({ label, kind }, index) => {
    const before = contenders.slice(0, index).filter((other) => other.kind === kind).length;
    return { name: label, colour: COLOURS[kind][before % COLOURS[kind].length] };
  });
}

/** select-simple-128 -> "simple, 128"; the others are their own best label. */
function groupLabel(key: string): string {
  const select = /^select-(\w+)-(\d+)$/.exec(key);
  return select === null ? key.replace('reconnect-', '') : `${select[1]}, ${select[2]}`;
}

function panelOf(results: Results, contenders: readonly ContenderInfo[], plan: PanelPlan): Panel {
  const groups: BarGroup[] = [];
  for (const { key } of results.cases.filter((info) => plan.cases(info.key))) {
    const bars = contenders.flatMap((contender, series) => {
      const summary = summaryOf(results, key, contender.key, plan.metric);
      if (summary === null) return [];
      return [{ series, value: summary.median, min: summary.min, max: summary.max }];
    });
    if (bars.length > 0) groups.push({ label: groupLabel(key), bars });
  }
  const digits = plan.metric === 'tps' ? 0 : Math.min(1, METRICS[plan.metric].digits);
  return { title: plan.title, digits, groups };
}

/** `keys` are the contenders to show: the tables have all of them, a plot with all would be read by nobody. */
export function plots(results: Results, keys: readonly string[]): string {
  const { cpu, coreCount, kernel, date } = results.environment;
  const contenders = results.contenders.filter((contender) => keys.includes(contender.key));
  return barPlot({
    title: 'pgdog-cluster bench',
    subtitle: `${cpu}, ${coreCount} cores, Linux ${kernel}, ${date.slice(0, 10)}; medians, whisker = spread over repeats`,
    series: seriesOf(contenders),
    panels: PANELS.map((plan) => panelOf(results, contenders, plan)).filter(
      (panel) => panel.groups.length > 0,
    ),
  });
}
