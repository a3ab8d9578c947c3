import { terminalSafe, terminalSafeLine } from '../errors/terminal-safe.js';

/** `system`: what we say about a process. `stdout`: what a server wrote there that is no message. */
export const LOG_STREAMS = ['stderr', 'stdout', 'system'] as const;
export type LogStream = (typeof LOG_STREAMS)[number];

/** One line of a deployment's log. */
export interface LogLine {
  /** ISO 8601. */
  at: string;
  /** The processes of a deployment are counted from 1; null: it is about none of them. */
  process: number | null;
  /** Public handle of the session that the process serves, `s_…`; null: of none, or of many. */
  session: string | null;
  stream: LogStream;
  text: string;
}

/** As it is kept: lines are counted from 1, and `seq` is its number. */
export interface KeptLine extends LogLine {
  seq: number;
}

/** JSON that may be shown on a terminal, whatever stands in it. */
export function terminalSafeJson(value: unknown): string {
  return terminalSafe(JSON.stringify(value));
}

/** What a text takes on disk: what is escaped is up to six times as long as it was. */
export function keptBytesOf(text: string): number {
  return Buffer.byteLength(terminalSafeJson(text));
}

/** One line of plain text for a terminal, without its line break. */
export function plainTextOf({ at, process, session, stream, text }: LogLine): string {
  return `${at} ${process ?? '-'} ${session ?? '-'} ${stream} ${terminalSafeLine(text)}`;
}

/** The line without its number. */
export function publicLineOf({ at, process, session, stream, text }: KeptLine): LogLine {
  return { at, process, session, stream, text };
}

/** Undefined: it is none, as after the host lost power or somebody edited the file. */
export function parseKeptLine(json: string): KeptLine | undefined {
  try {
    const line = JSON.parse(json) as Partial<KeptLine> | null;
    const isLine =
      typeof line?.seq === 'number' && typeof line.at === 'string' && typeof line.text === 'string';
    return isLine ? (line as KeptLine) : undefined;
  } catch {
    return undefined;
  }
}
