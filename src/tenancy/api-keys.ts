import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Config } from '../config/config.js';
import { DEFAULT_TENANT_ID, type Principal } from './principal.js';
import { TenantsRepository } from './tenants.repository.js';

/** The key that opens the API: API_KEY, or one that is made at the first start and kept in the data directory. */
@Injectable()
export class ApiKeys implements OnModuleInit {
  private readonly logger = new Logger(ApiKeys.name);
  private readonly principal: Principal = { tenantId: DEFAULT_TENANT_ID, kind: 'key' };
  private readonly path: string;
  private hash = Buffer.alloc(0);

  constructor(
    private readonly config: Config,
    private readonly tenants: TenantsRepository,
  ) {
    this.path = join(config.dataDir, 'api-key');
  }

  onModuleInit(): void {
    this.tenants.ensure(DEFAULT_TENANT_ID, Date.now());
    this.hash = digest(this.config.apiKey ?? this.readKey() ?? this.makeKey());
  }

  /** Undefined: no key, or a wrong one. Takes the same time wherever a wrong key differs. */
  verify(rawKey: string | undefined): Principal | undefined {
    if (rawKey === undefined) return undefined;
    return timingSafeEqual(digest(rawKey), this.hash) ? this.principal : undefined;
  }

  private readKey(): string | undefined {
    try {
      const key = readFileSync(this.path, 'utf8').trim();
      if (key === '') throw new Error(`${this.path} is empty. Delete it to get a new key, or set API_KEY.`);
      this.logger.log(`The API key is in ${this.path}`);
      return key;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  private makeKey(): string {
    const key = `mcpr_${randomBytes(32).toString('base64url')}`;
    const draft = `${this.path}.${process.pid}`;
    try {
      // The file appears with all its content or not at all, and never replaces a key.
      writeFileSync(draft, `${key}\n`, { mode: 0o600, flag: 'wx', flush: true });
      linkSync(draft, this.path);
    } finally {
      rmSync(draft, { force: true });
    }
    // The only place where a secret is printed: once, on the console of who set the service up.
    process.stderr.write(`\nAPI key, shown this once and kept in ${this.path}:\n\n    ${key}\n\n`);
    return key;
  }
}

function digest(key: string): Buffer<ArrayBuffer> {
  return createHash('sha256').update(key).digest();
}
