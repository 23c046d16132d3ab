/**
 * A terminal for tests: keeps what it was told, and answers as it was made to.
 */
import type { Terminal } from '../../lib/cli/terminal';

export class FakeTerminal implements Terminal {
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly changes: string[] = [];
  /** What stood below the other lines, one after the other; undefined where it was taken away. */
  readonly statuses: (string | undefined)[] = [];
  readonly questions: string[] = [];
  readonly isLive: boolean = false;
  readonly columns: number = Infinity;
  readonly #answer: (() => boolean) | undefined;

  /** Without an answer nobody is there to ask. */
  constructor(answer?: () => boolean) {
    this.#answer = answer;
  }

  get isInteractive(): boolean {
    return this.#answer !== undefined;
  }

  out(line: string): void {
    this.lines.push(line);
  }

  error(line: string): void {
    this.errors.push(line);
  }

  status(line: string | undefined): void {
    this.statuses.push(line);
  }

  change(sign: string, text: string): void {
    this.changes.push(`${sign} ${text}`);
  }

  confirm(question: string): Promise<boolean> {
    this.questions.push(question);
    return Promise.resolve(this.#answer?.() ?? false);
  }
}
