import { AppError } from '../errors/app-error.js';
import type { PagePosition } from './deployments.repository.js';

/** Opaque to clients. */
export function cursorOf(position: PagePosition): string {
  return Buffer.from(`${position.createdAt}.${position.id}`).toString('base64url');
}

/** Throws `validation_failed` for what we did not make. */
export function positionOf(cursor: string): PagePosition {
  const [, createdAt, id] = /^(\d{1,15})\.(dp_\w+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (createdAt === undefined || id === undefined) {
    const fields = [{ field: 'cursor', message: 'must be the nextCursor of the page before' }];
    throw new AppError('validation_failed', { fields });
  }
  return { createdAt: Number(createdAt), id };
}
