import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { PrometheusText } from '../../test/support/prometheus-text.js';
import { DeploymentCountsRepository } from '../deployments/deployment-counts.repository.js';
import { StartWatch } from '../deployments/start-watch.js';
import { AppError } from '../errors/app-error.js';
import type { Gateway } from '../gateway/gateway.js';
import { EDGES } from '../mcp/edges/calls/call.js';
import { Calls } from '../mcp/edges/calls/calls.js';
import { parseMessage, type Request } from '../mcp/jsonrpc/envelope.js';
import { CallMetrics } from './call-metrics.js';
import { DeploymentMetrics } from './deployment-metrics.js';
import { EngineMetrics } from './engine-metrics.js';
import { HttpMetrics, routeOf } from './http-metrics.js';
import { MetricsRegistry } from './metrics-registry.js';
import { ServiceMetrics } from './service-metrics.js';

const DASHBOARD = new URL('../../docs/grafana-dashboard.json', import.meta.url);

let fixture: DeploymentsFixture;
let registry: MetricsRegistry;
let calls: Calls;
let features: object[];

beforeEach(() => {
  fixture = new DeploymentsFixture();
  registry = new MetricsRegistry();
  calls = new Calls();
  const counts = new DeploymentCountsRepository(fixture.database);
  const gateway = { tallySessions: () => ({ serving: 3, resting: 2 }) } as Gateway;
  features = [
    new CallMetrics(calls, registry),
    new DeploymentMetrics(counts, fixture.events, new StartWatch(fixture.events), registry),
    new EngineMetrics(fixture.runtime, registry),
    new HttpMetrics(registry),
    new ServiceMetrics(gateway, fixture.database, registry),
  ];
});

afterEach(() => fixture.dispose());

async function scrape(): Promise<PrometheusText> {
  return new PrometheusText(await registry.text());
}

function begin(method: string) {
  const request = parseMessage(JSON.stringify({ jsonrpc: '2.0', id: 1, method })) as Request;
  return calls.begin('sse', 'dp_1', request, undefined).call;
}

