import { Module } from '@nestjs/common';
import { DockerRuntime } from './docker/docker-runtime.js';
import { DockerSurvey } from './docker/docker-survey.js';
import { HostSurvey } from './host-survey.js';
import { SandboxRuntime } from './sandbox-runtime.js';

@Module({ providers: [{ provide: SandboxRuntime, useClass: DockerRuntime }], exports: [SandboxRuntime] })
export class ContainersModule {}

/** For commands: the same runtime, and a look at the machine. */
@Module({
  imports: [ContainersModule],
  providers: [{ provide: HostSurvey, useClass: DockerSurvey }],
  exports: [ContainersModule, HostSurvey],
})
export class HostSurveyModule {}
