import { readFile } from 'node:fs/promises';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Config } from '../../config/config.js';
import { AppError } from '../../errors/app-error.js';
import { type HostFinding, HostSurvey } from '../host-survey.js';
import { Engine, reasonOf } from './engine.js';
import { tableNameOf } from './firewall-rules.js';
import { runOnHost } from './host-command.js';
import { knownInstanceIn, requireHostTools } from './host-preparation.js';
import { refuseOverlaps } from './pool-overlap.js';
import { registeredRuntimeFinding } from './runtime-survey.js';
import { checkEngine } from './runtime-checks.js';
import { accountUidsIn } from './system-account.js';

const SETUP = 'Run setup.sh engine.';
/** Of another instance: nothing in the engine carries it. */
const NOBODY = '';
const INOTIFY_INSTANCES = '/proc/sys/fs/inotify/max_user_instances';
/** containerd takes one for each container under cgroup v2. */
const LEAST_INOTIFY_INSTANCES = 1024;

@Injectable()
export class DockerSurvey extends HostSurvey implements OnApplicationShutdown {
  private readonly engine: Engine;

  constructor(private readonly config: Config) {
    super();
    this.engine = new Engine(config.dockerSocket, () => undefined);
  }

  override async look(signal: AbortSignal): Promise<HostFinding[]> {
    const [ofEngine, ...others] = await Promise.all([
      this.lookAtEngine(signal),
      this.lookAtTools(),
      this.lookAtFirewall(),
      lookAtInotify(),
    ]);
    return [...ofEngine, ...others];
  }

  override accountUids(): Promise<number[]> {
    return accountUidsIn(this.config.sandboxUidFirst, this.config.sandboxUidLast);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.engine.close();
  }

  private async lookAtEngine(signal: AbortSignal): Promise<HostFinding[]> {
    const { answer, info } = await checkEngine(this.engine, signal).catch((error: unknown) => ({
      answer: { name: 'engine' as const, ok: false, message: reasonOf(error) },
      info: undefined,
    }));
    if (info === undefined) {
      const socket = this.config.dockerSocket;
      const fix = `Start the Docker engine, or set DOCKER_SOCKET if it is not at ${socket}. ${SETUP}`;
      return [
        { name: 'engine', level: 'fail', message: answer.message, fix },
        unknownYet('runtime'),
        unknownYet('address pool'),
      ];
    }
    return [
      { name: 'engine', level: 'ok', message: answer.message },
      await registeredRuntimeFinding(info, this.config),
      await this.lookAtPool(signal),
    ];
  }

  private async lookAtPool(signal: AbortSignal): Promise<HostFinding> {
    const name = 'address pool';
    const pool = this.config.sandboxSubnetPool;
    try {
      const instance = await knownInstanceIn(this.config.dataDir).catch(() => NOBODY);
      await refuseOverlaps(this.engine, instance, pool, signal);
      return { name, level: 'ok', message: `Nobody else on this machine uses ${pool}.` };
    } catch (error) {
      if (error instanceof AppError && error.code === 'runtime_unavailable')
        return { name, level: 'fail', message: error.message, fix: 'Set SANDBOX_SUBNET_POOL.' };
      return { name, level: 'warn', message: `It cannot be looked at (${reasonOf(error)}).`, fix: SETUP };
    }
  }

  private async lookAtTools(): Promise<HostFinding> {
    const name = 'host tools';
    try {
      await requireHostTools();
      return { name, level: 'ok', message: 'This is root, and the tools for disks and firewall are there.' };
    } catch (error) {
      return { name, level: 'fail', message: reasonOf(error), fix: `Be root. ${SETUP}` };
    }
  }

  /** Whether its content is whole, only the service that has applied it can tell: /health does. */
  private async lookAtFirewall(): Promise<HostFinding> {
    const name = 'firewall';
    const table = tableNameOf(this.config.sandboxSubnetPool);
    try {
      const listing = await runOnHost('nft', ['list', 'tables']);
      if (listing.split('\n').includes(`table inet ${table}`))
        return { name, level: 'ok', message: `The nftables table ${table} is there.` };
      return {
        name,
        level: 'warn',
        message: `There is no nftables table ${table}.`,
        fix: 'The next start of the service, or of a sandbox, makes it.',
      };
    } catch (error) {
      return { name, level: 'fail', message: `nftables does not work (${reasonOf(error)}).`, fix: SETUP };
    }
  }
}

function unknownYet(name: string): HostFinding {
  return {
    name,
    level: 'warn',
    message: 'Unknown while the container engine does not answer.',
    fix: 'Start the engine first.',
  };
}

async function lookAtInotify(): Promise<HostFinding> {
  const name = 'inotify';
  const isCgroup2 = await readFile('/sys/fs/cgroup/cgroup.controllers').then(
    () => true,
    () => false,
  );
  const instances = Number(await readFile(INOTIFY_INSTANCES, 'utf8').catch(() => ''));
  const has = `fs.inotify.max_user_instances is ${instances}`;
  if (!isCgroup2) return { name, level: 'ok', message: `${has}; under cgroup v1 sandboxes take none.` };
  if (instances >= LEAST_INOTIFY_INSTANCES) return { name, level: 'ok', message: `${has}.` };
  return {
    name,
    level: 'warn',
    message: `${has}: each sandbox takes one.`,
    fix: `sysctl -w fs.inotify.max_user_instances=${LEAST_INOTIFY_INSTANCES}; setup.sh engine keeps it so.`,
  };
}
