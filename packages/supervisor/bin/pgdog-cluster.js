#!/usr/bin/env node
// Kept apart from what is built so that the package manager can link the command before the first build.
import { statSync } from 'node:fs';

const changedMs = (path) => statSync(new URL(path, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? 0;

// The bundle starts in two thirds of the time. Whoever compiles by hand has newer files in dist/; a published package
// has no such stamps, and the bundle always.
const stamps = ['core', 'worker', 'supervisor'].map((name) => changedMs(`../../${name}/dist/.tsbuildinfo`));
if (changedMs('../bundle/serve.js') > Math.max(...stamps)) {
  await import('../bundle/main.js');
} else {
  await import('../dist/main.js');
}
