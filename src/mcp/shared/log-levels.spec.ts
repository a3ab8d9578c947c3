import { describe, expect, it } from 'vitest';
import {
  handshakeServer,
  INITIALIZE_RESULT,
  type SharedClient,
  startShared,
} from '../../../test/support/shared-clients.js';

function start(answer: object = { result: {} }, result: object = INITIALIZE_RESULT) {
  const shared = startShared(
    handshakeServer(({ id, method }, process) => {
      if (method === 'logging/setLevel') process.say({ jsonrpc: '2.0', id, ...answer });
    }, result),
  );
  const { process } = shared;
  const told = (): unknown[] =>
    process.read.filter(({ method }) => method === 'logging/setLevel').map(({ params }) => params?.['level']);
  const log = (level: string): void =>
    process.say({ jsonrpc: '2.0', method: 'notifications/message', params: { level, data: 'x' } });
  return { ...shared, told, log };
}

function set(client: SharedClient, level: unknown): unknown {
  client.news();
  void client.call(1, 'logging/setLevel', { level });
  const [answer] = client.news();
  return answer?.error?.code ?? answer?.result;
}

describe('log levels', () => {
  it('of all sessions come to the most verbose for the server, whoever comes and goes', () => {
    const { join, told } = start();
    const [one, two] = [join(), join()];
    expect([set(one, 'notice'), set(two, 'error')]).toEqual([{}, {}]);
    // While one of them had set none, the server had to say what such a session gets.
    expect(told()).toEqual(['info', 'notice']);
    set(two, 'debug');
    set(one, 'error');
    expect(told()).toEqual(['info', 'notice', 'debug']);
    void two.channel.close();
    expect(told()).toEqual(['info', 'notice', 'debug', 'error']);
    const three = join();
    expect(told().at(-1)).toBe('info');
    set(three, 'emergency');
    expect(told().at(-1)).toBe('error');
    void one.channel.close();
    void three.channel.close();
    expect(told().slice(-2)).toEqual(['emergency', 'info']);
  });

  it('are unknown to the server until a session sets one', () => {
    const { join, told } = start();
    void join().channel.close();
    join();
    expect(told()).toEqual([]);
  });

  it('keep from a session what is too little for it, and nothing from one that has set none', () => {
    const { process, join, log, server } = start();
    const [one, two] = [join(), join()];
    set(one, 'warning');
    const logAll = (): void => ['debug', 'notice', 'warning', 'alert', 'unheard of'].forEach(log);
    void one.call(1);
    logAll();
    expect(one.heard.map(({ params }) => params?.['level'])).toEqual(['warning', 'alert', 'unheard of']);
    process.say({ jsonrpc: '2.0', id: process.read.at(-1)?.id, result: {} });
    void two.call(1);
    logAll();
    expect(two.heard).toHaveLength(5);
    expect(server.dropped).toBe(2);
  });

  it('that do not exist are refused', () => {
    const { join, told } = start();
    const client = join();
    for (const level of ['verbose', 3, undefined]) expect(set(client, level)).toBe(-32602);
    expect(told()).toEqual([]);
  });

  it('that the server refuses are not set', () => {
    const { join, told, log } = start({ error: { code: -32603, message: 'no' } });
    const client = join();
    expect(set(client, 'alert')).toBe(-32603);
    void client.call(1);
    log('debug');
    expect(client.heard).toHaveLength(1);
    join();
    expect(told()).toEqual(['alert']);
  });

  it('are the business of a server that does not log', () => {
    const { join, told } = start(
      { error: { code: -32601, message: 'no' } },
      { ...INITIALIZE_RESULT, capabilities: {} },
    );
    const client = join();
    expect(set(client, 'alert')).toBe(-32601);
    expect(told()).toEqual(['alert']);
  });
});
