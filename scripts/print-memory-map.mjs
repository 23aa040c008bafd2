// Writes the table of the memory map into docs/internals/shared-memory.md, between its markers, from the layout
// the program itself uses. `--check` only compares (exit code 1 when out of date). Needs a build.
import { readFileSync, writeFileSync } from 'node:fs';
import {
  CATALOG_AREA_BYTES,
  FD_MAX_DEFAULT,
  HOSTS_MAX_DEFAULT,
  MEMORY_MAP,
  MEMORY_MAP_VERSION,
  POOLS_MAX_DEFAULT,
  ROUTING_AREA_BYTES_DEFAULT,
} from '@pgdog-cluster/core';

const TARGET = new URL('../docs/internals/shared-memory.md', import.meta.url);
const BEGIN = '<!-- memory map: begin -->';
const END = '<!-- memory map: end -->';
/** The sizes the table is printed for. */
const EXAMPLE = {
  workers: 8,
  poolsMax: POOLS_MAX_DEFAULT,
  hostsMax: HOSTS_MAX_DEFAULT,
  fdMax: FD_MAX_DEFAULT,
  routingAreaBytes: ROUTING_AREA_BYTES_DEFAULT,
  catalogAreaBytes: CATALOG_AREA_BYTES,
};

function size(bytes) {
  if (bytes >= 1024 * 1024) return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
  return bytes >= 1024 ? `${(bytes / 1024).toFixed(1)} KB` : `${bytes} B`;
}

function printRegion(region) {
  const rowBytes = region.rowBytes(EXAMPLE);
  const rowCount = region.rowCount(EXAMPLE);
  const lines = [
    `### ${region.name}`,
    '',
    `Row: ${region.row}. ${rowCount} x ${size(rowBytes)} = ${size(rowCount * rowBytes)}.`,
    '',
    '| cell | byte | type | unit | who writes | who reads |',
    '|---|---|---|---|---|---|',
  ];
  for (const { name, offsetBytes, type, unit, writer, readers } of region.cells) {
    lines.push(`| ${name} | ${offsetBytes} | ${type} | ${unit} | ${writer} | ${readers} |`);
  }
  return lines.join('\n');
}

const head = `Version ${MEMORY_MAP_VERSION}. Sizes for ${EXAMPLE.workers} workers and ${EXAMPLE.poolsMax} pools; address space, not resident memory.`;
const table = [head, ...Object.values(MEMORY_MAP).map(printRegion)].join('\n\n');
const before = readFileSync(TARGET, 'utf8');
const begin = before.indexOf(BEGIN);
const end = before.indexOf(END);
if (begin === -1 || end < begin) throw new Error(`${TARGET.pathname} has lost its markers`);
const text = `${before.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${before.slice(end)}`;
if (!process.argv.includes('--check')) writeFileSync(TARGET, text);
else if (text !== before) {
  console.error('docs/internals/shared-memory.md is out of date: node scripts/print-memory-map.mjs');
  process.exitCode = 1;
}
