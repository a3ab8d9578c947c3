import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { Config } from '../config/config.js';
import { OriginGuard } from './origin-guard.js';

const guard = new OriginGuard(
  Object.assign(new Config(), {
    publicUrl: 'https://mcp.example.com',
    allowedHosts: ['runner.internal'],
    corsOrigins: ['https://app.example.com'],
  }),
);

function request(host: string, origin?: string, method = 'POST'): IncomingMessage {
  return { method, headers: { host, ...(origin !== undefined && { origin }) } } as IncomingMessage;
}

function verdict(host: string, origin: string | undefined, byUrlAlone: boolean): 'in' | 'out' {
  try {
    guard.check(request(host, origin), byUrlAlone);
    return 'in';
  } catch (error) {
    expect(error).toMatchObject({ status: 403 });
    return 'out';
  }
}

function corsHeaders(req: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  guard.setCorsHeaders(req, {
    setHeader: (name: string, value: string) => {
      headers[name] = value;
    },
  } as unknown as ServerResponse);
  return headers;
}

describe('which pages and hosts may use the gateway', () => {
  it.each([
    ['a program on this machine', 'localhost:3000', undefined, 'in'],
    ['a program that knows the IP address', '203.0.113.7:3000', undefined, 'in'],
    ['a program that knows the IPv6 address', '[2001:db8::7]:3000', undefined, 'in'],
    ['a program that uses PUBLIC_URL', 'mcp.example.com', undefined, 'in'],
    ['a program that uses an allowed host', 'runner.internal:3000', undefined, 'in'],
    ['a page on localhost, any port', 'localhost:3000', 'http://localhost:6274', 'in'],
    ['a page of PUBLIC_URL', 'mcp.example.com', 'https://mcp.example.com', 'in'],
    ['a page of CORS_ORIGINS', 'mcp.example.com', 'https://app.example.com', 'in'],
    ['a page that we would serve', '203.0.113.7:3000', 'http://203.0.113.7:3000', 'in'],
    ['a name rebound to our address', 'evil.example.com', undefined, 'out'],
    ['a page of a name rebound to our address', 'evil.example.com', 'http://evil.example.com', 'out'],
    ['a page from elsewhere', 'localhost:3000', 'https://evil.example.com', 'out'],
    ['a page on a foreign address', 'localhost:3000', 'http://203.0.113.9', 'out'],
    ['a page without an origin of its own', 'localhost:3000', 'null', 'out'],
    ['a name that begins like ours', 'mcp.example.com.evil.example', undefined, 'out'],
    ['a name that looks like loopback', '127.0.0.1.evil.example', undefined, 'out'],
    ['no host that can be read', 'a b', undefined, 'out'],
  ] as const)('%s, without a key', (_who, host, origin, expected) => {
    expect(verdict(host, origin, true)).toBe(expected);
  });

  it('lets a program with a key come by any name, because no browser would send the key for a stranger', () => {
    expect(verdict('behind-a-proxy.example', undefined, false)).toBe('in');
  });

  it('keeps a foreign page out whatever key it has', () => {
    expect(verdict('localhost:3000', 'https://evil.example.com', false)).toBe('out');
  });
});

describe('CORS', () => {
  it('shows an allowed page the headers that MCP needs', () => {
    const headers = corsHeaders(request('localhost:3000', 'https://app.example.com'));
    expect(headers['access-control-allow-origin']).toBe('https://app.example.com');
    expect(headers['access-control-expose-headers']).toContain('Mcp-Session-Id');
    expect(headers['vary']).toBe('Origin');
  });

  it('answers a preflight with the methods and headers of MCP', () => {
    const headers = corsHeaders(request('localhost:3000', 'http://localhost:5173', 'OPTIONS'));
    expect(headers['access-control-allow-methods']).toBe('GET, POST, DELETE');
    for (const name of ['Authorization', 'Mcp-Session-Id', 'MCP-Protocol-Version', 'Last-Event-ID']) {
      expect(headers['access-control-allow-headers']).toContain(name);
    }
  });

  it('lets a page send the headers that tools declare, and no other it asks for', () => {
    const asked = {
      'access-control-request-headers': 'content-type, mcp-param-region, x-evil, mcp-param-a b',
    };
    const req = request('localhost:3000', 'http://localhost:5173', 'OPTIONS');
    Object.assign(req.headers, asked);
    const allowed = corsHeaders(req)['access-control-allow-headers'];
    expect(allowed).toMatch(/, mcp-param-region$/);
  });

  it('says nothing to a page that is not allowed', () => {
    expect(corsHeaders(request('localhost:3000', 'https://evil.example.com', 'OPTIONS'))).toEqual({});
  });
});
