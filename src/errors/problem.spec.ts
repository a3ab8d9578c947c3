import { ForbiddenException, NotFoundException } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { AppError } from './app-error.js';
import { appErrorOf, problemOf } from './problem.js';
import { stackOf } from './stack-of.js';

describe('a problem', () => {
  it('has what the error says, and leaves out what it does not', () => {
    const error = new AppError('deployment_not_found');
    expect(problemOf(error, 'r1', '/api/x')).toEqual({
      type: 'urn:mcp-runner:error:deployment_not_found',
      title: 'No such deployment',
      status: 404,
      code: 'deployment_not_found',
      instance: '/api/x',
      requestId: 'r1',
    });
  });

  it.each([
    [new NotFoundException(), 'route_not_found'],
    [new ForbiddenException(), 'bad_request'],
    [new TypeError('x is undefined'), 'internal_error'],
    ['text', 'internal_error'],
    [undefined, 'internal_error'],
  ])('of %s has the code %s', (thrown, code) => {
    expect(appErrorOf(thrown).code).toBe(code);
  });

  it('never shows why something went wrong on our side', () => {
    const problem = problemOf(appErrorOf(new Error('password=hunter2')), 'r1', undefined);
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });
});

describe('the log', () => {
  it('has the stacks of an error and its causes, and nothing that hangs on them', () => {
    const cause = Object.assign(new Error('inner'), { options: { env: ['TOKEN=hunter2'] } });
    const text = stackOf(new Error('outer', { cause }));
    expect(text).toMatch(/outer[^]*caused by: Error: inner/);
    expect(text).not.toContain('hunter2');
  });
});
