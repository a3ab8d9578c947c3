import type Dockerode from 'dockerode';
import { describe, expect, it } from 'vitest';
import type { EngineCall } from '../sandbox-runtime.js';
import { tellCalls, verbOf } from './engine-calls.js';

type Answered = (error: unknown, data: unknown) => void;

describe('calls of the engine', () => {
  it.each([
    ['POST', '/containers/create?', 'create_container'],
    ['POST', '/containers/0123abcd/start?', 'start_container'],
    ['GET', '/containers/0123abcd/json?', 'inspect_container'],
    ['GET', '/containers/json?all=1', 'list_containers'],
    ['DELETE', '/containers/0123abcd?force=true', 'remove_container'],
    ['POST', '/containers/0123abcd/exec', 'create_process'],
    ['POST', '/exec/0123abcd/start', 'start_process'],
    ['GET', '/exec/0123abcd/json', 'inspect_process'],
    ['GET', '/images/registry.example/a/b:1/json?', 'inspect_image'],
    ['POST', '/images/create?fromImage=a', 'create_image'],
    ['GET', '/networks?filters=x', 'list_networks'],
    ['GET', '/networks/0123', 'inspect_network'],
    ['DELETE', '/volumes/name', 'remove_volume'],
    ['GET', '/_ping', 'ping'],
    ['GET', '/events?', 'follow_events'],
    ['POST', '/containers/x/unheard-of', 'other'],
    ['GET', '/dp_0123/x', 'other'],
    ['GET', '', 'other'],
  ])('%s %s is %s, whatever ids are in it', (method, path, verb) => {
    expect(verbOf(method, path)).toBe(verb);
  });

  it('are told once, with their outcome, and answered as before', () => {
    const told: EngineCall[] = [];
    const answers: unknown[] = [];
    const errors = [null, { statusCode: 404 }, new Error('ECONNREFUSED')];
    const modem = {
      dial(_options: unknown, callback: Answered) {
        const error = errors[answers.length / 2];
        for (let time = 0; time < 2; time++) callback(error, 'data');
        return 'returned';
      },
    };
    tellCalls({ modem } as unknown as Dockerode, (call) => told.push(call));
    for (const _ of errors) {
      const options = { method: 'GET', path: '/info' };
      expect(modem.dial(options, (...answer) => answers.push(answer))).toBe('returned');
    }
    expect(told.map(({ verb, outcome }) => `${verb} ${outcome}`)).toEqual([
      'describe_engine ok',
      'describe_engine refused',
      'describe_engine failed',
    ]);
    for (const { seconds } of told) expect(seconds).toBeLessThan(5);
    expect(answers).toHaveLength(6);
  });
});
