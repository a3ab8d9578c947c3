import type { LogLevel } from '../config/config.js';
import { terminalSafe } from '../errors/terminal-safe.js';

/** What every line has; what else is known of the event follows. */
export interface LogRecord {
  /** ISO 8601, UTC. */
  time: string;
  level: LogLevel;
  /** What happened, in one word to search for. */
  event: string;
  /** For a person. */
  message: string;
  /** The part of the service that tells it. */
  context?: string;
  pid: number;
  [field: string]: unknown;
}

const PLAIN = /^[\w.:/@+-]+$/;
const COLORS: Record<LogLevel, number> = { error: 31, warn: 33, info: 32, debug: 90 };

/** One line of JSON without anything that could end or disguise it. */
export function jsonLine(record: LogRecord): string {
  return terminalSafe(JSON.stringify(record));
}

/** For eyes: one line, and below it, marked, the lines of stacks. Nothing in it can look like another event. */
export function readableLine(record: LogRecord, hasColors: boolean): string {
  const { time, level, event, message, context, pid: _, ...fields } = record;
  const name = level.toUpperCase().padEnd(5);
  const words = [time.slice(11, 23), hasColors ? `\u001b[${COLORS[level]}m${name}\u001b[39m` : name];
  if (context !== undefined) words.push(`[${inLine(context)}]`);
  words.push(inLine(event));
  if (message !== wordsOf(event)) words.push(`- ${inLine(message)}`);
  const blocks: string[] = [];
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (typeof value === 'string' && value.includes('\n')) blocks.push(block(key, value));
    else words.push(`${inLine(key)}=${plainOrJson(value)}`);
  }
  return [words.join(' '), ...blocks].join('\n');
}

/** An event's name as words, for lines that have no sentence. */
export function wordsOf(event: string): string {
  return event.replaceAll('_', ' ');
}

function block(key: string, text: string): string {
  const lines = text.split('\n').map((line) => `    | ${inLine(line)}`);
  return [`    ${inLine(key)}:`, ...lines].join('\n');
}

function plainOrJson(value: unknown): string {
  return typeof value === 'string' && PLAIN.test(value)
    ? value
    : terminalSafe(JSON.stringify(value) ?? 'null');
}

/** The inside of a JSON string, but for its quotes, which do no harm here. */
function inLine(text: string): string {
  return terminalSafe(JSON.stringify(text).slice(1, -1)).replaceAll('\\"', '"');
}
