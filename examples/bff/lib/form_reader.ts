/**
 * Reads the fields of a form that came from outside. It collects every problem
 * instead of stopping at the first, so that a page can mark all fields at once;
 * `finish` throws BFF_INVALID when there was one.
 */

import { BffError, type FieldProblem } from './errors';

export interface TextRule {
  /** Shortest length in characters after trimming. @default 1 */
  min?: number;
  /** Greatest length in characters after trimming. @default 200 */
  max?: number;
  pattern?: RegExp;
}

export interface IntegerRule {
  min: number;
  max: number;
}

export class FormReader {
  private readonly fields: Record<string, unknown>;

  constructor(
    input: unknown,
    private readonly prefix = '',
    private readonly problems: FieldProblem[] = [],
  ) {
    this.fields = isRecord(input) ? input : {};
    if (!isRecord(input)) this.report('', 'expected an object');
  }

  text(name: string, rule: TextRule = {}): string {
    const { min = 1, max = 200, pattern } = rule;
    const value = this.fields[name];
    if (typeof value !== 'string') {
      this.report(name, 'expected text');
      return '';
    }
    const text = value.trim();
    if (text.length < min || text.length > max) {
      this.report(name, `expected ${min} to ${max} characters, got ${text.length}`);
    } else if (pattern && !pattern.test(text)) {
      this.report(name, `expected text that matches ${pattern.source}`);
    }
    return text;
  }

  optionalText(name: string, rule: TextRule = {}): string | undefined {
    return this.fields[name] === undefined ? undefined : this.text(name, rule);
  }

  /** Accepts a number, or digits in text as a query string carries them. */
  integer(name: string, rule: IntegerRule): number {
    const raw = this.fields[name];
    const value = typeof raw === 'string' && /^-?\d{1,9}$/.test(raw) ? Number(raw) : raw;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < rule.min || value > rule.max) {
      this.report(name, `expected a whole number from ${rule.min} to ${rule.max}`);
      return rule.min;
    }
    return value;
  }

  optionalInteger(name: string, rule: IntegerRule & { fallback: number }): number {
    return this.fields[name] === undefined ? rule.fallback : this.integer(name, rule);
  }

  /** Reads each item of the list `name` with a reader of its own; at most `max` of them. */
  list<T>(name: string, max: number, read: (item: FormReader) => T): T[] {
    const value = this.fields[name];
    if (!Array.isArray(value) || value.length < 1 || value.length > max) {
      this.report(name, `expected a list of 1 to ${max} items`);
      return [];
    }
    return value.map((item: unknown, index) => {
      return read(new FormReader(item, `${this.prefix}${name}[${index}].`, this.problems));
    });
  }

  /** Records a problem that spans fields or that only the caller can see. */
  report(name: string, message: string): void {
    this.problems.push({ field: `${this.prefix}${name}`, message });
  }

  /** @throws BFF_INVALID with all problems found by this reader and those of its lists */
  finish(): void {
    if (this.problems.length > 0) {
      throw new BffError('BFF_INVALID', 'The form has problems', this.problems);
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
