/**
 * Finds the place in an application's own files that an error's text speaks of.
 */
import { realpathSync } from 'node:fs';

/** The escape sequences with which compilers colour what they tell a terminal. */
// eslint-disable-next-line no-control-regex -- escape sequences begin with a control character
const COLOURS = /\u001b\[[0-9;]*m/g;

export function withoutColours(text: string): string {
  return text.replace(COLOURS, '');
}

/** The first `file:line` (and column) of the application in an error's text. */
export function placeOf(text: string, baseDir: string): string | undefined {
  const plain = withoutColours(text);
  const roots = [...new Set([baseDir, realOf(baseDir)])].map((root) => root.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  const match = new RegExp(`(?:${roots})/((?!node_modules/)[^\\s:()]+):(\\d+)(?::(\\d+))?`).exec(plain)
    ?? /(?<![^\s(])((?!node_modules\/)[^\s:()/][^\s:()]*\.[cm]?[jt]s)[:(](\d+)[,:](\d+)/.exec(plain);
  if (match === null) return undefined;
  const [, file, line, column] = match;
  return [file, line, column].filter((part) => part !== undefined).join(':');
}

/** Files are loaded by their real paths; a root that is gone stands for itself. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return path;
    throw error;
  }
}
