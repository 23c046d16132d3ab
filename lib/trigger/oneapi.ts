/**
 * The `oneapi` trigger: `POST <prefix><function>` with a JSON array of arguments. Everything below the prefix is a
 * function's address; nothing there reaches the application.
 */
import { CartonError } from '../support/errors';
import { didYouMean } from '../support/nearest';
import { ARRAY_PLAN } from '../protocol/oneapi';
import type { FunctionSpec } from '../spec/types';
import type { Match } from './trigger';

const METHODS = Object.freeze(['POST']);

export class OneapiTrigger {
  readonly #prefix: string;
  readonly #matches: ReadonlyMap<string, Match>;

  constructor(prefix: string, functions: readonly FunctionSpec[]) {
    this.#prefix = prefix;
    this.#matches = new Map(
      functions
        .filter((spec) => spec.triggers.some((trigger) => trigger.type === 'oneapi'))
        .map((spec) => [spec.name, { spec, trigger: 'oneapi', methods: METHODS, body: 'array' as const, args: () => ARRAY_PLAN }]),
    );
  }

  /** Undefined where the path is not below the prefix. Throws for what is, but names no function. */
  match(path: string): Match | undefined {
    if (!path.startsWith(this.#prefix)) return undefined;
    const encoded = path.slice(this.#prefix.length);
    const name = encoded.includes('%') ? decode(encoded) : encoded;
    const match = this.#matches.get(name);
    if (match !== undefined) return match;
    throw new CartonError('CARTON_INGRESS_UNKNOWN_FUNCTION', { got: JSON.stringify(name.slice(0, 200)), hint: didYouMean(name.slice(0, 200), [...this.#matches.keys()]) });
  }
}

function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (cause) {
    throw new CartonError('CARTON_INGRESS_BAD_PATH', { expected: 'percent-encoded UTF-8', got: JSON.stringify(encoded.slice(0, 200)), cause });
  }
}
