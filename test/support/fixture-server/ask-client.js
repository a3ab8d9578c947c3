import {
  CreateMessageResultSchema,
  ElicitResultSchema,
  ListRootsResultSchema,
} from '@modelcontextprotocol/sdk/types.js';

const RESULTS = {
  'elicitation/create': ElicitResultSchema,
  'sampling/createMessage': CreateMessageResultSchema,
  'roots/list': ListRootsResultSchema,
};

/** An error by which the client says what it would have to offer; the caller is to hear it as it is. */
export const MISSING_CAPABILITY = -32021;

async function push(question, key, extra, session) {
  const { capability, method, params } = question;
  if (session.server.getClientCapabilities()?.[capability] === undefined) {
    throw new Error(`The client does not offer ${capability}`);
  }
  return extra.sendRequest({ method, params }, RESULTS[method]);
}

/** The way of the handshake era: the questions are requests of ours, those of a round sent at once. Returns the answers by key. */
export async function askClient({ rounds, isLenient }, args, extra, session) {
  const responses = {};
  for (const round of rounds(args)) {
    const asked = Object.entries(round).map(async ([key, question]) => {
      try {
        responses[key] = await push(question, key, extra, session);
      } catch (error) {
        if (!isLenient) throw error;
      }
    });
    await Promise.all(asked);
  }
  return responses;
}
