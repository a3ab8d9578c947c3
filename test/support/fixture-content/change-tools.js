import { log } from './notices.js';
import { inputs, text } from './results.js';

/** The rest of what the official suite needs to score revision 2026-07-28; the names are the suite's. */
export const changeTools = [
  {
    name: 'test_logging_tool',
    description: 'Logs a message, for those who asked for messages',
    inputSchema: inputs(),
    async run(_args, extra) {
      await log(extra, 'The tool was called');
      return text('A message was logged.');
    },
  },
  {
    name: 'test_trigger_tool_change',
    description: 'Says that the list of tools has changed',
    inputSchema: inputs(),
    async run(_args, _extra, session) {
      await session.toolsChanged();
      return text('The tools changed.');
    },
  },
  {
    name: 'test_trigger_prompt_change',
    description: 'Says that the list of prompts has changed',
    inputSchema: inputs(),
    async run(_args, _extra, session) {
      await session.promptsChanged();
      return text('The prompts changed.');
    },
  },
  {
    name: 'test_x_mcp_header',
    description: 'Its region is repeated in the header Mcp-Param-Region',
    inputSchema: inputs({ region: { type: 'string', 'x-mcp-header': 'Region' } }),
    run: ({ region }) => text(`The region is ${region}.`),
  },
];
