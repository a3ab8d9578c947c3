import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { clientTools } from './client-tools.js';
import { contentTools } from './content-tools.js';
import { dataTools } from './data-tools.js';
import { processTools } from './process-tools.js';
import { completions, getPrompt, prompts } from './prompts.js';
import { readResource, resources, resourceTemplates } from './resources.js';

/**
 * A server of the handshake era. A tool is `{name, description, inputSchema, run}`, where
 * `run(args, extra, session)` resolves to a CallToolResult; what it throws becomes a result with isError.
 */
export function createFixtureServer() {
  const server = new Server(
    { name: 'mcp-runner-fixture', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        completions: {},
        logging: {},
      },
      instructions: 'A server for tests.',
    },
  );
  const tools = new Map();
  for (const tool of [...contentTools, ...clientTools, ...dataTools, ...processTools])
    tools.set(tool.name, tool);
  const session = { server, tools, calls: 0, cancelled: [], watched: new Set() };

  server.setRequestHandler(ListToolsRequestSchema, () => ({
    // JSON leaves the functions out.
    tools: [...tools.values()],
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const tool = tools.get(params.name);
    try {
      if (!tool) throw new Error(`There is no tool ${params.name}`);
      return await tool.run(params.arguments ?? {}, extra, session);
    } catch (error) {
      return { isError: true, content: [{ type: 'text', text: error.message }] };
    }
  });

  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => readResource(params.uri));
  server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    session.watched.add(params.uri);
    return {};
  });
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    session.watched.delete(params.uri);
    return {};
  });

  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) =>
    getPrompt(params.name, params.arguments ?? {}),
  );
  server.setRequestHandler(CompleteRequestSchema, ({ params }) => completions(params.argument.value));
  return server;
}
