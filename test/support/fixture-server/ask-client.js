/**
 * The requests of one conversation that the client has not answered yet. Each has a name for an id, as JSON-RPC allows and
 * the SDK's own counter does not do: whoever translates between the eras shows it to the client.
 */
export class OpenQuestions {
  #open = new Map();
  #used = new Map();

  /** An id must not come twice in a conversation. */
  #idOf(name) {
    const uses = (this.#used.get(name) ?? 0) + 1;
    this.#used.set(name, uses);
    return uses === 1 ? name : `${name}.${uses}`;
  }

  /** The client's result; throws its error, or when the call that asks is cancelled. */
  async ask(transport, name, { method, params }, { requestId, signal }) {
    const id = this.#idOf(name);
    const answered = new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      signal.addEventListener('abort', () => reject(new Error('The call was cancelled')), { once: true });
    });
    try {
      await transport.send({ jsonrpc: '2.0', id, method, params }, { relatedRequestId: requestId });
      return await answered;
    } finally {
      this.#open.delete(id);
    }
  }

  /** Whether the message is an answer to one of ours; the SDK knows nothing of them. */
  take({ id, method, result, error }) {
    const question = method === undefined && this.#open.get(id);
    if (!question) return false;
    if (result) question.resolve(result);
    else question.reject(new Error(error.message));
    return true;
  }
}

function push(question, name, extra, { server, questions }) {
  if (server.getClientCapabilities()?.[question.capability] === undefined) {
    throw new Error(`The client does not offer ${question.capability}`);
  }
  return questions.ask(server.transport, name, question, extra);
}

/** The way of the handshake era: the questions of a round are pushed at once. Returns the answers by name. */
export async function askClient({ rounds, isLenient }, args, extra, session) {
  const responses = {};
  for (const round of rounds(args)) {
    const asked = Object.entries(round).map(async ([name, question]) => {
      try {
        responses[name] = await push(question, name, extra, session);
      } catch (error) {
        if (!isLenient) throw error;
      }
    });
    await Promise.all(asked);
  }
  return responses;
}
