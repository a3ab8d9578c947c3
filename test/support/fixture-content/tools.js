import { askingTools } from './asking-tools.js';
import { changeTools } from './change-tools.js';
import { contentTools } from './content-tools.js';
import { dataTools } from './data-tools.js';
import { inputTools } from './input-tools.js';
import { processTools } from './process-tools.js';

/**
 * What both fixtures offer, whatever SDK they are built on. A tool is `{name, description, inputSchema}` and either
 * `run(args, extra, session)`, which resolves to a CallToolResult, or `rounds` and `answer`, see questions.js; what it throws
 * becomes a result with isError. `extra` is `{_meta, signal, requestId, sendNotification}`. `session` is `{calls, cancelled,
 * watched, addTool, toolsChanged, promptsChanged, resourceChanged}` of this conversation.
 */
export const tools = [
  ...contentTools,
  ...askingTools,
  ...inputTools,
  ...changeTools,
  ...dataTools,
  ...processTools,
];

export const CAPABILITIES = {
  tools: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  prompts: { listChanged: true },
  completions: {},
  logging: {},
};
