/**
 * A logger that puts function and invocation in front of each line.
 */
import { describe } from '../support/errors';
import type { FunctionLogger } from './application';

/** Digits of the invocation's id that a log line shows: enough to find its other lines. */
const ID_DIGITS = 12;

export function taggedLogger(logger: FunctionLogger, functionName: string, id: () => string): FunctionLogger {
  let tag: string | undefined;
  const tagged = (message: unknown): string => {
    tag ??= `[${functionName} ${id().slice(0, ID_DIGITS)}]`;
    return `${tag} ${textOf(message)}`;
  };
  return Object.freeze({
    debug: (message: unknown, ...args: unknown[]) => logger.debug(tagged(message), ...args),
    info: (message: unknown, ...args: unknown[]) => logger.info(tagged(message), ...args),
    warn: (message: unknown, ...args: unknown[]) => logger.warn(tagged(message), ...args),
    error: (message: unknown, ...args: unknown[]) => logger.error(tagged(message), ...args),
  });
}

/** What a function threw is logged here, and logging it must not throw again. */
function textOf(message: unknown): string {
  try {
    return message instanceof Error ? String(message.stack ?? message.message) : String(message);
  } catch {
    return describe(message);
  }
}
