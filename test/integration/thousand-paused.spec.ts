import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import SQLite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

const FEW = 10;
const MANY = 1000;
const START_MS = 5000;
const CALLS = 30;
/** Of the same call with a hundred times the deployments; what grew with their number would be far above. */
const FLAT = 4;
const POOL = '10.214.0.0/16';
const SUBNET_SIZE = 8;
const FIRST_UID = 310_000;

/** Copies of a paused deployment, with the file of a home each, until there are so many. */
function multiply(dataDir: string, from: number, to: number): void {
  const db = new SQLite(join(dataDir, 'mcp-runner.sqlite'));
  const template = db.prepare('select * from deployments limit 1').get() as Record<string, unknown>;
  const names = Object.keys(template);
  const insert = db.prepare(
    `insert into deployments (${names.join(', ')}) values (${names.map((name) => `@${name}`).join(', ')})`,
  );
  db.transaction(() => {
    for (let n = from; n < to; n++) {
      const id = `dp_${String(n).padStart(32, '0')}`;
      closeSync(openSync(join(dataDir, 'homes', `${id}.img`), 'w'));
      const subnet = Number(template['subnet_address']) + n * SUBNET_SIZE;
      insert.run({ ...template, id, uid: Number(template['uid']) + n, subnet_address: subnet });
    }
  })();
  db.close();
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

describe(`${MANY} paused deployments`, () => {
  let service: Service;
  let one: Deployment;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start({
      env: {
        SANDBOX_SUBNET_POOL: POOL,
        SANDBOX_UID_FIRST: String(FIRST_UID),
        SANDBOX_UID_LAST: String(FIRST_UID + 2 * MANY),
      },
    });
    one = await service.deploy({ image });
    await service.api('POST', `/api/deployment/${one.id}/pause?wait=60`);
  });

  afterAll(async () => {
    const db = new SQLite(join(service.dataDir, 'mcp-runner.sqlite'));
    db.prepare('delete from deployments where id <> ?').run(one.id);
    db.close();
    await service.stop();
  });

  /** Milliseconds until the service is healthy again, and of a list call. */
  async function measure(): Promise<{ start: number; list: number }> {
    await service.kill();
    const begun = performance.now();
    await service.restart();
    const start = performance.now() - begun;
    const calls: number[] = [];
    for (let n = 0; n < CALLS; n++) {
      const at = performance.now();
      const { body } = await service.api<{ items: unknown[] }>('GET', `/api/deployment?limit=${FEW}`);
      calls.push(performance.now() - at);
      expect(body.items).toHaveLength(FEW);
    }
    return { start, list: median(calls) };
  }

  it(`do not keep the service from starting within ${START_MS / 1000} s, and cost a list call nothing`, async () => {
    multiply(service.dataDir, 1, FEW);
    const few = await measure();
    multiply(service.dataDir, FEW, MANY);
    const many = await measure();
    expect(many.start).toBeLessThan(START_MS);
    expect(many.list / few.list).toBeLessThan(FLAT);
    // Each is as it was: nobody has touched the engine for them.
    const { body } = await service.api<{ items: Deployment[] }>(
      'GET',
      '/api/deployment?limit=100&status=paused',
    );
    expect(body.items).toHaveLength(100);
    expect(service.log).not.toContain('orphan_removed');
  });
});
