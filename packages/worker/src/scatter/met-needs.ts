import type { SettingNeed } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';

/** Whether a session has a setting as a merge needs it. */
export function isNeedMet({ reported, parameters }: Session, need: SettingNeed): boolean {
  const set = parameters.entries.get(need);
  switch (need) {
    case 'DateStyle':
      return reported.get('DateStyle')?.startsWith('ISO') === true;
    case 'client_encoding':
      return reported.get('client_encoding') === reported.get('server_encoding');
    // Not reported: as it is by default, unless the session says otherwise.
    case 'extra_float_digits':
      return set === undefined || Number(set.value ?? '') >= 1;
    case 'bytea_output':
      return set === undefined || set.value?.toLowerCase() === 'hex';
  }
}
