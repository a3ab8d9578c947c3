import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { ApiKeys } from './api-keys.js';
import { TenantsRepository } from './tenants.repository.js';

let dataDir: string;
let database: Database;
let printed: string;
let logged: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'mcp-runner-keys-'));
  database = new Database(Object.assign(new Config(), { dataDir }));
  printed = '';
  logged = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  vi.spyOn(Logger.prototype, 'log').mockImplementation((text: unknown) => {
    logged += String(text);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  database.onApplicationShutdown();
  rmSync(dataDir, { recursive: true });
});

/** As at a start of the service. */
function start(apiKey?: string): ApiKeys {
  printed = '';
  logged = '';
  const keys = new ApiKeys(Object.assign(new Config(), { dataDir, apiKey }), new TenantsRepository(database));
  keys.onModuleInit();
  return keys;
}

describe('the API key', () => {
  it('is made at the first start, printed once, and kept for its owner only', () => {
    const keys = start();
    const path = join(dataDir, 'api-key');
    const key = readFileSync(path, 'utf8').trim();
    expect(keys.verify(key)).toEqual({ tenantId: 'tn_default', kind: 'key' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(printed.split(key)).toHaveLength(2);
    expect(readdirSync(dataDir).filter((name) => name.startsWith('api-key'))).toEqual(['api-key']);

    const again = start();
    expect(again.verify(key)).toBeDefined();
    expect(printed).toBe('');
    expect(logged).toContain(path);
    expect(logged).not.toContain(key);
  });

  it('is API_KEY where that is set, and then no other', () => {
    start();
    const kept = readFileSync(join(dataDir, 'api-key'), 'utf8').trim();
    const keys = start('your-secure-api-key');
    expect(keys.verify('your-secure-api-key')).toBeDefined();
    expect(keys.verify(kept)).toBeUndefined();
    expect(printed + logged).not.toContain('your-secure-api-key');
  });

  it.each([undefined, '', 'your-secure-api-ke', 'your-secure-api-key ', 'YOUR-SECURE-API-KEY'])(
    'is not %j',
    (wrong) => {
      expect(start('your-secure-api-key').verify(wrong)).toBeUndefined();
    },
  );

  it('is never the empty string, also when its file was emptied', () => {
    writeFileSync(join(dataDir, 'api-key'), '\n');
    expect(() => start()).toThrow('is empty');
  });
});
