// An ordinary MCP client, as any user would write it.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

/** Lists the tools behind `url`, calls `echo`; the answer is its text. */
export async function callEcho(url, token, message) {
  const client = new Client({ name: 'mcp-runner-demo', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
  await client.connect(transport);
  try {
    const { tools } = await client.listTools();
    const result = await client.callTool({ name: 'echo', arguments: { message } });
    return {
      server: client.getServerVersion(),
      tools: tools.map((tool) => tool.name),
      answer: result.content.map((part) => part.text).join(''),
    };
  } finally {
    await transport.terminateSession();
    await client.close();
  }
}
