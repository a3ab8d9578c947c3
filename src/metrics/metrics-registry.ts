import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { CLIENT_INFO } from '../gateway/client-info.js';

/** Between two looks at the event loop, milliseconds. */
const LOOP_RESOLUTION = 20;

/** What every metric has. A label's values are a closed list, whatever clients send: each makes a series for good. */
interface Description<Label extends string> {
  name: string;
  help: string;
  labels?: Label[];
}

type Set<Label extends string> = (value: number, labels?: Record<Label, string>) => void;

/** All metrics of this service, those of the process included. Nothing of it is global. */
@Injectable()
export class MetricsRegistry {
  private readonly registry = new Registry();
  private collecting: Promise<string> | undefined;

  constructor() {
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: LOOP_RESOLUTION });
    this.gauge(
      {
        name: 'mcp_runner_build_info',
        help: 'Always 1; its labels say what runs.',
        labels: ['version', 'node_version'],
      },
      (set) => set(1, { version: CLIENT_INFO.version, node_version: process.versions.node }),
    );
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  get names(): string[] {
    return this.registry.getMetricsAsArray().map(({ name }) => name);
  }

  /** The text of a scrape. Those who ask at once get the same, so that asking cannot be made a burden. */
  text(): Promise<string> {
    this.collecting ??= this.registry.metrics().finally(() => {
      this.collecting = undefined;
    });
    return this.collecting;
  }

  counter<Label extends string>({ name, help, labels = [] }: Description<Label>): Counter<Label> {
    return new Counter({ name, help, labelNames: labels, registers: [this.registry] });
  }

  histogram<Label extends string>(
    { name, help, labels = [] }: Description<Label>,
    buckets: number[],
  ): Histogram<Label> {
    return new Histogram({ name, help, labelNames: labels, buckets, registers: [this.registry] });
  }

  /** A value that is looked up at each scrape, by `read`. */
  gauge<Label extends string>(
    { name, help, labels = [] }: Description<Label>,
    read: (set: Set<Label>) => void,
  ): void {
    const gauge = new Gauge<Label>({
      name,
      help,
      labelNames: labels,
      registers: [],
      collect: () => read((value, of) => (of ? gauge.set(of, value) : gauge.set(value))),
    });
    this.registry.registerMetric(gauge);
  }
}
