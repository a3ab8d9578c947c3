import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { ERRORS, type ErrorCode } from './error-codes.js';
import { PROBLEM_MEDIA_TYPE } from './problem.js';
import { ProblemDto } from './problem.dto.js';

/** Documents the problems that a route answers with: one response per status, its codes in the description. */
export function ApiProblems(...codes: ErrorCode[]): MethodDecorator & ClassDecorator {
  const statuses = [...new Set(codes.map((code) => ERRORS[code].status))];
  return applyDecorators(
    ApiExtraModels(ProblemDto),
    ...statuses.map((status) =>
      ApiResponse({ status, ...responseOf(codes.filter((code) => ERRORS[code].status === status)) }),
    ),
  );
}

function responseOf(codes: ErrorCode[]) {
  const description = codes.map((code) => `\`${code}\`: ${ERRORS[code].title}.`).join(' ');
  const schema = { $ref: getSchemaPath(ProblemDto) };
  const examples = Object.fromEntries(codes.map((code) => [code, { value: exampleOf(code) }]));
  return { description, content: { [PROBLEM_MEDIA_TYPE]: { schema, examples } } };
}

function exampleOf(code: ErrorCode) {
  const { status, title } = ERRORS[code];
  const type = `urn:mcp-runner:error:${code}`;
  return {
    type,
    title,
    status,
    code,
    instance: '/api/deployment',
    requestId: '6a4e24ff-0d2f-4f0a-8a4c-0f5d4f4f6b0e',
  };
}
