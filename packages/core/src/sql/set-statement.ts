import { readBoolean } from './boolean-setting.js';
import { canonicalParameterName, TRANSACTION_PARAMETERS } from './parameter-names.js';
import { opaqueSetConfigCalls, startsWithTempSchema } from './set-config-call.js';
import type { SetItem, SqlEffect } from './sql-effect.js';
import { CREATES_TEMP, SETS_PARAMETER, UNKNOWN_EFFECT } from './sql-flags.js';
import { constantOf, nodeOf, nodesOf, type SqlNode, textOf } from './sql-node.js';

export interface SetReading {
  flags: number;
  effect: SqlEffect | null;
}

const PIN = 'pgdog.pin';
/**
 * Reads SET and RESET in all their forms.
 * @param replay the statement's own text
 */
export function readSet(node: SqlNode, replay: string): SetReading {
  const name = canonicalParameterName(textOf(node, 'name'));
  const flags = SETS_PARAMETER;
  switch (textOf(node, 'kind')) {
    case 'VAR_RESET_ALL':
      return { flags, effect: { type: 'resetAll' } };
    case 'VAR_SET_MULTI':
      return readMulti(node);
    case 'VAR_SET_VALUE':
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      break;
    default:
      // SET x FROM CURRENT: the value is the server's to know.
      return { flags: flags | UNKNOWN_EFFECT, effect: null };
  }
  if (TRANSACTION_PARAMETERS.has(name)) return { flags: 0, effect: null };
  if (name === 'seed') return { flags, effect: { type: 'setConfig', calls: opaqueSetConfigCalls(1) } };
  const isReset = textOf(node, 'kind') !== 'VAR_SET_VALUE';
  const first = firstValue(node);
  const value = name === 'datestyle' ? allValues(node) : first;
  if (node.is_local === true) return { flags, effect: { type: 'set', name, isLocal: true, replay, value } };
  if (isReset)
    return { flags, effect: name === PIN ? { type: 'pin', isOn: false } : { type: 'reset', name } };
  if (name === PIN) {
    const isOn = readBoolean(first);
    if (isOn !== null) return { flags, effect: { type: 'pin', isOn } };
  }
  const isTempFirst = name === 'search_path' && startsWithTempSchema(first);
  return {
    flags: isTempFirst ? flags | CREATES_TEMP : flags,
    effect: { type: 'set', name, isLocal: false, replay, value },
  };
}

/**
 * SET TRANSACTION … ends with the transaction. SET SESSION CHARACTERISTICS AS TRANSACTION … is another way to
 * set the default_transaction_… parameters, and is told as such: RESET then finds them by their names.
 */
function readMulti(node: SqlNode): SetReading {
  if (textOf(node, 'name') !== 'SESSION CHARACTERISTICS') return { flags: 0, effect: null };
  const items: SetItem[] = [];
  for (const arg of nodesOf(node, 'args')) {
    const element = nodeOf(arg, 'DefElem');
    const value = nodeOf(element, 'arg');
    const constant = value === undefined ? undefined : constantOf(value);
    const defname = textOf(element, 'defname');
    // Grammar makes these three only, with values of its own choice: nothing here needs quoting.
    if (!TRANSACTION_PARAMETERS.has(defname) || typeof constant !== 'string') {
      return { flags: SETS_PARAMETER | UNKNOWN_EFFECT, effect: null };
    }
    const name = `default_${defname}`;
    items.push({ name, replay: `SET ${name} TO '${constant}'`, value: constant });
  }
  return { flags: SETS_PARAMETER, effect: { type: 'setMany', items } };
}

function firstValue(node: SqlNode): string {
  const value = nodesOf(node, 'args')[0];
  return value === undefined ? '' : textOfValue(value);
}

function allValues(node: SqlNode): string {
  return nodesOf(node, 'args').map(textOfValue).join(', ');
}

/** '' for TIME ZONE INTERVAL '…': as a string it would be read with the opposite sign. */
function textOfValue(value: SqlNode): string {
  return constantOf(value) ?? '';
}
