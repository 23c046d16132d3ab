/**
 * How the demo looks: a line at a time within 80 columns, colours on a terminal only and not with NO_COLOR.
 */
import { stdout } from 'node:process';

const isColoured = stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';

const style = (code: number) => (text: string): string => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text);

export const bold = style(1);
export const dim = style(2);
export const cyan = style(36);

/** Columns of a fact's name, and of its figure. */
const NAME_WIDTH = 12;
const FIGURE_WIDTH = 9;

/** A line of text, or an empty one. */
export function line(text = ''): void {
  stdout.write(text === '' ? '\n' : `  ${text}\n`);
}

/** The begin of a line that `line` completes, for what takes a while. */
export function pending(text: string): void {
  stdout.write(`  ${text} `);
}

/** The rest of a line that `pending` began. */
export function done(text: string): void {
  stdout.write(`${text}\n`);
}

let chapters = 0;

/** A numbered heading. */
export function chapter(title: string): void {
  chapters += 1;
  line();
  line(`${cyan(String(chapters))}  ${bold(title)}`);
}

/** What is asked, below a heading. */
export function asked(text: string): void {
  line(`   ${dim(text)}`);
}

/** A figure with its name before it and what it means behind. */
export function fact(name: string, figure: string, meaning = ''): void {
  line(`   ${name.padEnd(NAME_WIDTH)}${bold(figure.padStart(FIGURE_WIDTH))}   ${dim(meaning)}`.trimEnd());
}

/** Milliseconds as people read them. */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Bytes as people read them. */
export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`;
}
