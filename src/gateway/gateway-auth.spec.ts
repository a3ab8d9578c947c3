import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { newAccessToken } from '../deployments/access-token.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import type { ApiKeys } from '../tenancy/api-keys.js';
import { GatewayAuth } from './gateway-auth.js';

const KEY = 'kéy of tn_1';
const { token, hash } = newAccessToken();
const apiKeys = {
  verify: (key?: string) => (key === KEY ? { tenantId: 'tn_1', kind: 'key' } : undefined),
} as ApiKeys;
const auth = new GatewayAuth(apiKeys);

function row(changes: Partial<DeploymentRow> = {}): DeploymentRow {
  return {
    id: 'dp_1',
    tenantId: 'tn_1',
    access: 'token',
    accessTokenHash: hash,
    ...changes,
  } as DeploymentRow;
}

function request(headers: IncomingMessage['headers']): IncomingMessage {
  return { headers } as IncomingMessage;
}

/** What a browser can send. */
function upgrade(...subprotocols: string[]): IncomingMessage {
  return request({ upgrade: 'websocket', 'sec-websocket-protocol': subprotocols.join(', ') });
}

function bearer(secret: string): string {
  return `mcp.bearer.${Buffer.from(secret).toString('base64url')}`;
}

describe('a WebSocket upgrade', () => {
  it.each([
    ['a key of the tenant', KEY, 'tenant:tn_1'],
    ["the deployment's own token", token, 'token:dp_1'],
  ])('may offer %s as a subprotocol, before or behind mcp', (_, secret, principal) => {
    expect(auth.principalOf(upgrade('mcp', bearer(secret)), row())).toBe(principal);
    expect(auth.principalOf(upgrade(bearer(secret), 'mcp'), row())).toBe(principal);
  });

  it('may send it as a header like any other request, which then counts', () => {
    const req = upgrade('mcp', bearer('wrong'));
    req.headers.authorization = `Bearer ${token}`;
    expect(auth.principalOf(req, row())).toBe('token:dp_1');
  });

  it.each([['mcp'], [bearer('wrong')], ['mcp.bearer.'], ['mcp.bearer.%%%'], [`x${bearer(token)}`], ['']])(
    'is refused with 401 when it offers %j',
    (offered) => {
      expect(() => auth.principalOf(upgrade(offered), row())).toThrow(
        expect.objectContaining({ status: 401 }),
      );
    },
  );

  it("is told that there is no such deployment when its key is another tenant's", () => {
    expect(() => auth.principalOf(upgrade('mcp', bearer(KEY)), row({ tenantId: 'tn_2' }))).toThrow(
      expect.objectContaining({ status: 404 }),
    );
  });
});

it('a request that is no upgrade is not opened by a subprotocol, and none by its query', () => {
  const req = request({ 'sec-websocket-protocol': bearer(token) });
  req.url = `/mcp-server/dp_1/ws?token=${token}&access_token=${token}`;
  expect(() => auth.principalOf(req, row())).toThrow(expect.objectContaining({ status: 401 }));
});
