import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerText } from '../support/client-raw.js';
import { CrashGrounds, eventually } from '../support/crash-ground.js';
import { expireSessions, storedDeployments, storedSessions } from '../support/stored-rows.js';

const NOTE = 'left before the crash';
const AT_ONCE = 3;

const grounds = new CrashGrounds();
beforeAll(() => grounds.open(AT_ONCE));
afterAll(() => grounds.close());

/** Where a first start and a wake can be cut off alike. */
const MAKING = [
  'SandboxNetwork.create:amid',
  'SandboxNetwork.create:after',
  'LoopDevices.attach:after',
  'SandboxHomes.attach:after',
  'Docker.createVolume:amid',
  'Docker.createContainer:amid',
  'Container.start:before',
  'Container.start:amid',
  'SandboxContainers.run:after',
  'DeploymentsRepository.transition(running):before',
  'DeploymentsRepository.transition(running):after',
];

describe.concurrent('the control plane is killed', () => {
  it('while it creates a deployment, before the row: nothing exists', () =>
    grounds.use(async (ground) => {
      await ground.crash('DeploymentsRepository.create:before', () => ground.create());
      await ground.service.restart();
      await ground.isGone();
    }));

  it.each([
    'DeploymentsRepository.create:after',
    'DeploymentsRepository.transition(starting):before',
    'DeploymentsRepository.transition(starting):after',
    'SystemAccounts.create:after',
    'child_process.execFile(useradd):before',
    'child_process.execFile(mkfs.ext4):before',
    'child_process.execFile(mkfs.ext4):after',
    'child_process.execFile(debugfs):before',
    'SandboxHomes.make:after',
    ...MAKING,
    'Exec.start:amid',
    'ProcessPool.spawn:after',
    'ProcessPool.fill:after',
    'HandshakeProbe.probe:after',
  ])('while it starts one, at %s: it runs', (point) =>
    grounds.use(async (ground) => {
      await ground.crash(point, () => ground.create());
      const id = ground.onlyId();
      await ground.service.restart();
      await ground.becomes(id, 'running');
      await ground.serves(id, '');
      await ground.matches();
    }),
  );

  it.each([
    'DeploymentStarter.fail:before',
    'SandboxContainers.remove:after:2',
    'SandboxHomes.remove:after',
    'SystemAccounts.remove:after',
    'DeploymentsRepository.transition(failed):before',
    'DeploymentsRepository.transition(failed):after',
  ])('while it clears a failed start away, at %s: it has failed, and nothing of it is left', (point) =>
    grounds.use(async (ground) => {
      await ground.crash(point, () => ground.create({ args: ['--exit-at-start'] }));
      const id = ground.onlyId();
      await ground.service.restart();
      await ground.becomes(id, 'failed');
      const { statusReason } = await ground.service.get(id);
      expect(statusReason).toMatchObject({
        code: 'server_exited',
        message: expect.stringContaining('giving up'),
      });
      expect(storedDeployments(ground.service)).toMatchObject([{ has_remains: 0, has_account: 0 }]);
    }),
  );

  it.each([
    'DeploymentsRepository.transition(pausing):before',
    'DeploymentsRepository.transition(pausing):after',
    'DeploymentEvents.stopping:after',
    'Container.remove:amid',
    'SandboxContainers.remove:after',
    'Network.remove:amid',
    'SandboxNetwork.remove:after',
    'Volume.remove:amid',
    'SandboxHomes.detach:after',
    'DeploymentsRepository.transition(paused):before',
    'DeploymentsRepository.transition(paused):after',
  ])('while it pauses one, at %s: it is paused, and its session wakes it with its home', (point) =>
    grounds.use(async (ground) => {
      const { id, client } = await ground.deploy(NOTE);
      await ground.crash(point, () => ground.power(id, 'pause'));
      await ground.service.restart();
      // What was not written yet was never told to anybody.
      if (point.endsWith('(pausing):before')) {
        await ground.becomes(id, 'running');
        await ground.power(id, 'pause');
      }
      await ground.becomes(id, 'paused');
      expect(answerText(await client.call(3, 'read'))).toBe(NOTE);
      await ground.becomes(id, 'running', 1);
    }),
  );

  it.each(['DeploymentsRepository.transition(starting):after', ...MAKING])(
    'while it wakes one, at %s: it runs, and its session goes on with its home',
    (point) =>
      grounds.use(async (ground) => {
        const { id, client } = await ground.deploy(NOTE);
        await ground.power(id, 'pause');
        await ground.becomes(id, 'paused');
        await ground.crash(point, () => client.call(3, 'read'));
        await ground.service.restart();
        await ground.becomes(id, 'running');
        expect(answerText(await client.call(3, 'read'))).toBe(NOTE);
        await ground.matches(1);
      }),
  );

  it.each([
    'DeploymentsRepository.transition(deleting):after',
    'Container.remove:amid',
    'SandboxContainers.remove:after',
    'Network.remove:amid',
    'SandboxNetwork.remove:after',
    'Volume.remove:amid',
    'SandboxHomes.detach:after',
    'SandboxHomes.remove:after',
    'child_process.execFile(userdel):after',
    'SystemAccounts.remove:after',
    'DeploymentsRepository.remove:before',
    'DeploymentsRepository.remove:after',
  ])('while it deletes one, at %s: nothing of it is left', (point) =>
    grounds.use(async (ground) => {
      const { id } = await ground.deploy(NOTE);
      await ground.crash(point, () => ground.service.delete(id));
      await ground.service.restart();
      await ground.isGone();
      const { status } = await ground.service.api('GET', `/api/deployment/${id}`);
      expect(status).toBe(404);
      expect(storedSessions(ground.service)).toEqual([]);
    }),
  );

  it.each([
    ['ProcessPool.take:after', 0],
    ['SessionsRepository.save:before', 0],
    ['SessionsRepository.save:after', 1],
  ])('while it opens a session, at %s: %i are stored, and no process of it is left', (point, stored) =>
    grounds.use(async (ground) => {
      const { id } = await ground.create();
      const { sandbox } = await ground.service.settled(id);
      await ground.crash(point, () => ground.client(id).open());
      await ground.service.restart();
      await ground.becomes(id, 'running');
      expect((await ground.service.get(id)).sandbox).toEqual(sandbox);
      expect(storedSessions(ground.service)).toHaveLength(stored);
      expireSessions(ground.service);
      await eventually(() => storedSessions(ground.service), []);
      await ground.serves(id, '');
    }),
  );

  it('while it starts a process for a session: no process of it is left', () =>
    grounds.use(async (ground) => {
      const { id } = await ground.create({ warmProcesses: 0 });
      await ground.service.settled(id);
      await ground.matches();
      await ground.crash('DockerRuntime.spawn:after', () => ground.client(id).open());
      await ground.service.restart();
      await ground.becomes(id, 'running');
      expect(storedSessions(ground.service)).toEqual([]);
      await ground.serves(id, '');
    }));

  it('after it has opened a session: the session goes on, in the same sandbox', () =>
    grounds.use(async (ground) => {
      const { id, containerId, client } = await ground.deploy(NOTE);
      await ground.service.kill();
      await ground.service.restart();
      await ground.becomes(id, 'running');
      expect(answerText(await client.call(3, 'read'))).toBe(NOTE);
      await ground.matches(1);
      expect((await ground.service.get(id)).sandbox.containerId).toBe(containerId);
    }));

  it.each([
    'DeploymentsRepository.transition(starting):after',
    'DockerRuntime.killStrays:before',
    'DockerRuntime.killStrays:after',
    'DeploymentsRepository.transition(running):after',
    'OrphanCleaner.cleanOnce:after',
  ])('and again while it takes a sandbox over, at %s: the session goes on, in the same sandbox', (point) =>
    grounds.use(async (ground) => {
      const { id, containerId, client } = await ground.deploy(NOTE);
      await ground.service.kill();
      await ground.crashAtStart(point);
      await ground.service.restart();
      await ground.becomes(id, 'running');
      expect(answerText(await client.call(3, 'read'))).toBe(NOTE);
      await ground.matches(1);
      expect((await ground.service.get(id)).sandbox.containerId).toBe(containerId);
    }),
  );
});
