import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

interface Media {
  schema: object;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

interface Operation {
  summary?: string;
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { description: string; content?: Record<string, Media> }>;
}

interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { properties?: Record<string, { example?: unknown }> }> };
}

let service: Service;
let image: string;
let document: Document;
const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);

beforeAll(async () => {
  image = await fixtureImage();
  service = await Service.start();
  document = (await service.api<Document>('GET', '/api/openapi.json', undefined, {})).body;
  // As a document, so that its references are found; what is not listed in a schema must not be in an answer.
  ajv.addSchema(closed(document) as object, 'api');
});

afterAll(() => service.stop());

/** With every object schema closed that lists its properties. */
function closed(part: unknown): unknown {
  if (typeof part !== 'object' || part === null) return part;
  if (Array.isArray(part)) return part.map(closed);
  const copy = Object.fromEntries(Object.entries(part).map(([name, value]) => [name, closed(value)]));
  return 'properties' in copy && copy['type'] === 'object' ? { ...copy, additionalProperties: false } : copy;
}

function validatorOf(...path: string[]): ValidateFunction {
  const pointer = path
    .map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
    .join('/');
  const validate = ajv.getSchema(`api#/${pointer}`);
  if (validate === undefined) throw new Error(`The document has nothing at ${path.join(' ')}`);
  return validate;
}

function expectValid(validate: ValidateFunction, value: unknown, what: string): void {
  validate(value);
  expect(validate.errors ?? [], what).toEqual([]);
}

/** Call the service and hold the answer against what the document says about it. */
async function callAsDocumented<T>(
  method: string,
  path: string,
  url: string,
  body?: unknown,
  key = service.apiKey,
): Promise<T> {
  const answer = await service.api<T>(method.toUpperCase(), url, body, { 'x-api-key': key });
  const response = document.paths[path]?.[method]?.responses[answer.status];
  expect(response, `${method} ${path} ${answer.status} is documented`).toBeDefined();
  const type = answer.headers.get('content-type')?.split(';')[0];
  if (type === undefined) expect(response?.content).toBeUndefined();
  else {
    const pointer = ['paths', path, method, 'responses', String(answer.status), 'content', type, 'schema'];
    expectValid(validatorOf(...pointer), answer.body, `${method} ${url} ${answer.status}`);
  }
  return answer.body;
}

