import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sqlite } from '../../test/support/database-ground.js';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { type HostFinding, HostSurvey } from '../containers/host-survey.js';
import { examine } from './doctor.js';
import { type Finding, worstOf } from './finding.js';

class ScriptedSurvey extends HostSurvey {
  answer: () => Promise<HostFinding[]> = () => Promise.resolve([]);
  uids: number[] = [];

  override look(): Promise<HostFinding[]> {
    return this.answer();
  }

  override accountUids(): Promise<number[]> {
    return Promise.resolve(this.uids);
  }
}

let fixture: DeploymentsFixture;
let survey: ScriptedSurvey;

beforeEach(async () => {
  fixture = new DeploymentsFixture();
  survey = new ScriptedSurvey();
  const { uid } = await fixture.running();
  survey.uids = [uid];
  chmodSync(dataDir(), 0o711);
});

afterEach(() => fixture.dispose());

function dataDir(): string {
  return fixture.config.dataDir;
}

/** All but that of the service: in this process it cannot be told from its lock. */
async function bad(): Promise<Finding[]> {
  const findings = await examine(fixture.config, survey, fixture.runtime);
  return findings.filter(({ name, level }) => level !== 'ok' && name !== 'service');
}

/** As the service has left it. */
async function afterShutdown(work: () => Promise<void>): Promise<void> {
  await fixture.shutDown();
  try {
    await work();
  } finally {
    fixture = new DeploymentsFixture({ config: fixture.config, runtime: fixture.runtime });
  }
}

describe('doctor', () => {
  it('finds nothing where nothing is wrong, and changes nothing', async () => {
    await afterShutdown(async () => {
      expect(await bad()).toEqual([]);
      expect(fixture.runtime.calls.filter((call) => /^(prepare|start|stop|remove)/.test(call))).toEqual([
        expect.stringMatching(/^start /),
      ]);
    });
  });

  it('says that the service does not run', async () => {
    await afterShutdown(async () => {
      const findings = await examine(fixture.config, survey, fixture.runtime);
      expect(findings.find(({ name }) => name === 'service')).toMatchObject({
        level: 'warn',
        message: 'It does not run.',
      });
    });
  });

  it('names what others may read, and the command that ends it', async () => {
    await afterShutdown(async () => {
      const key = join(dataDir(), 'api-key');
      writeFileSync(key, 'x');
      chmodSync(key, 0o640);
      chmodSync(dataDir(), 0o755);
      expect(await bad()).toEqual([
        {
          name: 'data directory',
          level: 'fail',
          message: `Others than its owner may read ${dataDir()}, ${key}.`,
          fix: `chmod 711 ${dataDir()}; chmod 600 ${key}`,
        },
      ]);
    });
  });

  it('names what no row owns: traces in the engine, and accounts', async () => {
    await afterShutdown(async () => {
      const [sandbox] = fixture.runtime.sandboxes.values();
      if (sandbox !== undefined) fixture.runtime.sandboxes.set('dp_orphan', sandbox);
      survey.uids.push(200_099);
      expect(await bad()).toMatchObject([
        { name: 'orphans', level: 'warn', message: expect.stringContaining('dp_orphan') },
        { name: 'accounts', level: 'warn', message: expect.stringContaining('mcp-200099') },
      ]);
    });
  });

  it('tells a database of a newer version from one that is damaged or missing', async () => {
    await afterShutdown(async () => {
      const path = join(dataDir(), 'mcp-runner.sqlite');
      sqlite(path, (connection) =>
        connection
          .prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)')
          .run('x', 9e12),
      );
      expect(await bad()).toMatchObject([
        { name: 'database', level: 'fail', message: expect.stringContaining('A newer version') },
      ]);
      writeFileSync(path, 'no database '.repeat(1000));
      for (const file of ['-wal', '-shm']) rmSync(`${path}${file}`, { force: true });
      expect((await bad()).map(({ name, level }) => [name, level])).toEqual([
        ['database', 'fail'],
        ['orphans', 'warn'],
        ['accounts', 'warn'],
      ]);
      rmSync(path);
      expect((await bad())[0]).toMatchObject({ name: 'database', message: `There is no ${path}.` });
    });
  });

  it('goes on when one look fails, and sees a restore that was cut off', async () => {
    await afterShutdown(async () => {
      survey.answer = () => Promise.reject(new Error('no such thing'));
      mkdirSync(join(dataDir(), 'restore'));
      const found = await bad();
      rmSync(join(dataDir(), 'restore'), { recursive: true });
      expect(found).toMatchObject([
        { name: 'data directory', level: 'fail', message: 'A restore was cut off.' },
        { name: 'host', level: 'fail', message: expect.stringContaining('no such thing') },
      ]);
      expect(worstOf(found)).toBe('fail');
    });
  });
});
