/**
 * Rewrites a dependency's CommonJS file so that chosen `require`s at its top wait for the first use of what they
 * give ("inline requires" of bundlers). Runs when a snapshot is built, never in a process that replays one: acorn and
 * eslint-scope would cost more than the delays save.
 *
 * What a file does stays the same, but for when the targets are evaluated: names keep one value, members of a pattern
 * are copied at the first use, calls get the `this` they had, lines keep their numbers. Which targets may be
 * evaluated later is `delayed_requests.ts`'s to say; what cannot wait in a file stays as it is.
 */
import { planDelays } from './delay_plan';
import { writeDelays } from './delay_rewrite';
import { readSyntax } from './delay_syntax';
import { requestsOf } from './delayed_requests';

export interface DelayedSource {
  readonly source: string;
  /** The requests that wait now, each once. */
  readonly delayed: readonly string[];
}

/**
 * @param packageName of the package that the file belongs to, by its manifest or by its directory in `node_modules`.
 * @returns undefined where nothing in the file is to be, or can be, delayed.
 */
export function delayRequires(source: string, packageName: string): DelayedSource | undefined {
  const requests = requestsOf(packageName);
  // Parsing takes milliseconds for a large file, and most files name none of them.
  if (![...requests.keys()].some((request) => source.includes(request))) return undefined;
  const syntax = readSyntax(source);
  if (syntax === undefined) return undefined;
  const { source: rewritten, written } = writeDelays(syntax, planDelays(syntax, requests));
  if (written.length === 0) return undefined;
  return { source: rewritten, delayed: [...new Set(written.map(({ request }) => request.request))] };
}
