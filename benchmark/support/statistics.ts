/**
 * Medians, quantiles and roundings of the samples that a benchmark took. Pure.
 */
import assert from 'node:assert/strict';

/** The value below which the part `q` (0 to 1) of the samples lies, by the nearest-rank method. */
export function quantile(samples: readonly number[], q: number): number {
  assert(samples.length > 0, 'a quantile needs samples');
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(q * sorted.length));
  return sorted[rank - 1] as number;
}

/** The middle sample, or the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  assert(samples.length > 0, 'a median needs samples');
  const sorted = [...samples].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] as number)) / 2;
}

/** Rounds to `digits` places after the point. */
export function round(value: number, digits = 0): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}
