import { elicit, roots, sample } from './questions.js';
import { inputs, json, text } from './results.js';

const TEXT = { type: 'string' };
const NAME = () => elicit('What is your name?', { name: TEXT });
const CONFIRMATION = () => elicit('Please confirm', { ok: { type: 'boolean' } });

function acceptedName({ content }) {
  return content?.name ?? 'nobody';
}

/**
 * The tools by which the official suite scores revision 2026-07-28; names, questions and keys are the suite's.
 * `isStateful`: the state of the conversation travels through the client. `isLenient`: only what the client offers is
 * asked for.
 */
export const inputTools = [
  {
    name: 'test_input_required_result_elicitation',
    description: "Asks for the user's name",
    inputSchema: inputs(),
    rounds: () => [{ user_name: NAME() }],
    answer: (_args, { user_name: name }) => text(`Hello, ${acceptedName(name)}!`),
  },
  {
    name: 'test_input_required_result_sampling',
    description: 'Has the client sample a question',
    inputSchema: inputs(),
    rounds: () => [{ capital_question: sample('What is the capital of France?') }],
    answer: (_args, responses) => text(responses.capital_question.content.text),
  },
  {
    name: 'test_input_required_result_list_roots',
    description: "Names the client's roots",
    inputSchema: inputs(),
    rounds: () => [{ client_roots: roots() }],
    answer: (_args, responses) => text(responses.client_roots.roots.map(({ uri }) => uri).join('\n')),
  },
  {
    name: 'test_input_required_result_request_state',
    description: 'Asks for a confirmation and insists on its state',
    inputSchema: inputs(),
    isStateful: true,
    rounds: () => [{ confirm: CONFIRMATION() }],
    answer: () => text('state-ok'),
  },
  {
    name: 'test_input_required_result_multiple_inputs',
    description: 'Asks, samples and lists roots at once',
    inputSchema: inputs(),
    isStateful: true,
    rounds: () => [{ user_name: NAME(), greeting: sample('Generate a greeting', 50), client_roots: roots() }],
    answer: (_args, { user_name: name, greeting, client_roots: { roots } }) =>
      text(`${greeting.content.text} ${acceptedName(name)} of ${roots.length} roots`),
  },
  {
    name: 'test_input_required_result_multi_round',
    description: 'Asks two questions, one after the other',
    inputSchema: inputs(),
    isStateful: true,
    rounds: () => [
      { step1: elicit('Step 1: What is your name?', { name: TEXT }) },
      { step2: elicit('Step 2: What is your favorite color?', { color: TEXT }) },
    ],
    answer: (_args, { step1, step2 }) => text(`${acceptedName(step1)} likes ${step2.content?.color}`),
  },
  {
    name: 'test_input_required_result_tampered_state',
    description: 'Asks for a confirmation and refuses a state that was tampered with',
    inputSchema: inputs(),
    isStateful: true,
    rounds: () => [{ confirm: CONFIRMATION() }],
    answer: () => text('The state is as it was.'),
  },
  {
    name: 'test_input_required_result_capabilities',
    description: 'Asks for what the client offers',
    inputSchema: inputs(),
    isLenient: true,
    rounds: () => [{ user_name: NAME(), greeting: sample('Generate a greeting', 50) }],
    answer: (_args, responses) => json(Object.keys(responses)),
  },
  {
    name: 'test_missing_capability',
    description: 'Needs sampling',
    inputSchema: inputs(),
    rounds: () => [{ sample: sample('Say something') }],
    answer: (_args, { sample }) => text(sample.content.text),
  },
  {
    name: 'test_streaming_elicitation',
    description: 'Asks for a confirmation',
    inputSchema: inputs(),
    rounds: () => [{ confirm: CONFIRMATION() }],
    answer: (_args, { confirm }) => text(confirm.action),
  },
];
