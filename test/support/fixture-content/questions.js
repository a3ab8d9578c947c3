/**
 * What a tool or prompt may ask the client before it answers, as the request that it is in either era. A tool that asks has
 * `rounds(args)`, a list of `{key: question}`: the questions of a round are asked at once, and `answer(args, responses)`
 * gets what came back, by key.
 */

export function elicit(message, properties, required = Object.keys(properties)) {
  const requestedSchema = { type: 'object', properties, ...(required.length > 0 && { required }) };
  return { capability: 'elicitation', method: 'elicitation/create', params: { message, requestedSchema } };
}

export function sample(text, maxTokens = 100) {
  const messages = [{ role: 'user', content: { type: 'text', text } }];
  return { capability: 'sampling', method: 'sampling/createMessage', params: { messages, maxTokens } };
}

export function roots() {
  return { capability: 'roots', method: 'roots/list', params: {} };
}
