import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, it, vi } from 'vitest';
import { Logger } from '@nestjs/common';
import { requestIdOf, takeRequestId } from '../errors/request-id.js';
import { GatewayFaults } from './gateway-faults.js';

it('a fault is logged and reported once, with the id of its request where it has one', () => {
  const log = vi.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
  const report = vi.fn();
  const faults = new GatewayFaults();
  faults.reportTo(report);
  const req = new IncomingMessage(new Socket());
  takeRequestId(req);
  const requestId = requestIdOf(req);
  const error = new Error('broke');
  faults.tell(error, req);
  faults.tell(error);
  expect(report.mock.calls).toEqual([
    [error, { requestId, code: 'internal_error' }],
    [error, { code: 'internal_error' }],
  ]);
  // As text: an error that is logged as it was thrown is reported by the logger as well.
  expect(log.mock.calls).toEqual([
    [{ event: 'gateway_fault', requestId, error: error.stack }],
    [{ event: 'gateway_fault', requestId: undefined, error: error.stack }],
  ]);
  log.mockRestore();
});

it('a fault is logged also where nobody wants reports', () => {
  const log = vi.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
  new GatewayFaults().tell('thrown');
  expect(log.mock.calls).toEqual([[{ event: 'gateway_fault', requestId: undefined, error: 'thrown' }]]);
  log.mockRestore();
});
