import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AppError } from '../../../errors/app-error.js';
import { showRequestId } from '../../../errors/request-id.js';
import { CLIENT_LEFT, type EdgeError, sendError } from '../http/http-reply.js';

/** For the client to read the answer and close. */
const CLOSE_MS = 5000;

/**
 * Answer a request to upgrade like any other that fails, and close its connection. Returns the answer's status, or 499 where
 * nobody is there to get one; never throws.
 */
export function refuseUpgrade(req: IncomingMessage, socket: Duplex, error: EdgeError | AppError): number {
  // The HTTP server has let go of the socket: an error that nobody listens to would end the process.
  socket.on('error', () => undefined);
  if (isAnswering(socket)) socket.destroy();
  if (socket.destroyed) return CLIENT_LEFT;
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  showRequestId(req, res);
  // The sockets of an HTTP server are of this class.
  res.assignSocket(socket as Socket);
  res.on('finish', () => socket.end());
  sendError(res, error);
  // What the client still sends is discarded; unread it would make the closing a reset, which takes the answer with it.
  socket.resume();
  const late = setTimeout(() => socket.destroy(), CLOSE_MS);
  socket.once('close', () => clearTimeout(late));
  return error.status;
}

/**
 * True while an earlier request on the connection waits for its answer: the HTTP server does not wait with an upgrade,
 * and forgets about the answer. Nobody who means well pipelines an upgrade, so the connection is of no use.
 */
export function isAnswering(socket: Duplex): boolean {
  const { _httpMessage: answer } = socket as { _httpMessage?: ServerResponse | null };
  return answer !== undefined && answer !== null;
}
