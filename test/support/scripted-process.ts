import type { ServerProcess } from '../../src/mcp/channels/server-process.js';

type Handlers = Parameters<ServerProcess['attach']>[0];

/** A JSON-RPC message as a server process reads it. */
export interface ReadMessage {
  jsonrpc: string;
  id?: number | string;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: { code: number; message: string };
}

export type Script = (message: ReadMessage, process: ScriptedProcess) => void;

/** A server process in memory: what it says is scripted, what it is told is kept. It honours `pause`. */
export class ScriptedProcess implements ServerProcess {
  /** Every line of stdin, as it came. */
  readonly lines: string[] = [];
  /** What `write` answers; `drain` sets it true again. */
  hasRoom = true;
  paused = false;
  /** How often `end` was called. */
  ends = 0;
  private handlers: Handlers | undefined;
  private readonly output: (() => void)[] = [];
  private readonly heard: (() => void)[] = [];

  constructor(private readonly script: Script = () => undefined) {}

  /** What it was told, parsed. */
  get read(): ReadMessage[] {
    return this.lines.map((line) => JSON.parse(line) as ReadMessage);
  }

  /** Chunks that wait because the reader paused. */
  get waiting(): number {
    return this.output.length;
  }

  /** The nth line it was told, from 0, as soon as there is one. */
  async told(n: number): Promise<ReadMessage> {
    while (this.lines.length <= n) await new Promise<void>((resolve) => this.heard.push(resolve));
    return this.read[n] as ReadMessage;
  }

  /** Write messages to stdout, one line each, in one chunk. */
  say(...messages: (object | string)[]): void {
    const lines = messages.map((message) =>
      typeof message === 'string' ? message : JSON.stringify(message),
    );
    this.sayBytes(Buffer.from(lines.map((line) => `${line}\n`).join('')));
  }

  sayBytes(chunk: Buffer): void {
    this.output.push(() => this.handlers?.stdout(chunk));
    this.flow();
  }

  complain(text: string): void {
    this.handlers?.stderr(Buffer.from(text));
  }

  exit(code?: number): void {
    this.output.push(() => this.handlers?.exit({ code }));
    this.flow();
  }

  drain(): void {
    this.hasRoom = true;
    this.handlers?.drain();
  }

  attach(handlers: Handlers): void {
    this.handlers = handlers;
    this.flow();
  }

  write(data: string): boolean {
    const line = data.slice(0, -1);
    this.lines.push(line);
    for (const resolve of this.heard.splice(0)) resolve();
    this.script(JSON.parse(line) as ReadMessage, this);
    return this.hasRoom;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.flow();
  }

  end(): Promise<void> {
    this.ends++;
    return Promise.resolve();
  }

  private flow(): void {
    while (this.handlers && !this.paused) {
      const next = this.output.shift();
      if (!next) return;
      next();
    }
  }
}

/** Answers `initialize` with the revision that was asked for, and everything else by the script. */
export function mcpServer(script: Script = () => undefined): Script {
  return (message, process) => {
    if (message.method !== 'initialize') script(message, process);
    else
      process.say({
        jsonrpc: '2.0',
        id: message.id,
        result: {
          protocolVersion: message.params?.['protocolVersion'],
          capabilities: {},
          serverInfo: { name: 'scripted', version: '1' },
        },
      });
  };
}
