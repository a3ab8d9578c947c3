import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { AppError } from '../../../errors/app-error.js';
import { requestIdOf } from '../../../errors/request-id.js';
import type { Channel } from '../../channels/channel.js';
import type { WarmServers } from '../../modern/warm-servers.js';
import { SessionDirectory } from '../../sessions/session-directory.js';
import { openChannel, startSession } from '../connection/open-session.js';
import { CLIENT_LEFT, EdgeError } from '../http/http-reply.js';
import { MessageMemory } from '../http/message-memory.js';
import type { Upstream } from '../upstream.js';
import { ReasonedWebSocket } from './close-code.js';
import { MessageReader } from './message-reader.js';
import { isAnswering, refuseUpgrade } from './refuse-upgrade.js';
import { SUBPROTOCOL } from './subprotocols.js';
import { requireUpgradable } from './upgrade-checks.js';
import { WaitingClient } from './waiting-client.js';
import { WebSocketClient } from './websocket-client.js';

const SWITCHING_PROTOCOLS = 101;
/** `closeTimeout`: ms for a client to answer a close frame. The type does not know it. */
const OPTIONS = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  closeTimeout: 5000,
  WebSocket: ReasonedWebSocket,
  handleProtocols: () => SUBPROTOCOL,
};

/** MCP over WebSocket, subprotocol `mcp`: a connection is a session, and a text frame is a message. */
export class WebSocketEdge {
  /** @param onFault gets what should not have happened, for the log */
  constructor(
    private readonly sessions: SessionDirectory,
    private readonly servers: WarmServers,
    private readonly onFault: (error: unknown, req?: IncomingMessage) => void,
    private readonly memory = new MessageMemory(),
  ) {}

  /**
   * Take a request to upgrade, as an HTTP server's `upgrade` event has it. The client is upgraded when the server
   * process is there, and gets an HTTP answer with a JSON-RPC error where that fails. Resolves with the status, 101 or what
   * it was refused with, 499 where nobody is there any more; never rejects.
   */
  async upgrade(req: IncomingMessage, socket: Duplex, head: Buffer, upstream: Upstream): Promise<number> {
    const client = new WaitingClient(socket, head);
    try {
      if (isAnswering(socket)) throw new EdgeError(400, 'Bad Request: an upgrade must not be pipelined');
      requireUpgradable(req);
      const id = SessionDirectory.newId();
      const channel = await openChannel(this.sessions, id, upstream, client.left);
      const ws = accept(req, socket, client.release(), upstream);
      this.start(id, ws, socket, channel, upstream);
      return ws ? SWITCHING_PROTOCOLS : CLIENT_LEFT;
    } catch (error) {
      client.release();
      const known = error instanceof EdgeError || error instanceof AppError;
      // What fails because the client left is no fault.
      if (!known && !socket.destroyed) this.onFault(error, req);
      return refuseUpgrade(req, socket, known ? error : new AppError('internal_error'));
    }
  }

  private start(
    id: string,
    ws: WebSocket | undefined,
    socket: Duplex,
    channel: Channel,
    upstream: Upstream,
  ): void {
    const { deploymentId } = upstream.owner;
    if (!ws) {
      this.sessions.release(deploymentId);
      // It has its own deadlines and never rejects.
      void channel.close();
      return;
    }
    const client = new WebSocketClient(ws, socket as Socket);
    const session = startSession(this.sessions, id, channel, client, upstream, this.servers);
    ws.once('error', () => session.leave()).once('close', () => session.leave());
    const reader = new MessageReader(ws, socket as Socket, {
      lease: () => this.memory.lease(deploymentId),
      receive: (body) => session.receive(body),
      refuse: (text) => client.send(text),
      fault: (error) => {
        this.onFault(error);
        session.leave();
      },
    });
    reader.start();
  }
}

/** Undefined where the client is gone, or refused by `ws` for a fault that we do not look for. */
function accept(
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  upstream: Upstream,
): WebSocket | undefined {
  let accepted: WebSocket | undefined;
  const server = new WebSocketServer({ ...OPTIONS, maxPayload: upstream.maxMessageBytes });
  const id = requestIdOf(req);
  if (id !== undefined) server.on('headers', (headers) => headers.push(`X-Request-Id: ${id}`));
  // It calls back at once, or not at all.
  server.handleUpgrade(req, socket, head, (ws) => {
    accepted = ws;
  });
  return accepted;
}
