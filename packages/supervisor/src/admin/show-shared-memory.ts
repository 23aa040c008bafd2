import {
  CAPACITY_ADMINS_ROW,
  CAPACITY_CLIENTS_ROW,
  CAPACITY_FIRST_POOL_ROW,
  CAPACITY_TOTAL_ROW,
  type CellDescription,
  MEMORY_MAP,
  type PoolSnapshot,
  REGION_KEYS,
  type RegionDescription,
  type RegionKey,
  regionBytes,
  type SharedMemory,
} from '@pgdog-cluster/core';
import { column, defineShow } from './show.js';

interface CellRow {
  region: RegionDescription;
  cell: CellDescription;
  bytes: number;
  rowBytes: number;
  rowCount: number;
  live: string;
}

/** Longer lists of values are summed up. */
const VALUES_SHOWN_MAX = 8;

/** Rows in use: the tables have room for many more pools than there are, and reading them all would say nothing. */
function rowsInUse(key: RegionKey, memory: SharedMemory, pools: readonly PoolSnapshot[]): number[] {
  const { workers, poolsMax, hostsMax } = memory.handles.dimensions;
  const workerRows = Array.from({ length: workers }, (_, worker) => worker);
  const poolRows = pools.map(({ index }) => index);
  const hostRows = [...new Set(pools.map(({ hostIndex }) => hostIndex))];
  switch (key) {
    case 'routing':
    case 'catalogs':
    case 'fds':
    case 'failures':
    case 'hostChanges':
    case 'homes':
    case 'definitions':
    case 'ids':
      return [0];
    case 'hosts':
      return hostRows;
    case 'hostLoad':
      return workerRows.flatMap((worker) => hostRows.map((index) => worker * hostsMax + index));
    case 'capacity':
      return [
        CAPACITY_TOTAL_ROW,
        CAPACITY_CLIENTS_ROW,
        CAPACITY_ADMINS_ROW,
        ...poolRows.map((index) => CAPACITY_FIRST_POOL_ROW + index),
      ];
    case 'poolWaiting':
      return poolRows;
    case 'load':
    case 'counters':
      return workerRows.flatMap((worker) => poolRows.map((index) => worker * poolsMax + index));
    case 'claims':
    case 'workers':
    case 'mailboxes':
      return workerRows;
  }
}

/** Cells that are arrays: one number for all of them. */
function arrayText(key: RegionKey, cell: string, memory: SharedMemory, pools: readonly PoolSnapshot[]) {
  const { workers } = memory.handles.dimensions;
  const overWorkers = (read: (worker: number) => number): number => {
    let sum = 0;
    for (let worker = 0; worker < workers; worker++) sum += read(worker);
    return sum;
  };
  if (key === 'routing' && cell === 'areas') return `${memory.routing.usedBytes()} bytes used`;
  if (key === 'catalogs' && cell === 'areas') return `${memory.catalogs.usedBytes()} bytes used`;
  if (key === 'claims' && cell === 'per pool') {
    const claims = pools.map(({ index }) =>
      overWorkers((worker) => memory.capacity.claimedBy(worker, index)),
    );
    return summary(claims);
  }
  if (key === 'homes' && cell === 'home') return `${memory.homes.inUse()} in use`;
  if (key === 'definitions') return `${memory.definitions.inUse()} in use`;
  if (key === 'fds') return `${overWorkers((worker) => memory.fds.owned(worker).length)} owned`;
  // Row 0 holds a secret: who knows it can choose what shares an entry.
  if (key === 'failures') return `${memory.failures.inUse(Date.now())} in use`;
  if (key === 'counters') return 'see SHOW STATS';
  return null;
}

function summary(values: readonly number[]): string {
  if (values.length <= VALUES_SHOWN_MAX) return values.join(' ');
  const sum = values.reduce((total, value) => total + value, 0);
  const max = values.reduce((most, value) => Math.max(most, value), values[0]);
  return `${values.length} rows, sum ${sum}, max ${max}`;
}

function liveText(
  key: RegionKey,
  cell: CellDescription,
  memory: SharedMemory,
  pools: readonly PoolSnapshot[],
): string {
  const special = arrayText(key, cell.name, memory, pools);
  if (special !== null) return special;
  if (cell.type === 'bytes') return '';
  const { dimensions, regions } = memory.handles;
  const rowBytes = MEMORY_MAP[key].rowBytes(dimensions);
  const cells = cellsOf(regions[key], cell.type);
  const rows = rowsInUse(key, memory, pools);
  return summary(
    rows.map((row) => Number(cells[(row * rowBytes + cell.offsetBytes) / cells.BYTES_PER_ELEMENT])),
  );
}

function cellsOf(region: SharedArrayBuffer, type: CellDescription['type']) {
  if (type === 'float64') return new Float64Array(region);
  return type === 'int64' ? new BigInt64Array(region) : new Int32Array(region);
}

export const SHOW_SHARED_MEMORY = defineShow<CellRow>({
  name: 'shared_memory',
  privilege: 'admin',
  description: 'The map of the shared memory, one row per cell, with live values.',
  columns: [
    column('region', 'text', 'Name of the region.', (row) => row.region.name),
    column('row', 'text', 'What one row of it stands for.', (row) => row.region.row),
    column('cell', 'text', 'Name of the cell.', (row) => row.cell.name),
    column('unit', 'text', 'What it counts.', (row) => row.cell.unit),
    column('writer', 'text', 'Who writes it.', (row) => row.cell.writer),
    column('readers', 'text', 'Who reads it.', (row) => row.cell.readers),
    column('bytes', 'numeric', 'Size of the region; memory is taken as rows are used.', (row) => row.bytes),
    column('row_bytes', 'numeric', 'Size of a row.', (row) => row.rowBytes),
    column('row_count', 'numeric', 'Rows there is room for.', (row) => row.rowCount),
    column('offset', 'numeric', 'Of the cell in its row, bytes.', (row) => row.cell.offsetBytes),
    column('value', 'text', 'Of the rows in use: each, or their number, sum and maximum.', (row) => row.live),
  ],
  rows({ memory, config }) {
    const { pools } = config();
    const { dimensions } = memory.handles;
    return REGION_KEYS.flatMap((key) => {
      const region: RegionDescription = MEMORY_MAP[key];
      return region.cells.map((cell) => ({
        region,
        cell,
        bytes: regionBytes(key, dimensions),
        rowBytes: region.rowBytes(dimensions),
        rowCount: region.rowCount(dimensions),
        live: liveText(key, cell, memory, pools),
      }));
    });
  },
});
