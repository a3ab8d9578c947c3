import { expect, it } from 'vitest';
import { timeOf } from './log-time.js';

const NOW = Date.UTC(2026, 0, 31, 12);

it.each([
  ['0', NOW],
  ['600', NOW - 600_000],
  ['31536000', NOW - 31_536_000_000],
  ['2026-01-31', Date.UTC(2026, 0, 31)],
  ['2026-01-31T11:30Z', NOW - 1_800_000],
  ['2026-01-31T11:59:59.250Z', NOW - 750],
  ['2026-01-31T13:00:00+01:00', NOW],
  ['2026-01-31T13:00:00 01:00', NOW],
])('%s is a time', (text, time) => {
  expect(timeOf(text, NOW)).toBe(time);
});

it.each([
  '',
  '-1',
  '1.5',
  '31536001',
  '1764259200',
  'yesterday',
  '2026-13-01',
  '2026-01-31T12:00:00',
  '10m',
  ['5'],
  {},
])('%j is none', (text) => {
  expect(timeOf(text, NOW)).toBeUndefined();
});
