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
import { completions, listedPrompts, promptFor } from '../fixture-content/prompts.js';
import { readResource, resources, resourceTemplates } from '../fixture-content/resources.js';
import { CAPABILITIES, tools as commonTools } from '../fixture-content/tools.js';
import { askClient, OpenQuestions } from './ask-client.js';
import { faultTools } from './fault-tools.js';

/** What `tools/list` shows of a tool. */
function listed({ name, description, inputSchema }) {
  return { name, description, inputSchema };
}

/** A server of the handshake era; its tools that ask push their questions as requests. Connects it to the transport. */
export async function serveFixture(transport) {
  const server = new Server(
    { name: 'mcp-runner-fixture', version: '1.0.0' },
    { capabilities: CAPABILITIES, instructions: 'A server for tests.' },
  );
  const tools = new Map([...commonTools, ...faultTools].map((tool) => [tool.name, tool]));
  const session = {
    server,
    questions: new OpenQuestions(),
    calls: 0,
    cancelled: [],
    watched: new Set(),
    addTool(tool) {
      tools.set(tool.name, tool);
      return server.sendToolListChanged();
    },
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
    resourceChanged: (uri) => server.sendResourceUpdated({ uri }),
  };

  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...tools.values()].map(listed) }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const { name, arguments: args = {} } = params;
    const tool = tools.get(name);
    try {
      if (!tool) throw new Error(`There is no tool ${name}`);
      if (tool.run) return await tool.run(args, extra, session);
      return tool.answer(args, await askClient(tool, args, extra, session));
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

  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: listedPrompts }));
  server.setRequestHandler(GetPromptRequestSchema, async ({ params }, extra) => {
    const { name, arguments: args = {} } = params;
    const prompt = promptFor(name, args);
    return prompt.answer(args, prompt.rounds && (await askClient(prompt, args, extra, session)));
  });
  server.setRequestHandler(CompleteRequestSchema, ({ params }) => completions(params.argument.value));

  await server.connect(transport);
  const { onmessage } = transport;
  Object.assign(transport, {
    onmessage: (message, extra) => session.questions.take(message) || onmessage(message, extra),
  });
}
