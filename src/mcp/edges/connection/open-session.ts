import { AppError } from '../../../errors/app-error.js';
import type { Channel } from '../../channels/channel.js';
import type { SessionDirectory } from '../../sessions/session-directory.js';
import type { ClientConnection } from './client-connection.js';
import type { WarmServers } from '../../modern/warm-servers.js';
import type { Upstream } from '../upstream.js';
import { ConnectionSession } from './connection-session.js';

/**
 * Take a place among the deployment's sessions and open a channel for the one that gets this id. Whoever gets the channel
 * holds the place and turns both into a session at once, or closes the one and releases the other. Throws `session_limit`, whatever kept the
 * server from starting, or anything at all when `gone` is aborted.
 */
export async function openChannel(
  sessions: SessionDirectory,
  id: string,
  upstream: Upstream,
  gone: AbortSignal,
): Promise<Channel> {
  const { deploymentId } = upstream.owner;
  sessions.reserve(deploymentId, upstream.maxSessions);
  try {
    const channel = await upstream.openChannel(gone, id);
    const why = channel.whyClosed;
    if (!why && !gone.aborted) return channel;
    await channel.close();
    const code = why?.cause === 'violated' ? 'server_invalid' : 'server_exited';
    throw new AppError(code, { detail: why?.message ?? 'The client has left' });
  } catch (error) {
    sessions.release(deploymentId);
    throw error;
  }
}

/** The session of a channel that has a place, over the client's connection. */
export function startSession(
  sessions: SessionDirectory,
  id: string,
  channel: Channel,
  connection: ClientConnection,
  upstream: Upstream,
  servers: WarmServers,
): ConnectionSession {
  const session = new ConnectionSession(channel, connection, upstream, servers, {
    id,
    touch: () => sessions.touch(id),
    vacate: () => sessions.vacate(id),
    occupy: () => sessions.occupy(id, upstream.maxSessions),
    remove: () => sessions.remove(id),
  });
  sessions.add(id, upstream.owner, session);
  // What the server said before may have ended it already.
  if (session.closed) sessions.remove(id);
  return session;
}
