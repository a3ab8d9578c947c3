import { fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { completions, listedPrompts, promptFor } from '../fixture-content/prompts.js';
import { readResource, resources, resourceTemplates } from '../fixture-content/resources.js';
import { CAPABILITIES, tools } from '../fixture-content/tools.js';
import { askClient, stateCodec } from './ask-client.js';

/** Which resources a stateless client watches is for the SDK to know. */
const ANY = { has: () => true, add: () => undefined, delete: () => undefined };

/** What the tools know as `extra`, see tools.js. */
function extraOf({ mcpReq }) {
  return {
    _meta: mcpReq['_meta'],
    signal: mcpReq.signal,
    requestId: mcpReq.id,
    sendNotification(notification) {
      if (notification.method !== 'notifications/message') return mcpReq.notify(notification);
      const { level, data, logger } = notification.params;
      // Sent only where the client asked for messages.
      return mcpReq.log(level, data, logger);
    },
  };
}

async function answerAfterAsking(asking, args, ctx, server) {
  const { questions, responses } = asking.rounds
    ? await askClient(asking, args, ctx, server)
    : { responses: {} };
  return questions ?? asking.answer(args, responses);
}

/** A server for either era. `notifier` tells of changes where the connection that made them is not the one to hear of them. */
export function createDualEraServer({ era }, notifier) {
  const mcp = new McpServer(
    { name: 'mcp-runner-dual-era-fixture', version: '1.0.0' },
    {
      capabilities: CAPABILITIES,
      instructions: 'A server for tests.',
      requestState: { verify: stateCodec.verify },
    },
  );
  const { server } = mcp;
  const session = {
    calls: 0,
    cancelled: [],
    watched: era === 'modern' ? ANY : new Set(),
    addTool,
    toolsChanged: async () => notifier?.toolsChanged() ?? (await server.sendToolListChanged()),
    promptsChanged: async () => notifier?.promptsChanged() ?? (await server.sendPromptListChanged()),
    resourceChanged: async (uri) =>
      notifier?.resourceUpdated(uri) ?? (await server.sendResourceUpdated({ uri })),
  };

  function addTool(tool) {
    const { name, description, inputSchema } = tool;
    mcp.registerTool(name, { description, inputSchema: fromJsonSchema(inputSchema) }, (args, ctx) =>
      tool.run ? tool.run(args, extraOf(ctx), session) : answerAfterAsking(tool, args, ctx, server),
    );
  }
  for (const tool of tools) addTool(tool);

  server.setRequestHandler('resources/list', () => ({ resources }));
  server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates }));
  server.setRequestHandler('resources/read', ({ params }) => readResource(params.uri));
  server.setRequestHandler('resources/subscribe', ({ params }) => {
    session.watched.add(params.uri);
    return {};
  });
  server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    session.watched.delete(params.uri);
    return {};
  });
  server.setRequestHandler('prompts/list', () => ({ prompts: listedPrompts }));
  server.setRequestHandler('prompts/get', ({ params }, ctx) => {
    const { name, arguments: args = {} } = params;
    return answerAfterAsking(promptFor(name, args), args, ctx, server);
  });
  server.setRequestHandler('completion/complete', ({ params }) => completions(params.argument.value));
  return mcp;
}
