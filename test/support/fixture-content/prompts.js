import { Fault, INVALID_PARAMS } from './fault.js';
import { PNG } from './media.js';
import { elicit } from './questions.js';

const WORDS = ['paris', 'park', 'party', 'test'];

function user(content) {
  return { role: 'user', content };
}

function say(text) {
  return user({ type: 'text', text });
}

const argument = (name, description) => ({ name, description, required: true });

/** `messages(args, responses)` is what a prompt turns into; `rounds` is as in questions.js. */
const prompts = [
  {
    name: 'test_simple_prompt',
    description: 'A prompt without arguments',
    messages: () => [say('This is a simple prompt for testing.')],
  },
  {
    name: 'test_prompt_with_arguments',
    description: 'A prompt with two arguments',
    arguments: [argument('arg1', 'First test argument'), argument('arg2', 'Second test argument')],
    messages: ({ arg1, arg2 }) => [say(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'A prompt that embeds a resource',
    arguments: [argument('resourceUri', 'URI of the resource to embed')],
    messages: ({ resourceUri }) => [
      user({
        type: 'resource',
        resource: {
          uri: resourceUri,
          mimeType: 'text/plain',
          text: 'Embedded resource content for testing.',
        },
      }),
      say('Please process the embedded resource above.'),
    ],
  },
  {
    name: 'test_prompt_with_image',
    description: 'A prompt with an image',
    messages: () => [
      user({ type: 'image', data: PNG, mimeType: 'image/png' }),
      say('Please analyze the image above.'),
    ],
  },
  {
    name: 'test_input_required_result_prompt',
    description: 'A prompt that asks for its context',
    rounds: () => [
      { user_context: elicit('What context should the prompt use?', { context: { type: 'string' } }) },
    ],
    messages: (_args, responses) => [say(`The context is ${responses.user_context.content?.context}.`)],
  },
];

/** As `prompts/list` shows them: without the functions. */
export const listedPrompts = prompts.map(({ name, description, arguments: args }) => ({
  name,
  description,
  ...(args && { arguments: args }),
}));

/** The prompt, when these are all the arguments it needs. */
export function promptFor(name, args) {
  const prompt = prompts.find((prompt) => prompt.name === name);
  if (!prompt) throw new Fault(INVALID_PARAMS, `There is no prompt ${name}`);
  const missing = prompt.arguments?.find((argument) => args[argument.name] === undefined);
  if (missing) throw new Fault(INVALID_PARAMS, `The argument ${missing.name} is required`);
  return {
    rounds: prompt.rounds,
    answer: (args, responses) => ({ messages: prompt.messages(args, responses) }),
  };
}

/** The words that begin with what was typed. */
export function completions(typed) {
  const values = WORDS.filter((word) => word.startsWith(typed));
  return { completion: { values, total: values.length, hasMore: false } };
}
