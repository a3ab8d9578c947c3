import { bridgePrefixOf } from './sandbox-names.js';

/** What is not the internet: this network, private, shared, loopback, link-local, protocol, benchmark, multicast, reserved. */
const NOT_PUBLIC = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/** One table per pool, so that two instances on a host leave each other's alone. */
export function tableNameOf(pool: string): string {
  return `mcp_runner_${pool.replaceAll(/[./]/g, '_')}`;
}

/**
 * The whole table, to be applied at once. Hooks run before the engine's own. "accept" here only ends this table: the
 * engine's rules still have their say; "drop" is final. Sandboxes are known by their bridge, so that a forged source
 * address changes nothing, and by their pool, should a packet of theirs come another way.
 */
export function rulesOf(pool: string, dns: string[]): string {
  const table = tableNameOf(pool);
  const fromSandbox = `iifname "${bridgePrefixOf(pool)}-*"`;
  const toSandbox = `oifname "${bridgePrefixOf(pool)}-*"`;
  const resolvers = `ip daddr { ${dns.join(', ')} }`;
  const acceptDns = [`${resolvers} udp dport 53 accept`, `${resolvers} tcp dport 53 accept`];
  return `
table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain to_host {
    ct state established,related accept
    ${acceptDns.join('\n    ')}
    drop
  }
  chain to_others {
    meta nfproto ipv6 drop
    ct state established,related accept
    ${acceptDns.join('\n    ')}
    ip daddr { ${NOT_PUBLIC.join(', ')} } drop
    ip daddr ${pool} drop
  }
  chain input {
    type filter hook input priority -10; policy accept;
    ${fromSandbox} ip saddr != ${pool} drop
    ${fromSandbox} meta nfproto ipv6 drop
    ${fromSandbox} jump to_host
    iifname != "lo" ip saddr ${pool} jump to_host
  }
  chain forward {
    type filter hook forward priority -10; policy accept;
    ${fromSandbox} ip saddr != ${pool} drop
    ${fromSandbox} jump to_others
    ip saddr ${pool} jump to_others
    ${toSandbox} ct state established,related accept
    ${toSandbox} drop
  }
}
`;
}
