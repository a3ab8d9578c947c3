import type { Upstream } from '../../src/mcp/edges/upstream.js';
import { StdioChannel } from '../../src/mcp/channels/stdio-channel.js';
import { parseMessage, type Request } from '../../src/mcp/jsonrpc/envelope.js';
import { checkModernRequest } from '../../src/mcp/modern/modern-checks.js';
import { WarmServers } from '../../src/mcp/modern/warm-servers.js';
import { SessionDirectory } from '../../src/mcp/sessions/session-directory.js';
import { type ModernOptions, tool } from './modern-request.js';
import { RecordingOutlet } from './recording-outlet.js';
import { ScriptedProcess } from './scripted-process.js';

const never = new AbortController().signal;

interface Options {
  native?: boolean;
  maxSessions?: number;
  /** What a server that is told to end still says. */
  farewell?: (process: ScriptedProcess) => void;
  /** What the next process waits for. */
  opening?: () => Promise<void> | undefined;
}

/** Warm servers over scripted processes, and the verbs of their clients. */
export function warmServers({ native = true, maxSessions = 4, farewell, opening }: Options = {}) {
  const sessions = new SessionDirectory(() => Date.now());
  const servers = new WarmServers(sessions, () => Date.now());
  const processes: ScriptedProcess[] = [];
  const parked = new Set<string>();
  const upstreamOf = (principal: string) =>
    ({
      owner: { deploymentId: 'dp_a', principal },
      maxSessions,
      onOpened: () => undefined,
      untilJoined: () => undefined,
      modern: {
        isNative: () => Promise.resolve(native),
        open: async () => {
          await opening?.();
          const process = new ScriptedProcess();
          const own = String(processes.push(process));
          const holds = (state: string): boolean => parked.has(state) && state === own;
          const calls = {
            get parkedCalls() {
              return parked.has(own) ? 1 : 0;
            },
            holds,
          };
          const channel = new StdioChannel(process, 1 << 20);
          const close = channel.close.bind(channel);
          channel.close = (fault) => {
            farewell?.(process);
            return close(fault);
          };
          return { channel, parked: native ? undefined : calls };
        },
      },
    }) as unknown as Upstream;
  const send = async (message: object, principal = 'a') => {
    const request = checkModernRequest(parseMessage(JSON.stringify(message)) as Request, undefined);
    const outlet = new RecordingOutlet();
    const relayed = await servers.request(request, outlet, upstreamOf(principal), undefined, never);
    return { outlet, ...relayed };
  };
  const call = (options: ModernOptions = {}, principal = 'a') => send(tool(1, {}, options), principal);
  /** Answers the newest request of the nth process. */
  const answer = (n: number): void => {
    const process = processes[n] as ScriptedProcess;
    process.say({ jsonrpc: '2.0', id: process.read.at(-1)?.id, result: {} });
  };
  return { sessions, servers, processes, parked, send, call, answer };
}
