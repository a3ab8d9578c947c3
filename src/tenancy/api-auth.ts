import { type ExecutionContext, UseGuards, applyDecorators, createParamDecorator } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';
import { ApiProblems } from '../errors/api-problems.js';
import { AppError } from '../errors/app-error.js';
import { ApiKeyGuard, type AuthenticatedRequest } from './api-key.guard.js';
import type { Principal } from './principal.js';

/** Name of the security scheme in the OpenAPI document. */
export const API_KEY_SCHEME = 'ApiKey';

/** The routes of a controller need a key, and their documentation says so. */
export function ApiAuth(): ClassDecorator & MethodDecorator {
  return applyDecorators(
    UseGuards(ApiKeyGuard),
    ApiSecurity(API_KEY_SCHEME),
    ApiProblems('unauthorized', 'internal_error'),
  );
}

/** Who calls. Only on routes with `ApiAuth`. */
export const CurrentPrincipal = createParamDecorator(
  (_data: unknown, context: ExecutionContext): Principal => {
    const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
    if (principal === undefined) throw new AppError('unauthorized');
    return principal;
  },
);
