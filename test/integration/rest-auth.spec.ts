import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Service } from '../support/service.js';

/** What may be read without a key. Whoever makes this list longer must have a reason. */
const PUBLIC = ['GET /health'];

interface Document {
  paths: Record<string, Record<string, { security?: unknown[] }>>;
}

let service: Service;
let document: Document;

beforeAll(async () => {
  service = await Service.start();
  document = (await service.api<Document>('GET', '/api/openapi.json', undefined, {})).body;
});

afterAll(() => service.stop());

function call(operation: string, key?: string): Promise<Response> {
  const [method = '', path = ''] = operation.split(' ');
  return fetch(`${service.origin}${path.replace('{id}', 'dp_0')}`, {
    method,
    ...(key !== undefined && { headers: { 'x-api-key': key } }),
  });
}

describe('the key', () => {
  it('is needed by every documented route that is not on the public list, and the document says so', async () => {
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { security }]) => ({
        operation: `${method.toUpperCase()} ${path}`,
        security,
      })),
    );
    expect(operations.length).toBeGreaterThanOrEqual(5);
    for (const { operation, security } of operations) {
      const isPublic = PUBLIC.includes(operation);
      expect([operation, security]).toEqual([operation, isPublic ? undefined : [{ ApiKey: [] }]]);
      for (const key of [undefined, '', 'wrong', `${service.apiKey}x`, service.apiKey.slice(1)]) {
        const { status } = await call(operation, key);
        expect(`${operation} ${status}`).toBe(`${operation} ${isPublic ? 200 : 401}`);
      }
    }
  });

  it.each([
    'GET /api/nothing',
    'POST /api',
    'GET /api/DEPLOYMENT',
    'GET /api//deployment',
    'PATCH /api/deployment/x',
  ])('is needed for %s too, which does not exist or is written in another way', async (operation) => {
    expect((await call(operation)).status).toBe(401);
  });

  it('is asked for before a body is read', async () => {
    const answer = await fetch(`${service.origin}/api/deployment`, {
      method: 'POST',
      body: 'x'.repeat(2_000_000),
    });
    expect(answer.status).toBe(401);
  });

  it('is not needed for the documentation', async () => {
    for (const path of ['/api', '/api/', '/api/openapi.json', '/api/swagger-ui.css']) {
      expect((await call(`GET ${path}`)).status).toBe(200);
    }
  });
});
