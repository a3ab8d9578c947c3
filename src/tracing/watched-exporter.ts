import { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';

type Report = Parameters<SpanExporter['export']>[1];

/** How the collector is, told when that changes: a collector that is away for a day is one line, not one per batch. */
export interface ExportLog {
  failed(why: string): void;
  recovered(): void;
}

/** An exporter whose failures are nobody else's business: what it could not hand over is dropped. */
export class WatchedExporter implements SpanExporter {
  private isFailing = false;

  constructor(
    private readonly inner: SpanExporter,
    private readonly log: ExportLog,
  ) {}

  export(spans: ReadableSpan[], report: Report): void {
    this.inner.export(spans, ({ code, error }) => {
      const hasFailed = code !== ExportResultCode.SUCCESS;
      if (hasFailed && !this.isFailing) this.log.failed(error?.message ?? 'unknown');
      if (!hasFailed && this.isFailing) this.log.recovered();
      this.isFailing = hasFailed;
      report({ code: ExportResultCode.SUCCESS });
    });
  }

  shutdown(): Promise<void> {
    return this.inner.shutdown();
  }
}
