import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failuresOf, runSuite, type Scenario } from '../support/conformance-suite.js';
import { dualEraImage, fixtureImage } from '../support/fixture-image.js';
import { type DeploymentRequest, Service } from '../support/service.js';

/** Of slow machines. */
const SCENARIO_MS = 120_000;

const HTTP = {
  transport: { type: 'streamable_http', endpoint: 'http://localhost:3456/mcp' },
  args: ['--http', '3456'],
} satisfies Partial<DeploymentRequest>;

const FIXTURES: [string, () => Promise<string>, Partial<DeploymentRequest>][] = [
  ['a server of the handshake era', fixtureImage, {}],
  ['a server of the handshake era that speaks Streamable HTTP', fixtureImage, HTTP],
  ['a server of both eras', dualEraImage, {}],
];

function namesOf(scenarios: Scenario[]): string[] {
  return scenarios.map(({ name }) => name);
}

describe.each(FIXTURES)(
  'the official conformance suite at the revisions with a handshake, through the gateway: %s',
  (_, imageOf, kind) => {
    let service: Service;
    let url: string;
    let results: string;

    beforeAll(async () => {
      results = mkdtempSync(join(tmpdir(), 'mcp-runner-conformance-'));
      const image = await imageOf();
      service = await Service.start();
      // 0.1.16 never ends a session, and each scenario opens one.
      const room = { maxSessions: 64, maxMemory: 8192, maxPids: 2048, maxCpus: 2, warmProcesses: 4 };
      // The suite cannot send a key.
      const { id } = await service.deploy({ image, access: 'public', ...room, ...kind });
      url = `${service.origin}/mcp-server/${id}/mcp`;
    });

    afterAll(async () => {
      await service.stop();
      rmSync(results, { recursive: true });
    });

    it('passes all 32 scenarios of 0.1.16', async () => {
      const report = await runSuite('0.1.16', url, ['--suite', 'all'], mkdtempSync(join(results, 'all-')));
      expect(failuresOf(report)).toEqual([]);
      expect(namesOf(report.scenarios)).toHaveLength(32);
      expect(report.exitCode).toBe(0);
    });

    it('passes the 30 scenarios that 0.2.0-alpha.12 requires at 2025-11-25, and the 3 it does not', async () => {
      const requirements = ['--requirements', '2025-11-25', '--timeout', String(SCENARIO_MS)];
      const directory = mkdtempSync(join(results, 'required-'));
      const report = await runSuite('0.2.0-alpha.12', url, requirements, directory);
      expect(failuresOf(report)).toEqual([]);
      expect(namesOf(report.scenarios.filter(({ isScored }) => isScored))).toHaveLength(30);
      expect(namesOf(report.scenarios.filter(({ isScored }) => !isScored))).toEqual([
        'server-session-lifecycle',
        'json-schema-2020-12',
        'server-sse-polling',
      ]);
      expect(report.exitCode).toBe(0);
    });
  },
);
