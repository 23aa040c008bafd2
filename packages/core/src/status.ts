// What the dashboard and `top` are shown, and how figures are written: its own entry, because a browser loads it.

export * from './base/counted.js';
export * from './status/event-reader.js';
export * from './status/figures.js';
export * from './status/status-frame.js';
