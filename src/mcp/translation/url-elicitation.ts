import { rawMembers, type Response } from '../jsonrpc/envelope.js';

/** More than any server asks at once. */
const MAX_DATA_CHARS = 1 << 16;
const MAX_URLS = 20;

/**
 * The InputRequests, as JSON text, that stand for the error -32042 of revision 2025-11-25, with which a server says that
 * the user has to open URLs before the request can be made again. None where the error does not say which.
 */
export function urlQuestions(answer: Response): string[] {
  const { data } = rawMembers(answer, answer.error, ['data']);
  if (data === undefined || data.length > MAX_DATA_CHARS) return [];
  const { elicitations } = (JSON.parse(data) ?? {}) as { elicitations?: unknown };
  if (!Array.isArray(elicitations) || elicitations.length > MAX_URLS) return [];
  return elicitations
    .filter((one): one is { url: string; message?: unknown } => typeof one?.url === 'string')
    .map(({ url, message }) => {
      const params = { mode: 'url', url, message: typeof message === 'string' ? message : '' };
      return JSON.stringify({ method: 'elicitation/create', params });
    });
}
