import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { isAccessToken } from '../deployments/access-token.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { EdgeError } from '../mcp/edges/http/http-reply.js';
import { bearerSubprotocol } from '../mcp/edges/websocket/subprotocols.js';
import { AppError } from '../errors/app-error.js';
import { ApiKeys } from '../tenancy/api-keys.js';

/** Who may use a deployment through the gateway. */
@Injectable()
export class GatewayAuth {
  constructor(private readonly apiKeys: ApiKeys) {}

  /** The principal as one comparable string. Throws 401, or 404 where the key belongs to another tenant. */
  principalOf(req: IncomingMessage, row: DeploymentRow): string {
    if (row.access === 'public') return 'public';
    const secret = secretOf(req);
    const principal = this.apiKeys.verify(secret);
    if (principal && principal.tenantId !== row.tenantId) throw new AppError('deployment_not_found');
    if (principal) return `tenant:${principal.tenantId}`;
    if (secret !== undefined && isAccessToken(secret, row.accessTokenHash)) return `token:${row.id}`;
    const problem = secret === undefined ? 'A key is required' : 'The key is not valid for this deployment';
    throw new EdgeError(
      401,
      `${problem}: send the deployment's access token or an API key as "Authorization: Bearer …" or "X-API-Key"; a WebSocket may offer it as subprotocol "mcp.bearer.<base64url>"`,
      undefined,
      { 'www-authenticate': 'Bearer realm="mcp-runner"' },
    );
  }
}

function secretOf(req: IncomingMessage): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(req.headers.authorization ?? '')?.[1];
  const key = req.headers['x-api-key'];
  return bearer ?? (typeof key === 'string' ? key : undefined) ?? bearerSubprotocol(req);
}
