import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { fileURLToPath } from 'node:url';

/** `(file:///…/bundle/worker.js:335:20)`, or the same without brackets. */
const PLACE = /file:\/\/[^\s():]+\.js:(\d+):(\d+)/g;

/**
 * A trace with the places of sources in it. Node would put them there itself (--enable-source-maps) by reading every map at
 * each start, which costs a tenth of it; a crash is rare.
 */
export function sourceTrace(stack: string): string {
  const maps = new Map<string, SourceMap | null>();
  return stack.replace(PLACE, (place, line: string, column: string) => {
    const url = place.slice(0, place.lastIndexOf(':', place.lastIndexOf(':') - 1));
    let map = maps.get(url);
    if (map === undefined) {
      map = readMap(url);
      maps.set(url, map);
    }
    const entry = map?.findEntry(Number(line) - 1, Number(column) - 1);
    if (entry === undefined || !('originalSource' in entry)) return place;
    const source = new URL(entry.originalSource, url).href;
    return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
}

/** Null: it has none, or one that cannot be read. */
function readMap(url: string): SourceMap | null {
  try {
    const path = `${fileURLToPath(url)}.map`;
    if (!existsSync(path)) return null;
    return new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as SourceMapPayload);
  } catch {
    return null;
  }
}