describe('metrics', () => {
  it('count deployments as the rows are', async () => {
    fixture.rowIn('paused');
    fixture.rowIn('paused');
    fixture.rowIn('failed');
    const text = await scrape();
    const counts = ['paused', 'failed', 'running', 'deleting'].map((status) =>
      text.value('mcp_runner_deployments', { status }),
    );
    expect(counts).toEqual([2, 1, 0, 0]);
  });

  it('say NaN, and go on, where the rows cannot be counted', async () => {
    fixture.database.onApplicationShutdown();
    fixture.database.onApplicationShutdown = () => undefined;
    const text = await scrape();
    expect(text.value('mcp_runner_deployments', { status: 'running' })).toBeNaN();
    expect(text.value('mcp_runner_sessions', { state: 'serving' })).toBe(3);
  });

  it('count starts, wakes, failures, crashes and reaps', async () => {
    const { id } = await fixture.running();
    fixture.service.pause(fixture.get(id).tenantId, id);
    await expect.poll(() => fixture.get(id).status).toBe('paused');
    fixture.service.wake(id);
    await expect.poll(() => fixture.get(id).status).toBe('running');
    fixture.runtime.failNext('start', new AppError('image_not_found'));
    const failing = fixture.create();
    await expect.poll(() => fixture.get(failing.id).status).toBe('failed');
    fixture.crashes.note(id, { code: 'server_exited', message: 'It left.' }, Date.now());
    fixture.lifecycle.move(id, 'pausing', { code: 'idle', message: 'Idle.' }, Date.now());
    const text = await scrape();
    const starts = (kind: string, code: string) =>
      text.value('mcp_runner_deployment_starts_total', { kind, code });
    expect([starts('start', 'ready'), starts('wake', 'ready'), starts('start', 'image_not_found')]).toEqual([
      1, 1, 1,
    ]);
    expect(text.value('mcp_runner_deployment_start_duration_seconds_count', { kind: 'wake' })).toBe(1);
    expect(text.value('mcp_runner_server_crashes_total', { code: 'server_exited' })).toBe(1);
    expect(text.value('mcp_runner_reaps_total', { action: 'pause', reason: 'idle' })).toBe(1);
  });

  it('count calls by how they end, and those that have not', async () => {
    begin('tools/call').answered('{"jsonrpc":"2.0","id":1,"result":{"isError":true}}');
    begin('tools/call').answered('{"jsonrpc":"2.0","id":1,"result":{}}');
    begin('ping').refused(new AppError('session_limit'));
    const open = begin('tools/list');
    const text = await scrape();
    const ended = (method: string, outcome: string) =>
      text.value('mcp_runner_gateway_requests_total', { edge: 'sse', method, outcome });
    expect([ended('tools/call', 'tool_error'), ended('tools/call', 'ok'), ended('ping', 'refused')]).toEqual([
      1, 1, 1,
    ]);
    expect(text.value('mcp_runner_gateway_requests_in_flight')).toBe(1);
    open.cancelled();
    open.cancelled();
    expect((await scrape()).value('mcp_runner_gateway_requests_in_flight')).toBe(0);
  });

  it('say what they were told of the engine, and how it is', async () => {
    fixture.runtime.tellCall({ verb: 'create_container', seconds: 0.2, outcome: 'ok' });
    const text = await scrape();
    const of = { verb: 'create_container', outcome: 'ok' };
    expect(text.value('mcp_runner_engine_call_duration_seconds_count', of)).toBe(1);
    expect(text.value('mcp_runner_engine_up')).toBe(1);
    expect(text.value('mcp_runner_database_bytes')).toBeGreaterThan(4096);
  });

  it('have no label that a client could choose', async () => {
    begin('some/method').cancelled();
    const { size } = await scrape();
    const names = ['', 'x'.repeat(5000), 'a"b', 'c\nd', '__proto__', 'constructor', 'dp_1', 'tools/CALL'];
    for (const name of [...names, ...Array.from({ length: 500 }, (_, i) => `m/${i}`)])
      begin(name).cancelled();
    const text = await scrape();
    expect(text.size).toBe(size);
    expect(
      text.value('mcp_runner_gateway_requests_total', { edge: 'sse', method: 'other', outcome: 'cancelled' }),
    ).toBe(509);
  });

  it.each([
    ['/mcp-server/dp_0123456789/mcp', 'mcp'],
    ['/mcp-server/dp_0123456789/messages?sessionId=x', 'messages'],
    ['/mcp-server/dp_0123456789/mcp/more', 'other'],
    ['/mcp-server/x/y', 'other'],
    ['/api/deployment/dp_1', 'api'],
    ['/api', 'api'],
    ['/apiary', 'other'],
    ['/health', 'health'],
    ['/metrics?x', 'metrics'],
    ['/wp-login.php', 'other'],
    ['', 'other'],
  ])('know the path %s as %s', (path, route) => {
    expect(routeOf(path)).toBe(route);
  });

  it('cost a call next to nothing', () => {
    const rounds = 20_000;
    const began = performance.now();
    for (let i = 0; i < rounds; i++) begin('tools/call').answered('{"jsonrpc":"2.0","id":1,"result":{}}');
    const micros = ((performance.now() - began) / rounds) * 1000;
    // One on the project's machines, and a bound for a busy one.
    expect(micros).toBeLessThan(200);
  });

  it('are named by convention: base units, and one prefix of ours', async () => {
    const { metrics } = await scrape();
    const ours = [...metrics].filter(([name]) => !/^(process|nodejs)_/.test(name));
    expect(ours.length).toBeGreaterThanOrEqual(14);
    for (const [name, { type, help }] of ours) {
      expect(name).toMatch(/^mcp_runner_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      if (type === 'histogram') expect(name).toMatch(/_seconds$/);
      expect(help).toMatch(/\.$/);
    }
    expect(EDGES).toHaveLength(3);
  });
});

interface Panel {
  title?: string;
  targets?: { expr: string }[];
  panels?: Panel[];
  datasource?: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
}

interface Dashboard {
  templating: { list: { name: string; type: string; query: string }[] };
  panels: Panel[];
  uid: string;
  schemaVersion: number;
}

describe('the dashboard', () => {
  const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard;
  const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);

  it('asks for nothing but metrics and labels that there are', async () => {
    begin('ping').cancelled();
    const { metrics } = await scrape();
    const exprs = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    expect(exprs.length).toBeGreaterThan(10);
    for (const expr of exprs) {
      const names = expr.match(/\b(?:mcp_runner|process|nodejs)_[a-z0-9_]+/g) ?? [];
      expect(names, expr).not.toEqual([]);
      for (const name of names) {
        const known =
          metrics.has(name) || metrics.get(name.replace(/_(bucket|sum|count)$/, ''))?.type === 'histogram';
        expect(`${name} ${known}`).toBe(`${name} true`);
      }
    }
  });

  it('shows every metric of ours', () => {
    const all = JSON.stringify(panels);
    expect(features).toHaveLength(5);
    for (const name of registry.names.filter((name) => name.startsWith('mcp_runner_'))) {
      expect(all).toContain(name);
    }
  });

  it('takes its data source from a variable, and its panels do not overlap', () => {
    expect(dashboard.templating.list).toContainEqual(
      expect.objectContaining({ name: 'datasource', type: 'datasource', query: 'prometheus' }),
    );
    const taken = new Set<string>();
    for (const panel of dashboard.panels) {
      if (panel.targets) expect(panel.datasource?.uid).toBe('${datasource}');
      const { x, y, w, h } = panel.gridPos;
      expect(x + w).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect(taken.has(`${column} ${line}`)).toBe(false);
          taken.add(`${column} ${line}`);
        }
      }
    }
  });
});
