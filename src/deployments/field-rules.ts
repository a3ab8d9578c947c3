import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import {
  IsIn,
  IsInt,
  IsNumber,
  Max,
  Min,
  ValidateBy,
  ValidateIf,
  type ValidationArguments,
} from 'class-validator';

// Each rule is what the validator checks and what the OpenAPI document says, in one place, so that they cannot differ.
// Messages complete "<field> …"; one that starts with `.name` or `[index]` is about that part of the field.

/** Absent is fine; null is not absent. */
export function Optional(): PropertyDecorator {
  return ValidateIf((_request, value) => value !== undefined);
}

/** Absent means the default that the class gives it. */
export function Defaulted(): PropertyDecorator {
  return ApiProperty({ required: false });
}

/** Absent keeps what is, null takes it away. */
export function Removable(): PropertyDecorator {
  return applyDecorators(
    ValidateIf((_request, value) => value !== undefined && value !== null),
    ApiProperty({ nullable: true, required: false }),
  );
}

/** `unit` in the plural: `megabytes`. */
export function WholeNumber(min: number, max: number, unit: string): PropertyDecorator {
  const message = `must be a whole number of ${unit} from ${min} to ${max}`;
  return applyDecorators(
    IsInt({ message }),
    Min(min, { message }),
    Max(max, { message }),
    ApiProperty({ type: 'integer', minimum: min, maximum: max }),
  );
}

export function Amount(min: number, max: number, unit: string): PropertyDecorator {
  const message = `must be a number of ${unit} from ${min} to ${max}`;
  return applyDecorators(
    IsNumber({ allowNaN: false, allowInfinity: false }, { message }),
    Min(min, { message }),
    Max(max, { message }),
    ApiProperty({ type: 'number', minimum: min, maximum: max }),
  );
}

export function OneOf(kinds: readonly string[]): PropertyDecorator {
  const message = `must be one of ${kinds.map((kind) => JSON.stringify(kind)).join(', ')}`;
  return applyDecorators(IsIn([...kinds], { message }), ApiProperty({ type: 'string', enum: [...kinds] }));
}

/** A rule that other fields have a say in. `complaint` gives what is wrong with the value, or undefined. */
export function Consistent(
  complaint: (value: unknown, request: object) => string | undefined,
): PropertyDecorator {
  return check('consistent', complaint);
}

export function Text(rule: { maxLength: number; pattern?: RegExp; expected: string }): PropertyDecorator {
  const message = `must be ${rule.expected}, at most ${rule.maxLength} characters`;
  const pattern = rule.pattern ?? PRINTABLE;
  return applyDecorators(
    check('text', (value) => (isText(value, rule.maxLength) && pattern.test(value) ? undefined : message)),
    ApiProperty({ type: 'string', minLength: 1, maxLength: rule.maxLength, pattern: pattern.source }),
  );
}

/** Values may be empty. */
export function TextList(rule: { maxItems: number; maxLength: number }): PropertyDecorator {
  const { maxItems, maxLength } = rule;
  return applyDecorators(
    check('textList', (value) => {
      if (!Array.isArray(value) || value.length > maxItems)
        return `must be a list of at most ${maxItems} strings`;
      const index = value.findIndex((item) => !isValue(item, maxLength));
      return index < 0 ? undefined : `[${index}] ${valueMessage(maxLength)}`;
    }),
    ApiProperty({ type: 'array', maxItems, items: { type: 'string', maxLength } }),
  );
}

/** Names that match `pattern` (no spaces), each with a string. */
export function TextMap(rule: {
  maxEntries: number;
  pattern: RegExp;
  maxLength: number;
  secret?: true;
}): PropertyDecorator {
  const { maxEntries, pattern, maxLength } = rule;
  return applyDecorators(
    check('textMap', (value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        return 'must be an object whose values are strings';
      }
      const entries = Object.entries(value);
      if (entries.length > maxEntries) return `must have at most ${maxEntries} entries`;
      const badName = entries.find(([name]) => !pattern.test(name))?.[0];
      if (badName !== undefined) {
        return `has the name ${JSON.stringify(badName.slice(0, 64))}, but names must match ${pattern.source}`;
      }
      const bad = entries.find(([, item]) => !isValue(item, maxLength));
      return bad && `.${bad[0]} ${valueMessage(maxLength)}`;
    }),
    ApiProperty({
      type: 'object',
      maxProperties: maxEntries,
      additionalProperties: { type: 'string', maxLength },
      ...(rule.secret && { writeOnly: true }),
    }),
  );
}

// No control characters: they would reach logs and terminals.
const PRINTABLE = /^[^\p{Cc}]+$/u;

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= maxLength;
}

function isValue(value: unknown, maxLength: number): boolean {
  // A NUL ends a C string: the process would get less than was sent.
  return typeof value === 'string' && value.length <= maxLength && !value.includes('\0');
}

function valueMessage(maxLength: number): string {
  return `must be a string of at most ${maxLength} characters without NUL`;
}

/** `complaint` gives what is wrong, or undefined. */
function check(
  name: string,
  complaint: (value: unknown, request: object) => string | undefined,
): PropertyDecorator {
  const about = (value: unknown, args: ValidationArguments | undefined): string | undefined =>
    complaint(value, args?.object ?? {});
  return ValidateBy({
    name,
    validator: {
      validate: (value: unknown, args) => about(value, args) === undefined,
      defaultMessage: (args) => about(args?.value, args) ?? '',
    },
  });
}
