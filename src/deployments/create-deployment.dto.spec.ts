import { describe, expect, it } from 'vitest';
import { AppError } from '../errors/app-error.js';
import { requestValidation } from '../errors/request-validation.js';
import { CreateDeploymentDto, requestOf } from './create-deployment.dto.js';
import { parseEndpoint } from './endpoint.js';
import { WaitQueryDto, ListDeploymentsDto } from './list-deployments.dto.js';
import { cursorOf, positionOf } from './page-cursor.js';

const pipe = requestValidation();
const GOOD = { image: 'mcp/echo', transport: { type: 'stdio' } };

function parse(body: unknown): Promise<CreateDeploymentDto> {
  return pipe.transform(body, { type: 'body', metatype: CreateDeploymentDto });
}

function waitOf(text: unknown): Promise<WaitQueryDto> {
  return pipe.transform({ wait: text }, { type: 'query', metatype: WaitQueryDto });
}

async function refusalOf(changes: object): Promise<AppError> {
  const error: unknown = await parse({ ...GOOD, ...changes }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw new Error(`not refused: ${JSON.stringify(changes)}`);
  return error;
}

const IMAGE = 'must be an image reference such as mcp/fetch:latest, at most 512 characters';
const TRANSPORT = 'must be an object such as {"type": "stdio"}';
const TYPE = 'must be one of "stdio", "streamable_http", "sse"';
const NO_ENDPOINT = 'must be left out unless type is "streamable_http" or "sse"';
const ENDPOINT =
  'must be a URL such as http://localhost:3000/mcp, at most 1024 characters, without user, password and fragment: ' +
  'the host localhost, 127.0.0.1 or [::1], a port from 1 to 65535, a path without "//"';
const SHARED =
  'must be "isolated" unless transport.type is "stdio": a server that speaks HTTP manages its sessions itself';
const HTTP = { transport: { type: 'streamable_http', endpoint: 'http://localhost:3000/mcp' } };
const MEMORY = 'must be a whole number of megabytes from 64 to 262144';
const CPUS = 'must be a number of CPUs from 0.1 to 64';
const IDLE = 'must be a whole number of seconds from 30 to 31536000';
const MAP = 'must be an object whose values are strings';
const VALUE = 'must be a string of at most 32768 characters without NUL';

describe('the body of POST /api/deployment', () => {
  it('is taken as the README shows it, and gets its defaults', async () => {
    const body = await parse({
      image: 'mcp/sequentialthinking:latest',
      transport: { type: 'stdio' },
      maxMemory: 512,
      maxCpus: 1,
      deleteAfterSeconds: 3600,
    });
    expect(requestOf(body)).toEqual({
      image: 'mcp/sequentialthinking:latest',
      transport: 'stdio',
      endpoint: null,
      name: null,
      args: null,
      env: {},
      metadata: {},
      maxMemoryMb: 512,
      maxCpus: 1,
      maxPids: 256,
      maxDiskMb: 1024,
      pauseAfterSeconds: null,
      deleteAfterSeconds: 3600,
      sessionIdleSeconds: 600,
      sessionMode: 'isolated',
      maxSessions: 16,
      warmProcesses: 1,
      startTimeoutSeconds: 60,
      access: 'token',
      autoStart: true,
    });
  });

  it('keeps an empty list of arguments apart from none', async () => {
    expect(requestOf(await parse({ ...GOOD, args: [] })).args).toEqual([]);
    expect(requestOf(await parse(GOOD)).args).toBeNull();
  });

  it.each([
    'a',
    'mcp/fetch',
    'mcp/fetch:latest',
    'localhost:5000/x/y_z:1.0-rc.1',
    'ghcr.io/o/n.a--b__c@sha256:'.padEnd(91, '0'),
  ])('may name the image %s', async (image) => {
    expect((await parse({ ...GOOD, image })).image).toBe(image);
  });

  it.each([
    [{ image: undefined }, 'image', IMAGE],
    [{ image: '' }, 'image', IMAGE],
    [{ image: 'A/B' }, 'image', IMAGE],
    [{ image: 'a b' }, 'image', IMAGE],
    [{ image: '-v' }, 'image', IMAGE],
    [{ image: 'a:' }, 'image', IMAGE],
    [{ image: 'a\n' }, 'image', IMAGE],
    [{ image: 'a/'.repeat(300) }, 'image', IMAGE],
    [{ image: ['a'] }, 'image', IMAGE],
    [{ transport: undefined }, 'transport', TRANSPORT],
    [{ transport: 'stdio' }, 'transport', TRANSPORT],
    [{ transport: null }, 'transport', TRANSPORT],
    [{ transport: [{ type: 'stdio' }] }, 'transport', TRANSPORT],
    [{ transport: { type: 'http' } }, 'transport.type', TYPE],
    [{ transport: {} }, 'transport.type', TYPE],
    [{ transport: { type: 'stdio', endpoint: 'http://localhost:1/' } }, 'transport.endpoint', NO_ENDPOINT],
    [{ transport: { type: 'stdio', port: 1 } }, 'transport.port', 'is not a field of this request'],
    [{ transport: { type: 'sse' } }, 'transport.endpoint', ENDPOINT],
    [{ maxMemory: '512' }, 'maxMemory', MEMORY],
    [{ maxMemory: null }, 'maxMemory', MEMORY],
    [{ maxMemory: 512.5 }, 'maxMemory', MEMORY],
    [{ maxMemory: 63 }, 'maxMemory', MEMORY],
    [{ maxMemory: 1e9 }, 'maxMemory', MEMORY],
    [{ maxCpus: 0 }, 'maxCpus', CPUS],
    [{ maxCpus: true }, 'maxCpus', CPUS],
    [{ maxPids: -1 }, 'maxPids', 'must be a whole number of processes from 16 to 32768'],
    [{ maxDisk: {} }, 'maxDisk', 'must be a whole number of megabytes from 16 to 1048576'],
    [{ deleteAfterSeconds: -5 }, 'deleteAfterSeconds', IDLE],
    [{ deleteAfterSeconds: 'abc' }, 'deleteAfterSeconds', IDLE],
    [{ deleteAfterSeconds: null }, 'deleteAfterSeconds', IDLE],
    [{ args: 'a' }, 'args', 'must be a list of at most 256 strings'],
    [{ args: ['a', 1] }, 'args[1]', VALUE],
    [{ args: ['a\0b'] }, 'args[0]', VALUE],
    [{ args: Array.from({ length: 257 }, () => 'a') }, 'args', 'must be a list of at most 256 strings'],
    [{ env: ['a'] }, 'env', MAP],
    [{ env: null }, 'env', MAP],
    [{ env: { A: { b: 'c' } } }, 'env.A', VALUE],
    [{ env: { A: 1 } }, 'env.A', VALUE],
    [{ env: { A: 'x'.repeat(32_769) } }, 'env.A', VALUE],
    [
      { env: { 'A=B': 'c' } },
      'env',
      'has the name "A=B", but names must match ^[A-Za-z_][A-Za-z0-9_]{0,127}$',
    ],
    [
      { metadata: { a: 'x'.repeat(1025) } },
      'metadata.a',
      'must be a string of at most 1024 characters without NUL',
    ],
    [{ name: '' }, 'name', 'must be printable text, at most 100 characters'],
    [{ name: 'a\u001b[31m' }, 'name', 'must be printable text, at most 100 characters'],
    [{ sessionMode: 'one' }, 'sessionMode', 'must be one of "isolated", "shared"'],
    [{ ...HTTP, sessionMode: 'shared' }, 'sessionMode', SHARED],
    [{ access: 'none' }, 'access', 'must be one of "token", "public"'],
    [{ maxSessions: 0 }, 'maxSessions', 'must be a whole number of sessions from 1 to 1000'],
    [{ warmProcesses: 9 }, 'warmProcesses', 'must be a whole number of processes from 0 to 8'],
    [{ startTimeoutSeconds: 601 }, 'startTimeoutSeconds', 'must be a whole number of seconds from 1 to 600'],
    [{ pauseAfterSeconds: 29 }, 'pauseAfterSeconds', 'must be a whole number of seconds from 30 to 31536000'],
    [{ autoStart: 'false' }, 'autoStart', 'must be true or false'],
    [{ memory: 1 }, 'memory', 'is not a field of this request'],
  ])('is refused for %j', async (changes, field, message) => {
    const error = await refusalOf(changes);
    expect(error).toMatchObject({ code: 'validation_failed', status: 422, fields: [{ field, message }] });
    expect(error.detail).toBe(`${field} ${message}`);
  });

  it.each([
    ['http://localhost', 80, '/'],
    ['http://localhost:3000', 3000, '/'],
    ['http://127.0.0.1:8080/mcp', 8080, '/mcp'],
    ['http://[::1]:65535/a/b%20c?d=e/f?g', 65_535, '/a/b%20c?d=e/f?g'],
    ['http://localhost?x=1', 80, '/?x=1'],
  ])('may name the endpoint %s', async (endpoint, port, path) => {
    const body = await parse({ ...GOOD, transport: { type: 'sse', endpoint } });
    expect(requestOf(body)).toMatchObject({ transport: 'sse', endpoint });
    expect(parseEndpoint(endpoint)).toMatchObject({ port, path });
  });

  it.each([
    '',
    'localhost:3000/mcp',
    'https://localhost:3000/mcp',
    'http://localhost:0/',
    'http://localhost:65536/',
    'http://localhost:03/',
    'http://localhost:3000/mcp#x',
    'http://me:secret@localhost:3000/mcp',
    'http://localhost@10.0.0.1/mcp',
    'http://localhost.example.com/mcp',
    'http://127.0.0.2:3000/mcp',
    'http://169.254.169.254/mcp',
    'http://0.0.0.0:3000/mcp',
    'http://[::ffff:10.0.0.1]/mcp',
    'http://localhost:3000/a b',
    'http://localhost:3000/a\r\nX: y',
    'http://localhost:3000/ü',
    `http://localhost:3000/${'x'.repeat(1024)}`,
    ['http://localhost:3000/mcp'],
    null,
  ])('must not name the endpoint %j', async (endpoint) => {
    const error = await refusalOf({ transport: { type: 'streamable_http', endpoint } });
    expect(error).toMatchObject({
      code: 'validation_failed',
      fields: [{ field: 'transport.endpoint', message: ENDPOINT }],
    });
  });

  it('may ask for one process for all sessions of a stdio server', async () => {
    expect(requestOf(await parse({ ...GOOD, sessionMode: 'shared' })).sessionMode).toBe('shared');
  });

  it('is told about all its mistakes at once', async () => {
    const error = await refusalOf({ image: 1, maxMemory: 'a', nope: 1 });
    expect(error.fields?.map(({ field }) => field).toSorted()).toEqual(['image', 'maxMemory', 'nope']);
  });

  it('never sees the value of an environment variable again', async () => {
    const error = await refusalOf({ env: { TOKEN: `hunter2\0` } });
    expect(JSON.stringify(error)).not.toContain('hunter2');
  });
});

describe('queries', () => {
  it('take numbers written in digits only', async () => {
    expect((await waitOf('30')).wait).toBe(30);
    for (const text of ['', 'abc', '1e1', '-1', '121', ['1', '2']]) {
      await expect(waitOf(text)).rejects.toMatchObject({ fields: [{ field: 'wait' }] });
    }
  });

  it('know only the fields that they have', async () => {
    const list = pipe.transform(
      { status: 'odd', page: '2' },
      { type: 'query', metatype: ListDeploymentsDto },
    );
    await expect(list).rejects.toMatchObject({ fields: [{ field: 'page' }, { field: 'status' }] });
  });

  it('take a cursor back, and nothing else for one', () => {
    const position = { createdAt: 1234, id: 'dp_00ff' };
    expect(positionOf(cursorOf(position))).toEqual(position);
    expect(() => positionOf('bm90IG91cnM')).toThrow('The request has invalid fields');
  });
});
