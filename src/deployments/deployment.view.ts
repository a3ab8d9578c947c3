import { Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { Config } from '../config/config.js';
import { accountName, subnetOf } from './deployment.js';
import type { CreatedDeploymentDto, DeploymentDto, DeploymentUrlsDto } from './deployment.dto.js';
import type { DeploymentRow } from './deployment.table.js';

const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/** What clients see of a row. */
@Injectable()
export class DeploymentView {
  constructor(private readonly config: Config) {}

  of(row: DeploymentRow, req: Request): DeploymentDto {
    return {
      id: row.id,
      name: row.name,
      status: row.status,
      statusReason: { code: row.reasonCode, message: row.reasonMessage, at: iso(row.reasonAt) },
      urls: urlsOf(`${this.originFor(req)}/mcp-server/${row.id}`),
      image: row.image,
      args: row.args,
      envNames: Object.keys(row.env),
      transport: { type: row.transport, endpoint: row.endpoint },
      maxMemory: row.maxMemoryMb,
      maxCpus: row.maxCpus,
      maxPids: row.maxPids,
      maxDisk: row.maxDiskMb,
      pauseAfterSeconds: row.pauseAfterSeconds,
      deleteAfterSeconds: row.deleteAfterSeconds,
      metadata: row.metadata,
      sessionMode: row.sessionMode,
      maxSessions: row.maxSessions,
      sessionIdleSeconds: row.sessionIdleSeconds,
      warmProcesses: row.warmProcesses,
      startTimeoutSeconds: row.startTimeoutSeconds,
      access: row.access,
      user: { name: row.hasAccount ? accountName(row.uid) : null, uid: row.uid, gid: row.uid },
      network: { name: row.networkName, subnet: subnetOf(row) },
      sandbox: { runtime: row.runtime ?? this.config.sandboxRuntime, containerId: row.containerId },
      createdAt: iso(row.createdAt),
      lastActivityAt: iso(row.lastActivityAt),
      pauseAt: row.pauseAt === null ? null : iso(row.pauseAt),
      deleteAt: row.deleteAt === null ? null : iso(row.deleteAt),
    };
  }

  created(row: DeploymentRow, accessToken: string, req: Request): CreatedDeploymentDto {
    return Object.assign(this.of(row, req), { accessToken });
  }

  /** PUBLIC_URL, or the address that we listen on; where that is every address, the one by which this client came. */
  private originFor(req: Request): string {
    const { publicUrl, bindIp } = this.config;
    if (publicUrl !== undefined) return publicUrl;
    const port = req.socket.localPort ?? this.config.port;
    const { host } = req.headers;
    if (bindIp !== '0.0.0.0' && bindIp !== '::')
      return `http://${bindIp.includes(':') ? `[${bindIp}]` : bindIp}:${port}`;
    return host !== undefined && HOST.test(host) ? `http://${host}` : `http://127.0.0.1:${port}`;
  }
}

function urlsOf(base: string): DeploymentUrlsDto {
  return { mcp: `${base}/mcp`, sse: `${base}/sse`, ws: `${base.replace(/^http/, 'ws')}/ws` };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
