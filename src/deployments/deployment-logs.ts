import { Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { LogTailed, TailQuery } from '../logs/deployment-log.js';
import { plainTextOf, publicLineOf, terminalSafeJson } from '../logs/log-line.js';
import { LogStore } from '../logs/log-store.js';
import { LogStreams } from '../logs/log-streams.js';
import { DeploymentsService } from './deployments.service.js';
import { timeOf } from './log-time.js';
import type { LogPageDto, ReadLogsDto } from './read-logs.dto.js';
import { Slots } from './slots.js';

/** Each may take megabytes of memory. */
const READS_AT_ONCE = 4;
const SLOT_HOLD_MS = 10_000;

/** Answers with what a deployment's servers said. */
@Injectable()
export class DeploymentLogs {
  private readonly reads = new Slots(READS_AT_ONCE, SLOT_HOLD_MS);

  constructor(
    private readonly deployments: DeploymentsService,
    private readonly store: LogStore,
    private readonly streams: LogStreams,
  ) {}

  /** Throws `deployment_not_found`, and with `follow` what `LogStreams.serve` throws. */
  async serve(
    tenantId: string,
    id: string,
    asked: ReadLogsDto,
    { req, res }: { req: Request; res: Response },
  ): Promise<void> {
    this.deployments.get(tenantId, id);
    const { tail, process } = asked;
    const query = { tail, process, since: timeOf(asked.since, Date.now()) };
    if (asked.follow) {
      const lookBack = (signal: AbortSignal): Promise<LogTailed> => this.read(id, query, signal);
      this.streams.serve({ tenantId, id }, { process, lookBack }, req, res);
    } else answer(await this.read(id, query, new AbortController().signal), req, res);
  }

  private read(id: string, query: TailQuery, signal: AbortSignal): Promise<LogTailed> {
    const log = this.store.get(id);
    return this.reads.run(() => log.tail(query), signal);
  }
}

function answer({ lines, hasOlder }: LogTailed, req: Request, res: Response): void {
  // JSON also for who takes anything, as curl does.
  if (req.accepts(['application/json', 'text/plain']) === 'text/plain') {
    res.type('text/plain').send(lines.map((line) => `${plainTextOf(line)}\n`).join(''));
    return;
  }
  const page: LogPageDto = { items: lines.map(publicLineOf), hasOlder };
  res.type('application/json').send(terminalSafeJson(page));
}
