/**
 * Who called: the files on the stack, whatever the application has made of stacks. Runs in templates and forks.
 */

/** Files of at most `limit` frames above `callee`, the nearest first; '' for code without a file. */
export function callersOf(callee: (...args: never[]) => unknown, limit: number): string[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const holder: { stack?: string } = {};
  let files: string[] = [];
  Error.stackTraceLimit = limit;
  Error.prepareStackTrace = (_error, frames) => {
    files = frames.map((frame) => frame.getFileName() ?? '');
    return '';
  };
  Error.captureStackTrace(holder, callee);
  // The first look at it is what asks for the frames.
  void holder.stack;
  Object.assign(Error, { prepareStackTrace, stackTraceLimit });
  return files;
}
