import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { AppError } from '../errors/app-error.js';
import { ApiKeys } from './api-keys.js';
import type { Principal } from './principal.js';

/** A request whose key was found valid. */
export interface AuthenticatedRequest extends Request {
  principal?: Principal;
}

/** Knows who calls by the X-API-Key header. */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  constructor(private readonly keys: ApiKeys) {}

  canActivate(context: ExecutionContext): true {
    return this.authenticate(context.switchToHttp().getRequest<AuthenticatedRequest>());
  }

  /** For all of /api, before a body is read: whoever has no key costs nothing and learns nothing, not even which paths exist. */
  readonly middleware = (req: AuthenticatedRequest, _res: Response, next: NextFunction): void => {
    this.authenticate(req);
    next();
  };

  private authenticate(req: AuthenticatedRequest): true {
    const principal = this.keys.verify(req.header('x-api-key'));
    if (principal === undefined) {
      throw new AppError('unauthorized', { detail: 'Send a valid key in the X-API-Key header.' });
    }
    req.principal = principal;
    return true;
  }
}
