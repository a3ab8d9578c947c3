import { expect, it } from 'vitest';
import { routesOf } from './pool-overlap.js';

it('reads the routes of the kernel, all but the default one', () => {
  const table = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'eth1\t080AD60A\t00000000\t0001\t0\t0\t0\tF8FFFFFF\t0\t0\t0',
    '',
  ].join('\n');
  expect(routesOf(table)).toEqual([
    { device: 'docker0', range: { first: 0xac110000, last: 0xac11ffff } },
    { device: 'eth1', range: { first: 0x0ad60a08, last: 0x0ad60a0f } },
  ]);
});
