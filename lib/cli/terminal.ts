/**
 * What commands know of the terminal: lines out, and one kind of question. The real one is here; tests have others.
 */
import type { DiffLine } from './edit/diff';

export interface Terminal {
  /** Whether somebody is there to answer. */
  readonly isInteractive: boolean;
  out(line: string): void;
  error(line: string): void;
  /** One line of a shown change. */
  change(sign: DiffLine['sign'], text: string): void;
  /** False where the question was answered with no, or broken off. */
  confirm(question: string): Promise<boolean>;
}

const COLORS = { '+': '\u001b[32m', '-': '\u001b[31m', ' ': '' };
const RESET = '\u001b[0m';

export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process;
  const colored = stdout.isTTY && process.env['NO_COLOR'] === undefined;
  return {
    isInteractive: stdin.isTTY && stdout.isTTY,
    out: (line) => void stdout.write(`${line}\n`),
    error: (line) => void stderr.write(`${line}\n`),
    change: (sign, text) => void stdout.write(colored && sign !== ' ' ? `${COLORS[sign]}  ${sign} ${text}${RESET}\n` : `  ${sign} ${text}\n`),
    async confirm(question) {
      // Loaded only where there is a question: it is the largest part of this command.
      const { confirm, isCancel } = await import('@clack/prompts');
      const answer = await confirm({ message: question, initialValue: true });
      return !isCancel(answer) && answer;
    },
  };
}
