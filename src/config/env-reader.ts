/** All mistakes of the environment, one line each. */
export class ConfigError extends Error {
  constructor(readonly mistakes: string[]) {
    super(mistakes.join('\n'));
    this.name = 'ConfigError';
  }
}

/** Reads variables and gathers what is wrong with them. An empty variable counts as absent. */
export class EnvReader {
  private readonly mistakes: string[] = [];

  constructor(private readonly env: Record<string, string | undefined>) {}

  /** `expected` completes "NAME must be …"; a secret's value is not repeated. */
  text(
    name: string,
    isValid: (value: string) => boolean,
    expected: string,
    kind: 'plain' | 'secret' = 'plain',
  ): string | undefined {
    const value = this.env[name]?.trim();
    if (value === undefined || value === '') return undefined;
    if (isValid(value)) return value;
    this.refuse(name, expected, kind === 'secret' ? undefined : value);
    return undefined;
  }

  integer(name: string, min: number, max: number): number | undefined {
    const isValid = (value: string): boolean =>
      /^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max;
    const value = this.text(name, isValid, `a whole number from ${min} to ${max}`);
    return value === undefined ? undefined : Number(value);
  }

  boolean(name: string): boolean | undefined {
    const value = this.oneOf(name, ['true', 'false']);
    return value === undefined ? undefined : value === 'true';
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const isValid = (value: string): boolean => allowed.includes(value as T);
    return this.text(name, isValid, `one of ${allowed.join(', ')}`) as T | undefined;
  }

  /** Separated by commas. */
  list(name: string, isValid: (item: string) => boolean, expected: string): string[] | undefined {
    const value = this.text(name, (text) => itemsOf(text).every(isValid), expected);
    return value === undefined ? undefined : itemsOf(value);
  }

  /** `sentence` says which variables do not go together. */
  refuseTogether(sentence: string): void {
    this.mistakes.push(sentence);
  }

  throwIfMistaken(): void {
    if (this.mistakes.length > 0) throw new ConfigError(this.mistakes);
  }

  private refuse(name: string, expected: string, value: string | undefined): void {
    const got = value === undefined ? '' : `, not ${JSON.stringify(value.slice(0, 100))}`;
    this.mistakes.push(`${name} must be ${expected}${got}`);
  }
}

function itemsOf(value: string): string[] {
  return value.split(',').map((item) => item.trim());
}
