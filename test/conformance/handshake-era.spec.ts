import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failuresOf, runSuite, type Scenario } from '../support/conformance-suite.js';
import { fixtureImage } from '../support/fixture-image.js';
import { Service } from '../support/service.js';

function namesOf(scenarios: Scenario[]): string[] {
  return scenarios.map(({ name }) => name);
}

/** The suite cannot send a key, so its deployment is public. */
describe('the official conformance suite through the gateway, at the revisions with a handshake', () => {
  let service: Service;
  let url: string;
  let results: string;

  beforeAll(async () => {
    results = mkdtempSync(join(tmpdir(), 'mcp-runner-conformance-'));
    const image = await fixtureImage();
    service = await Service.start();
    // 0.1.16 never ends a session.
    const room = { maxSessions: 64, maxMemory: 4096, maxPids: 2048 };
    const { id } = await service.deploy({ image, access: 'public', ...room });
    url = `${service.origin}/mcp-server/${id}/mcp`;
  });

  afterAll(async () => {
    await service.stop();
    rmSync(results, { recursive: true });
  });

  it('0.1.16 passes all of its 32 scenarios', async () => {
    const report = await runSuite('0.1.16', url, ['--suite', 'all'], mkdtempSync(join(results, 'all-')));
    expect(failuresOf(report)).toEqual([]);
    expect(namesOf(report.scenarios)).toHaveLength(32);
    expect(report.exitCode).toBe(0);
  });

  it('0.2.0-alpha.12 passes the 30 scenarios that revision 2025-11-25 requires, and the 3 it does not', async () => {
    const requirements = ['--requirements', '2025-11-25'];
    const report = await runSuite(
      '0.2.0-alpha.12',
      url,
      requirements,
      mkdtempSync(join(results, 'required-')),
    );
    expect(failuresOf(report)).toEqual([]);
    expect(namesOf(report.scenarios.filter(({ isScored }) => isScored))).toHaveLength(30);
    expect(namesOf(report.scenarios.filter(({ isScored }) => !isScored))).toEqual([
      'server-session-lifecycle',
      'json-schema-2020-12',
      'server-sse-polling',
    ]);
    expect(report.exitCode).toBe(0);
  });
});
