import { type PgDogError, parseStartupOptions, type StartupMessage } from '@pgdog-cluster/core';
import { parameterFromValue, type SessionParameter, wholeParameter } from './parameter-set.js';

/** Start-up parameters that are not settings. */
const NOT_SETTINGS = new Set(['user', 'database', 'options', 'replication']);

/** Settings of the start-up packet and of its `options`; the former win, as in Postgres's process_settings. */
export function readSettings(message: StartupMessage): Map<string, SessionParameter> | PgDogError {
  const settings = new Map<string, SessionParameter>();
  const options = message.parameters.get('options');
  if (options !== undefined) {
    const parsed = parseStartupOptions(options);
    if (parsed.error !== null) return parsed.error;
    for (const [name, value] of parsed.settings) {
      take(settings, name, value);
    }
  }
  for (const [name, value] of message.parameters) {
    if (NOT_SETTINGS.has(name)) continue;
    take(settings, name, value);
  }
  return settings;
}

/** A later one wins; a DateStyle with what it does not say as it was. */
function take(settings: Map<string, SessionParameter>, name: string, value: string): void {
  const parameter = parameterFromValue(name, value);
  settings.set(parameter.name, wholeParameter(parameter, settings.get(parameter.name)));
}
