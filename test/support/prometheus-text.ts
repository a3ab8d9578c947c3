/** A metric of a scrape: its type and its series, by name and labels as they stand in the text. */
export interface ScrapedMetric {
  type: string;
  help: string;
  series: Map<string, number>;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const COMMENT = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`);
const SAMPLE = new RegExp(
  `^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)?\\})? ([Nn]a[Nn]|[+-]Inf|-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?)$`,
);
const TYPES = new Set(['counter', 'gauge', 'histogram', 'summary']);
const PARTS = ['_bucket', '_sum', '_count'];

/**
 * Reads the Prometheus text format, version 0.0.4, and is strict: it throws for a line that is none, a sample without HELP
 * and TYPE before it, a series that stands twice, and a histogram that is not one.
 */
export class PrometheusText {
  readonly metrics = new Map<string, ScrapedMetric>();

  constructor(text: string) {
    if (!text.endsWith('\n')) throw new Error('The text does not end with a line feed');
    const helps = new Map<string, string>();
    for (const line of text.split('\n')) {
      const [, keyword, name = '', rest = ''] = COMMENT.exec(line) ?? [];
      if (keyword === 'HELP') helps.set(name, rest);
      else if (keyword === 'TYPE') this.declare(name, rest, helps.get(name));
      else if (line !== '') this.sample(line);
    }
    for (const [name, metric] of this.metrics)
      if (metric.type === 'histogram') requireHistogram(name, metric);
  }

  /** How many series there are in all. */
  get size(): number {
    return [...this.metrics.values()].reduce((sum, { series }) => sum + series.size, 0);
  }

  /** The value of one series, whose labels may stand in any order; undefined where there is none. */
  value(name: string, labels: Record<string, string> = {}): number | undefined {
    const metric = this.metrics.get(name) ?? this.metrics.get(name.replace(/_(bucket|sum|count)$/, ''));
    return metric?.series.get(keyOf(name, Object.entries(labels)));
  }

  /** The sum of all series of a name that have these labels, and maybe others. */
  sum(name: string, labels: Record<string, string> = {}): number {
    const metric = this.metrics.get(name) ?? this.metrics.get(name.replace(/_(bucket|sum|count)$/, ''));
    const wanted = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
    return [...(metric?.series ?? [])]
      .filter(([key]) => key.split('{', 1)[0] === name && wanted.every((label) => key.includes(label)))
      .reduce((sum, [, value]) => sum + value, 0);
  }

  private declare(name: string, type: string, help: string | undefined): void {
    if (!TYPES.has(type)) throw new Error(`${name} has the type ${type}, which is none`);
    if (help === undefined) throw new Error(`${name} has no HELP`);
    if (this.metrics.has(name)) throw new Error(`${name} is declared twice`);
    if (type === 'counter' && name.startsWith('mcp_runner_') && !name.endsWith('_total')) {
      throw new Error(`The counter ${name} does not end in _total`);
    }
    this.metrics.set(name, { type, help, series: new Map() });
  }

  private sample(line: string): void {
    const [all, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
    if (all === undefined) throw new Error(`This is no sample: ${line}`);
    const metric = this.metricOf(name);
    if (!metric) throw new Error(`Nothing says what ${name} is`);
    const pairs = [...labels.matchAll(/([^=,]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', text = '']) => [
      label,
      text,
    ]);
    const key = keyOf(name, pairs as [string, string][]);
    if (metric.series.has(key)) throw new Error(`${key} stands twice`);
    metric.series.set(key, Number(value.replace('Inf', 'Infinity')));
  }

  private metricOf(name: string): ScrapedMetric | undefined {
    const exact = this.metrics.get(name);
    if (exact) return exact;
    const part = PARTS.find((suffix) => name.endsWith(suffix));
    const base = part === undefined ? undefined : this.metrics.get(name.slice(0, -part.length));
    return base?.type === 'histogram' || base?.type === 'summary' ? base : undefined;
  }
}

function keyOf(name: string, labels: [string, string][]): string {
  const sorted = labels.map(([label, value]) => `${label}=${JSON.stringify(value)}`).sort();
  return `${name}{${sorted.join(',')}}`;
}

/** Buckets that only grow, and a last one that counts everything. */
function requireHistogram(name: string, { series }: ScrapedMetric): void {
  const groups = new Map<string, [number, number][]>();
  for (const [key, value] of series) {
    const [, bound] = /le="([^"]+)"/.exec(key) ?? [];
    if (bound === undefined) continue;
    const group = key.replace(/,?le="[^"]+"/, '').replace('{,', '{');
    groups.set(group, [...(groups.get(group) ?? []), [Number(bound.replace('+Inf', 'Infinity')), value]]);
  }
  for (const [group, buckets] of groups) {
    const counts = buckets.sort(([a], [b]) => a - b).map(([, count]) => count);
    const total = series.get(group.replace('_bucket', '_count'));
    const grows = counts.every((count, at) => at === 0 || count >= (counts[at - 1] ?? 0));
    if (!grows || buckets.at(-1)?.[0] !== Infinity || counts.at(-1) !== total) {
      throw new Error(`${name} is no histogram: ${group} ${counts.join(' ')}, in all ${String(total)}`);
    }
  }
}
