import {
  CreateMessageResultSchema,
  ElicitResultSchema,
  ListRootsResultSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { inputs, json, text } from './results.js';

function requireOf(session, capability) {
  if (session.server.getClientCapabilities()?.[capability] === undefined) {
    throw new Error(`The client does not offer ${capability}`);
  }
}

function elicit(extra, session, message, properties, required) {
  requireOf(session, 'elicitation');
  const requestedSchema = { type: 'object', properties, ...(required && { required }) };
  return extra.sendRequest(
    { method: 'elicitation/create', params: { message, requestedSchema } },
    ElicitResultSchema,
  );
}

async function sample(extra, session, prompt) {
  requireOf(session, 'sampling');
  const messages = [{ role: 'user', content: { type: 'text', text: prompt } }];
  const params = { messages, maxTokens: 100 };
  return extra.sendRequest({ method: 'sampling/createMessage', params }, CreateMessageResultSchema);
}

function completed({ action, content }) {
  return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`);
}

/** Tools that ask the client for something: the official suite's (`test_…`), then our own. */
export const clientTools = [
  {
    name: 'test_sampling',
    description: 'Has the client sample a prompt',
    inputSchema: inputs({ prompt: { type: 'string' } }),
    async run({ prompt }, extra, session) {
      const { content } = await sample(extra, session, prompt);
      return text(`LLM response: ${content.text}`);
    },
  },
  {
    name: 'test_elicitation',
    description: 'Asks the user for a name and an e-mail address',
    inputSchema: inputs({ message: { type: 'string' } }),
    async run({ message }, extra, session) {
      const properties = {
        username: { type: 'string', description: "User's response" },
        email: { type: 'string', description: "User's email address" },
      };
      const { action, content } = await elicit(extra, session, message, properties, ['username', 'email']);
      return text(`User response: action=${action}, content=${JSON.stringify(content ?? {})}`);
    },
  },
  {
    name: 'test_elicitation_sep1034_defaults',
    description: 'Asks with a default value of each primitive type',
    inputSchema: inputs(),
    async run(_args, extra, session) {
      const properties = {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
      };
      return completed(await elicit(extra, session, 'Check these values', properties));
    },
  },
  {
    name: 'test_elicitation_sep1330_enums',
    description: 'Asks with each kind of enumeration',
    inputSchema: inputs(),
    async run(_args, extra, session) {
      const titled = ['First', 'Second', 'Third'].map((name, i) => ({ name, value: `value${i + 1}` }));
      const options = ['option1', 'option2', 'option3'];
      const properties = {
        untitledSingle: { type: 'string', enum: options },
        titledSingle: {
          type: 'string',
          oneOf: titled.map(({ name, value }) => ({ const: value, title: `${name} Option` })),
        },
        legacyEnum: {
          type: 'string',
          enum: ['opt1', 'opt2', 'opt3'],
          enumNames: ['Option One', 'Option Two', 'Option Three'],
        },
        untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
        titledMulti: {
          type: 'array',
          items: { anyOf: titled.map(({ name, value }) => ({ const: value, title: `${name} Choice` })) },
        },
      };
      return completed(await elicit(extra, session, 'Choose from these', properties));
    },
  },
  {
    name: 'ask',
    description: 'Asks the user a question that carries the label; returns what the client answered',
    inputSchema: inputs({ label: { type: 'string' } }),
    async run({ label }, extra, session) {
      return json(await elicit(extra, session, `question ${label}`, { answer: { type: 'string' } }));
    },
  },
  {
    name: 'sample',
    description: 'Has the client sample a prompt that carries the label; returns what the client answered',
    inputSchema: inputs({ label: { type: 'string' } }),
    run: async ({ label }, extra, session) => json(await sample(extra, session, `prompt ${label}`)),
  },
  {
    name: 'roots',
    description: "Returns the client's roots",
    inputSchema: inputs(),
    async run(_args, extra, session) {
      requireOf(session, 'roots');
      return json(await extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema));
    },
  },
];