describe('the OpenAPI document', () => {
  it('is 3.1 and says in words what each operation, answer and field is', () => {
    expect(document.openapi).toBe('3.1.0');
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, { summary, responses }] of Object.entries(operations)) {
        expect(summary, `${method} ${path}`).toBeTruthy();
        for (const [status, { description }] of Object.entries(responses)) {
          expect(description, `${method} ${path} ${status}`).toBeTruthy();
        }
      }
    }
  });

  it('has examples that are valid', () => {
    for (const [name, { properties = {} }] of Object.entries(document.components.schemas)) {
      for (const [field, { example }] of Object.entries(properties)) {
        if (example === undefined) continue;
        expectValid(
          validatorOf('components', 'schemas', name, 'properties', field),
          example,
          `${name}.${field}`,
        );
      }
    }
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, { responses }] of Object.entries(operations)) {
        for (const [status, { content = {} }] of Object.entries(responses)) {
          for (const [type, { examples = {} }] of Object.entries(content)) {
            const schema = validatorOf('paths', path, method, 'responses', status, 'content', type, 'schema');
            for (const [name, { value }] of Object.entries(examples))
              expectValid(schema, value, `${path} ${status} ${name}`);
          }
        }
      }
    }
  });

  it('describes every answer as it is', async () => {
    const many = '/api/deployment';
    const one = '/api/deployment/{id}';
    const body = {
      image,
      transport: { type: 'stdio' },
      env: { A: 'b' },
      metadata: { c: 'd' },
      args: ['stdio'],
      deleteAfterSeconds: 60,
    };
    const { id } = await callAsDocumented<Deployment>('post', many, many, body);
    await service.settled(id);
    await callAsDocumented('get', one, `${many}/${id}`);
    await callAsDocumented('get', many, `${many}?limit=1`);
    await callAsDocumented('get', many, `${many}?limit=0`);
    await callAsDocumented('patch', one, `${many}/${id}`, { name: 'new', pauseAfterSeconds: 60 });
    await callAsDocumented('patch', one, `${many}/${id}`, { image: 'other' });
    await callAsDocumented('patch', one, `${many}/dp_none`, {});
    await callAsDocumented('patch', one, `${many}/%FF`, {});
    await callAsDocumented('get', `${one}/logs`, `${many}/${id}/logs?tail=5`);
    await callAsDocumented('get', `${one}/logs`, `${many}/${id}/logs?tail=x`);
    await callAsDocumented('get', `${one}/logs`, `${many}/dp_none/logs`);
    await callAsDocumented('get', `${one}/stats`, `${many}/dp_none/stats`);
    await callAsDocumented('get', `${one}/session`, `${many}/${id}/session`);
    await callAsDocumented('delete', `${one}/session/{sid}`, `${many}/${id}/session/s_none`);
    for (const verb of ['restart', 'pause', 'start']) {
      await callAsDocumented('post', `${one}/${verb}`, `${many}/${id}/${verb}?wait=60`);
      await callAsDocumented('get', `${one}/stats`, `${many}/${id}/stats`);
      await callAsDocumented('post', `${one}/${verb}`, `${many}/${id}/${verb}?wait=x`);
      await callAsDocumented('post', `${one}/${verb}`, `${many}/dp_none/${verb}`);
    }
    await callAsDocumented('delete', one, `${many}/${id}`);
    await callAsDocumented('get', one, `${many}/${id}`);
    await callAsDocumented('get', one, `${many}/%FF`);
    await callAsDocumented('delete', one, `${many}/${id}`);
    await callAsDocumented('post', many, many, { image, nope: 1 });
    await callAsDocumented('post', many, many, { image, transport: { type: 'sse' } });
    const transport = { type: 'streamable_http', endpoint: 'http://localhost:3000/mcp' };
    const http = { image: 'mcp-runner.invalid/a', transport };
    const { id: other } = await callAsDocumented<Deployment>('post', many, many, http);
    await service.settled(other);
    await callAsDocumented('post', `${one}/pause`, `${many}/${other}/pause`);
    await callAsDocumented('delete', one, `${many}/${other}`);
    await callAsDocumented('post', many, many, { image: 'x'.repeat(2_000_000) });
    await callAsDocumented('post', many, many, body, 'wrong');
    await callAsDocumented('get', '/health', '/health');
    await callAsDocumented('get', '/api/event', '/api/event?deployment=x');
  });

  it('allows and refuses the same requests as the service', async () => {
    const validate = validatorOf('components', 'schemas', 'CreateDeployment');
    const good = { image: 'mcp-runner.invalid/a', transport: { type: 'stdio' } };
    const bad = [
      { maxMemory: '5' },
      { maxMemory: 1 },
      { maxPids: 1.5 },
      { nope: 1 },
      { env: { A: 1 } },
      { image: 'A B' },
      { access: 'x' },
      { transport: { type: 'http' } },
      { transport: { type: 'sse', endpoint: 'http://10.0.0.1/mcp' } },
      { sessionMode: 'one' },
    ];
    expectValid(validate, good, 'the good one');
    for (const changes of bad) {
      const request = { ...good, ...changes };
      expect(validate(request), JSON.stringify(changes)).toBe(false);
      expect((await service.api('POST', '/api/deployment', request)).status, JSON.stringify(changes)).toBe(
        422,
      );
    }
  });

  it('allows and refuses the same changes as the service', async () => {
    const validate = validatorOf('components', 'schemas', 'UpdateDeployment');
    const { id } = await service.create({ image, autoStart: false });
    const good = [
      {},
      { name: 'new', metadata: {}, maxCpus: 0.5 },
      { name: null, pauseAfterSeconds: null, deleteAfterSeconds: null },
    ];
    for (const changes of good) {
      expectValid(validate, changes, JSON.stringify(changes));
      expect((await service.api('PATCH', `/api/deployment/${id}`, changes)).status).toBe(200);
    }
    const bad = [
      { metadata: null },
      { maxMemory: null },
      { maxMemory: '512' },
      { pauseAfterSeconds: 29 },
      { sessionIdleSeconds: 86_401 },
      { image: 'other' },
      { env: {} },
      { nope: 1 },
    ];
    for (const changes of bad) {
      expect(validate(changes), JSON.stringify(changes)).toBe(false);
      expect(
        (await service.api('PATCH', `/api/deployment/${id}`, changes)).status,
        JSON.stringify(changes),
      ).toBe(422);
    }
  });
});
