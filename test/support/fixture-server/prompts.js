import { ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';
import { PNG } from './media.js';

const WORDS = ['paris', 'park', 'party', 'test'];

function user(content) {
  return { role: 'user', content };
}

function say(text) {
  return user({ type: 'text', text });
}

const argument = (name, description) => ({ name, description, required: true });

/** What each prompt turns its arguments into. */
const messages = {
  test_simple_prompt: () => [say('This is a simple prompt for testing.')],
  test_prompt_with_arguments: ({ arg1, arg2 }) => [
    say(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
  ],
  test_prompt_with_embedded_resource: ({ resourceUri }) => [
    user({
      type: 'resource',
      resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' },
    }),
    say('Please process the embedded resource above.'),
  ],
  test_prompt_with_image: () => [
    user({ type: 'image', data: PNG, mimeType: 'image/png' }),
    say('Please analyze the image above.'),
  ],
};

export const prompts = [
  { name: 'test_simple_prompt', description: 'A prompt without arguments' },
  {
    name: 'test_prompt_with_arguments',
    description: 'A prompt with two arguments',
    arguments: [argument('arg1', 'First test argument'), argument('arg2', 'Second test argument')],
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'A prompt that embeds a resource',
    arguments: [argument('resourceUri', 'URI of the resource to embed')],
  },
  { name: 'test_prompt_with_image', description: 'A prompt with an image' },
];

export function getPrompt(name, args) {
  const prompt = prompts.find((prompt) => prompt.name === name);
  if (!prompt) throw new McpError(ErrorCode.InvalidParams, `There is no prompt ${name}`);
  const missing = prompt.arguments?.find((argument) => args[argument.name] === undefined);
  if (missing) throw new McpError(ErrorCode.InvalidParams, `The argument ${missing.name} is required`);
  return { messages: messages[name](args) };
}

/** The words that begin with what was typed. */
export function completions(typed) {
  const values = WORDS.filter((word) => word.startsWith(typed));
  return { completion: { values, total: values.length, hasMore: false } };
}
