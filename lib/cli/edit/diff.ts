/**
 * Shows one change of a file as a person reads it: the lines that go and come, with a line around them. Runs in the
 * command line only. A change of this command is always in one place, so no general algorithm is needed.
 */

/** Unchanged lines that are shown on either side. */
const CONTEXT_LINES = 1;

export interface DiffLine {
  readonly sign: ' ' | '-' | '+';
  readonly text: string;
}

/** `before` is undefined for a new file. */
export function diffLines(before: string | undefined, after: string): DiffLine[] {
  const to = linesOf(after);
  if (before === undefined) return to.map((text) => ({ sign: '+', text }));
  const from = linesOf(before);
  const most = Math.min(from.length, to.length);
  let head = 0;
  while (head < most && from[head] === to[head]) head += 1;
  let tail = 0;
  while (tail < most - head && from[from.length - 1 - tail] === to[to.length - 1 - tail]) tail += 1;
  const sign = (lines: readonly string[], mark: DiffLine['sign']): DiffLine[] => lines.map((text) => ({ sign: mark, text }));
  return [
    ...sign(from.slice(Math.max(0, head - CONTEXT_LINES), head), ' '),
    ...sign(from.slice(head, from.length - tail), '-'),
    ...sign(to.slice(head, to.length - tail), '+'),
    ...sign(from.slice(from.length - tail, from.length - tail + CONTEXT_LINES), ' '),
  ];
}

function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  // The end of the last line is not a line of its own.
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
