/**
 * Tells on stderr how far a benchmark is, so that stdout stays the result.
 */

/** Writes one line of progress. */
export function progress(text: string): void {
  process.stderr.write(`  ${text}\n`);
}
