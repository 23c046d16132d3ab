/**
 * Finds the place in an application's own files that an error's text speaks of.
 */

/** The first `file:line` (and column) of the application in an error's text. */
export function placeOf(text: string, baseDir: string): string | undefined {
  const root = baseDir.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const match = new RegExp(`${root}/((?!node_modules/)[^\\s:()]+):(\\d+)(?::(\\d+))?`).exec(text)
    ?? /([^\s:()]+\.[cm]?[jt]s)[:(](\d+)[,:](\d+)/.exec(text);
  if (match === null) return undefined;
  return match[3] === undefined ? `${match[1] as string}:${match[2] as string}` : `${match[1] as string}:${match[2] as string}:${match[3]}`;
}
