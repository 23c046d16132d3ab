/**
 * Collects what is wrong with specs or configuration and makes one error of it. Runs at boot, in the agent and in app
 * workers. Every problem found is told at once, because mending a file one restart at a time is slow.
 */
import { CartonError, type ErrorCode } from '../support/errors';

export interface Problem {
  readonly code: ErrorCode;
  /** File and key, such as `config/function.ts: functions["hello"].timeoutMs`. */
  readonly place: string;
  readonly expected: string;
  readonly got: string;
  /** A sentence of its own, such as `Did you mean "timeoutMs"?`. */
  readonly hint?: string;
}

/** Problems told in one message; more would push the first ones off the screen. The rest is counted. */
export const MAX_TOLD_PROBLEMS = 20;

/** Longest piece of a user's value that a message repeats, in characters. */
const MAX_SHOWN = 80;

/** One error for all `problems` (at least one), under their code, or under `mixed` where their codes differ. */
export function problemsError(problems: readonly Problem[], mixed: ErrorCode): CartonError {
  const first = problems[0]?.code ?? mixed;
  const code = problems.every((problem) => problem.code === first) ? first : mixed;
  if (problems.length === 1) return new CartonError(code, { hint: problems.map(tell).join('') });
  const lines = problems.slice(0, MAX_TOLD_PROBLEMS).map((problem) => `\n  - ${tell(problem)}`);
  const left = problems.length - lines.length;
  if (left > 0) lines.push(`\n  - and ${left} more`);
  return new CartonError(code, { of: `${problems.length} problems`, hint: `${lines.join('')}\n` });
}

/** Throws `problemsError` unless there is nothing to tell. */
export function throwProblems(problems: readonly Problem[], mixed: ErrorCode): void {
  if (problems.length > 0) throw problemsError(problems, mixed);
}

function tell({ place, expected, got, hint }: Problem): string {
  const end = hint === undefined ? '' : ` ${hint}`;
  return `${place}: expected ${expected}, got ${got}.${end}`;
}

/** A user's value as a message shows it. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  const text = asJson(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? typeof value;
  } catch {
    // A cycle or a throwing toJSON: the kind of value is all that can be told.
    return Array.isArray(value) ? 'an array' : 'an object';
  }
}

/** `functions["user/profile"].triggers[0].path` from keys: names that are no identifiers stand in brackets. */
export function keyPath(root: string, keys: readonly unknown[]): string {
  return keys.reduce<string>((path, key) => {
    if (typeof key === 'number') return `${path}[${key}]`;
    return /^[A-Za-z_$][\w$]*$/.test(String(key)) && path !== 'functions' ? `${path}.${String(key)}` : `${path}[${JSON.stringify(key)}]`;
  }, root);
}

/** Freezes `value` and all that hangs on it, except functions, which belong to the application. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
