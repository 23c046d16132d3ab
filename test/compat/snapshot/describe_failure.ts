/**
 * Describes why a boot failed, or what a probe caught: what users see of an error. Runs in the processes that are compared.
 */
import { describeValue, type Json } from './describe_value';

/** Lines of a stack that name a file, without those of Node, of this package and of a loader between them. */
export function applicationFrames(stack: string, directory: string): string[] {
  return stack.split('\n').filter((line) => /^\s+at /.test(line) && line.includes(directory));
}

export function describeFailure(error: unknown, directory: string): Json {
  if (!(error instanceof Error)) return { thrown: describeValue(error) };
  const { name, message, stack = '', cause } = error;
  const { code, requireStack } = error as { code?: unknown; requireStack?: unknown };
  const lines = stack.split('\n');
  const first = lines.findIndex((line) => /^\s+at /.test(line));
  return {
    name, message, code: describeValue(code), requireStack: describeValue(requireStack),
    kind: Object.prototype.toString.call(error), constructor: error.constructor.name,
    cause: cause === undefined ? null : describeFailure(cause, directory),
    // A syntax error shows the line where it stands above its message.
    head: lines.slice(0, first === -1 ? lines.length : first),
    frames: applicationFrames(stack, directory),
  };
}
