import { randomBytes } from 'node:crypto';
import { createRequestStateCodec, inputRequired } from '@modelcontextprotocol/server';

/** One key per process: over HTTP each request meets a new server object. */
export const stateCodec = createRequestStateCodec({ key: randomBytes(32) });

function isOffered(question, ctx, server) {
  const capabilities =
    ctx.mcpReq.envelope?.['io.modelcontextprotocol/clientCapabilities'] ?? server.getClientCapabilities();
  return capabilities?.[question.capability] !== undefined;
}

/**
 * The way of revision 2026-07-28: the questions are the result, and the client calls again with the answers. On a connection
 * with a handshake the SDK turns the same result into requests. Returns either `{responses}` or `{questions}`, a result.
 */
export async function askClient({ rounds, isLenient, isStateful }, args, ctx, server) {
  const responses = { ...ctx.mcpReq.requestState()?.responses };
  for (const round of rounds(args)) {
    const asked = Object.entries(round).filter(
      ([, question]) => !isLenient || isOffered(question, ctx, server),
    );
    for (const [key] of asked) {
      const response = ctx.mcpReq.inputResponses?.[key];
      if (response !== undefined) responses[key] = response;
    }
    const missing = asked.filter(([key]) => responses[key] === undefined);
    if (missing.length === 0) continue;
    const inputRequests = Object.fromEntries(
      missing.map(([key, { method, params }]) => [key, { method, params }]),
    );
    const requestState = isStateful ? await stateCodec.mint({ responses }) : undefined;
    return { questions: inputRequired({ inputRequests, ...(requestState && { requestState }) }) };
  }
  return { responses };
}
