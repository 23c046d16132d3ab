/**
 * What commands know of the terminal: lines out, a line that is replaced, and one kind of question. The real one is here;
 * tests have others.
 */
import type { DiffLine } from './edit/diff';

/** How a line looks where there are colors. */
export type Look = 'title' | 'good' | 'quiet';

export interface Terminal {
  /** Whether somebody is there to answer. */
  readonly isInteractive: boolean;
  /** Whether `status` is shown: a terminal that somebody watches, and no log. */
  readonly isLive: boolean;
  /** Characters of a line; Infinity where lines do not end, as in a file. */
  readonly columns: number;
  out(line: string, look?: Look): void;
  error(line: string): void;
  /** Shows a line below all others in the place of the one before, or none. Only where `isLive`. */
  status(line: string | undefined): void;
  /** One line of a shown change. */
  change(sign: DiffLine['sign'], text: string): void;
  /** False where the question was answered with no, or broken off. */
  confirm(question: string): Promise<boolean>;
}

const LOOKS: Readonly<Record<Look, string>> = { title: '\u001b[1m', good: '\u001b[32m', quiet: '\u001b[2m' };
const COLORS = { '+': '\u001b[32m', '-': '\u001b[31m', ' ': '' };
const RESET = '\u001b[0m';
const UNKNOWN_COLUMNS = 80;
const CLEAR_LINE = '\r\u001b[2K';

export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  const colored = stdout.isTTY && env['NO_COLOR'] === undefined;
  // Build services keep what a terminal would have overwritten, and some of them pretend to be one.
  const isLive = stdout.isTTY && env['CI'] === undefined && env['TERM'] !== 'dumb';
  let status: string | undefined;
  // Some terminals do not know their width, and say 0.
  const columns = (): number => (stdout.isTTY ? stdout.columns || UNKNOWN_COLUMNS : Infinity);
  // A line that is longer than the terminal would take two, of which only one could be cleared.
  const draw = (): void => void (status !== undefined && stdout.write(status.slice(0, columns() - 1)));
  const above = (write: () => void): void => {
    if (status !== undefined) stdout.write(CLEAR_LINE);
    write();
    draw();
  };
  return {
    isInteractive: stdin.isTTY && stdout.isTTY,
    isLive,
    get columns() {
      return columns();
    },
    out: (line, look) => above(() => stdout.write(look !== undefined && colored ? `${LOOKS[look]}${line}${RESET}\n` : `${line}\n`)),
    error: (line) => above(() => stderr.write(`${line}\n`)),
    status(line) {
      if (!isLive) return;
      above(() => (status = line));
    },
    change: (sign, text) => void stdout.write(colored && sign !== ' ' ? `${COLORS[sign]}  ${sign} ${text}${RESET}\n` : `  ${sign} ${text}\n`),
    async confirm(question) {
      // Loaded only where there is a question: it is the largest part of this command.
      const { confirm, isCancel } = await import('@clack/prompts');
      const answer = await confirm({ message: question, initialValue: true });
      return !isCancel(answer) && answer;
    },
  };
}
