import type { LoggerService } from '@nestjs/common';
import { type Config, LOG_LEVELS, type LogLevel } from '../config/config.js';
import { stackOf } from '../errors/stack-of.js';
import { jsonLine, type LogRecord, readableLine, wordsOf } from './log-line.js';
import { Redaction } from './redaction.js';

/** Parts of Nest that tell about every class and route at each start. */
const TALKATIVE = ['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication'];

type Settings = Pick<Config, 'nodeEnv' | 'logLevel' | 'apiKey' | 'metricsKey'>;

/** Where lines go. */
interface Sink {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Gets every error that is logged as it was thrown: nobody expected it. */
type Report = (error: Error) => void;

/**
 * One line per event on stdout: JSON in production, for eyes otherwise. Success is silent. Every value passes the
 * redaction, and no value can end its line or command a terminal.
 */
export class ServiceLogger implements LoggerService {
  private readonly redaction: Redaction;
  private readonly isJson: boolean;
  private readonly hasColors: boolean;
  private readonly threshold: number;

  constructor(
    { nodeEnv, logLevel, apiKey, metricsKey }: Settings,
    private readonly report: Report = () => undefined,
    private readonly out: Sink = process.stdout,
    private readonly now: () => number = Date.now,
  ) {
    this.redaction = new Redaction([apiKey, metricsKey].filter((secret) => secret !== undefined));
    this.isJson = nodeEnv === 'production';
    this.hasColors = !this.isJson && out.isTTY === true;
    this.threshold = LOG_LEVELS.indexOf(logLevel);
  }

  log(message: unknown, ...rest: unknown[]): void {
    // Nest appends the context as the last argument.
    if (!TALKATIVE.includes(String(rest.at(-1)))) this.write('info', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    // Why the service does not start is thrown as well, and told by serve.ts.
    if (rest.at(-1) === 'ExceptionHandler') return;
    this.write('error', message, rest);
    if (message instanceof Error) this.report(message);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  /** `rest`: the context is last; Nest's own errors have their stack before it. */
  private write(level: LogLevel, message: unknown, rest: unknown[]): void {
    if (LOG_LEVELS.indexOf(level) > this.threshold) return;
    const context = rest.at(-1);
    const stack = rest.length > 1 ? rest.at(-2) : undefined;
    const { event, message: sentence, ...fields } = this.fieldsOf(message);
    const name = typeof event === 'string' ? event : 'note';
    const record: LogRecord = {
      time: new Date(this.now()).toISOString(),
      level,
      event: name,
      message: typeof sentence === 'string' ? sentence : wordsOf(name),
      ...(typeof context === 'string' && { context: this.redaction.text(context) }),
      pid: process.pid,
      ...withoutFixed(fields),
      ...(typeof stack === 'string' && { error: this.redaction.text(stack) }),
    };
    this.out.write(`${this.isJson ? jsonLine(record) : readableLine(record, this.hasColors)}\n`);
  }

  private fieldsOf(message: unknown): Record<string, unknown> {
    if (message instanceof Error) {
      const { redaction } = this;
      return {
        event: 'fault',
        message: redaction.text(message.message),
        error: redaction.text(stackOf(message)),
      };
    }
    if (typeof message === 'object' && message !== null) return this.redaction.fields(message);
    return { message: this.redaction.text(String(message)) };
  }
}

/** What a line is made of is not for its fields to say. */
function withoutFixed(fields: Record<string, unknown>): Record<string, unknown> {
  const { time: _time, level: _level, context: _context, pid: _pid, ...others } = fields;
  return others;
}
