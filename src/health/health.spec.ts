import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Config } from '../config/config.js';
import { Health } from './health.js';

let fixture: DeploymentsFixture;
let health: Health;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  health = new Health(fixture.config, fixture.database, fixture.runtime);
});

afterEach(() => fixture.dispose());

describe('health', () => {
  it('is ok when every check is', async () => {
    expect(await health.check(0)).toEqual({
      status: 'ok',
      checks: [
        { name: 'database', ok: true, message: 'It can be read.' },
        { name: 'disk', ok: true, message: expect.stringContaining('MB are free') },
        { name: 'engine', ok: true, message: 'It answers.' },
      ],
    });
  });

  it('says what is wrong', async () => {
    fixture.runtime.checks = [{ name: 'firewall', ok: false, message: 'The table is gone.' }];
    expect(await health.check(0)).toMatchObject({
      status: 'unhealthy',
      checks: [{ ok: true }, { ok: true }, { ok: false }],
    });
  });

  it('is bad when the engine cannot even be asked, or the database cannot be read', async () => {
    fixture.runtime.check = () => Promise.reject(new Error('socket'));
    expect(await health.check(0)).toMatchObject({
      status: 'unhealthy',
      checks: [{}, {}, { name: 'engine', ok: false }],
    });
    fixture.database.check = () => {
      throw new Error('disk I/O error');
    };
    expect(await health.check(5000)).toMatchObject({ checks: [{ name: 'database', ok: false }, {}, {}] });
  });

  it('is bad when there is no data directory any more', async () => {
    const config = Object.assign(new Config(), { dataDir: '/nonexistent/data' });
    expect(await new Health(config, fixture.database, fixture.runtime).check(0)).toMatchObject({
      status: 'unhealthy',
      checks: [{}, { name: 'disk', ok: false, message: 'DATA_DIR cannot be looked at.' }, {}],
    });
  });

  it('asks the engine once in two seconds, however many ask', async () => {
    for (const now of [0, 0, 1999, 2000, 2001]) await health.check(now);
    expect(fixture.runtime.calls.filter((call) => call === 'check')).toHaveLength(2);
  });

  it('says loudly that sandboxes are not under gVisor', async () => {
    fixture.runtime.checks = [{ name: 'runtime', ok: true, message: 'runc is there.' }];
    const { dataDir } = fixture.config;
    const config = Object.assign(new Config(), { dataDir, sandboxRuntime: 'runc', allowUnsafeRuntime: true });
    const { checks } = await new Health(config, fixture.database, fixture.runtime).check(0);
    expect(checks[2]?.message).toMatch(/^UNSAFE: sandboxes run under runc/);
  });
});
