/**
 * What the command line asks of a benchmark. Types and defaults; pure.
 */

export interface BenchmarkOptions {
  /** Samples, rounds or forks: each benchmark says which. Undefined: its own number. */
  readonly samples: number | undefined;
  /** Node binaries to ask, beside the one that runs this. */
  readonly nodes: readonly string[];
}

/** What is wanted of each field of a result, for people: `{ template_p50_ms: '≤ 15' }`. Nothing enforces it. */
export type Aims = Readonly<Record<string, string>>;
