import { Module } from '@nestjs/common';
import { DockerRuntime } from './docker/docker-runtime.js';
import { SandboxRuntime } from './sandbox-runtime.js';

@Module({ providers: [{ provide: SandboxRuntime, useClass: DockerRuntime }], exports: [SandboxRuntime] })
export class ContainersModule {}
