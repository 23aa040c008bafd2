import { networkInterfaces } from 'node:os';
import {
  type HbaRule,
  type IpNetwork,
  networkAround,
  parseIp,
  parseNetworkAround,
} from '@pgdog-cluster/core';

/** Networks of this machine's interfaces: `samenet` whole, `samehost` only the addresses themselves. */
function ownNetworks(isHostOnly: boolean): IpNetwork[] {
  const networks: IpNetwork[] = [];
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, cidr } of addresses ?? []) {
      const bytes = parseIp(address);
      // A link-local address comes with a zone, which is none of ours to compare.
      if (bytes === null || cidr === null) continue;
      const network = parseNetworkAround(cidr);
      if (isHostOnly) networks.push(networkAround(bytes, bytes.length * 8));
      else if (network !== null) networks.push(network);
    }
  }
  return networks;
}

/** The rules as workers match them: words for this machine's own addresses replaced by the addresses of now. */
export function expandOwnAddresses(rules: readonly HbaRule[]): HbaRule[] {
  return rules.map((rule) => {
    const { kind } = rule.address;
    if (kind !== 'samehost' && kind !== 'samenet') return rule;
    return { ...rule, address: { kind: 'networks', networks: ownNetworks(kind === 'samehost') } };
  });
}
