import { expect, it } from 'vitest';
import { localUrlOf } from './local-url.js';

it.each([
  ['127.0.0.1', 'http://127.0.0.1:3000'],
  ['0.0.0.0', 'http://127.0.0.1:3000'],
  ['::', 'http://[::1]:3000'],
  ['fd00::2', 'http://[fd00::2]:3000'],
])('a service on %s is reached at %s', (bindIp, url) => {
  expect(localUrlOf({ bindIp, port: 3000 })).toBe(url);
});
