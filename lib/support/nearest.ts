/**
 * Finds the known name that an unknown one was probably meant to be, for messages.
 */
import { closest, distance } from 'fastest-levenshtein';

/** A name further away than this share of its length is another word, not a slip. */
const SLIP_SHARE = 0.5;

/** The nearest of `known`, or undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const best = closest(name, known);
  return distance(name, best) <= Math.max(1, Math.ceil(name.length * SLIP_SHARE)) ? best : undefined;
}

/** `Did you mean "x"?`, or undefined where no name is near. */
export function didYouMean(name: string, known: readonly string[]): string | undefined {
  const best = nearest(name, known);
  return best === undefined ? undefined : `Did you mean "${best}"?`;
}
