import { elicit, roots, sample } from './questions.js';
import { inputs, json, text } from './results.js';

const TEXT = { type: 'string' };

function said({ action, content }) {
  return `action=${action}, content=${JSON.stringify(content ?? {})}`;
}

function enumerations() {
  const titled = ['First', 'Second', 'Third'].map((name, i) => ({ name, value: `value${i + 1}` }));
  const options = ['option1', 'option2', 'option3'];
  return {
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
}

/** Tools that ask the client for something once: the official suite's (`test_…`), then our own. */
export const askingTools = [
  {
    name: 'test_sampling',
    description: 'Has the client sample a prompt',
    inputSchema: inputs({ prompt: TEXT }),
    rounds: ({ prompt }) => [{ sample: sample(prompt) }],
    answer: (_args, { sample }) => text(`LLM response: ${sample.content.text}`),
  },
  {
    name: 'test_elicitation',
    description: 'Asks the user for a name and an e-mail address',
    inputSchema: inputs({ message: TEXT }),
    rounds: ({ message }) => [
      {
        user: elicit(message, {
          username: { type: 'string', description: "User's response" },
          email: { type: 'string', description: "User's email address" },
        }),
      },
    ],
    answer: (_args, { user }) => text(`User response: ${said(user)}`),
  },
  {
    name: 'test_elicitation_sep1034_defaults',
    description: 'Asks with a default value of each primitive type',
    inputSchema: inputs(),
    rounds: () => [
      {
        values: elicit(
          'Check these values',
          {
            name: { type: 'string', default: 'John Doe' },
            age: { type: 'integer', default: 30 },
            score: { type: 'number', default: 95.5 },
            status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
            verified: { type: 'boolean', default: true },
          },
          [],
        ),
      },
    ],
    answer: (_args, { values }) => text(`Elicitation completed: ${said(values)}`),
  },
  {
    name: 'test_elicitation_sep1330_enums',
    description: 'Asks with each kind of enumeration',
    inputSchema: inputs(),
    rounds: () => [{ choices: elicit('Choose from these', enumerations(), []) }],
    answer: (_args, { choices }) => text(`Elicitation completed: ${said(choices)}`),
  },
  {
    name: 'ask',
    description: 'Asks the user a question that carries the label; returns what the client answered',
    inputSchema: inputs({ label: TEXT }),
    rounds: ({ label }) => [{ question: elicit(`question ${label}`, { answer: TEXT }, []) }],
    answer: (_args, { question }) => json(question),
  },
  {
    name: 'sample',
    description: 'Has the client sample a prompt that carries the label; returns what the client answered',
    inputSchema: inputs({ label: TEXT }),
    rounds: ({ label }) => [{ sample: sample(`prompt ${label}`) }],
    answer: (_args, { sample }) => json(sample),
  },
  {
    name: 'roots',
    description: "Returns the client's roots",
    inputSchema: inputs(),
    rounds: () => [{ roots: roots() }],
    answer: (_args, { roots }) => json(roots),
  },
];
