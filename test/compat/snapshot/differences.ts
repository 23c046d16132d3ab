/**
 * Lists where two descriptions differ, by the path to each difference: they are far too long to be printed whole.
 */
import type { Json } from './describe_value';

const MAX_DIFFERENCES = 25;
const MAX_SHOWN = 300;
/** What is shown of two long texts before they part. */
const LEAD = 40;

/** Both values, from a little before they part. */
function show(expected: Json | undefined, actual: Json | undefined): string {
  const texts = [expected, actual].map((value) => (value === undefined ? 'nothing' : JSON.stringify(value))) as [string, string];
  const [left, right] = texts;
  const length = left.split('').findIndex((letter, at) => letter !== right[at]);
  const begin = Math.max(0, length - LEAD);
  return ['expected', 'got     '].map((word, at) => `\n    ${word} ${begin > 0 ? '…' : ''}${texts[at]?.slice(begin, begin + MAX_SHOWN)}`).join('');
}

function entriesOf(value: Json): ReadonlyMap<string, Json> {
  return new Map(Object.entries(value as object) as [string, Json][]);
}

const isTree = (value: Json | undefined): value is { [key: string]: Json } | Json[] => typeof value === 'object' && value !== null;

/** Of two lists of names: which only one of them has. Undefined where that does not tell the difference. */
function differingLists(expected: Json, actual: Json): string | undefined {
  if (!Array.isArray(expected) || !Array.isArray(actual) || ![...expected, ...actual].every((item) => typeof item === 'string')) return undefined;
  const [missing, more] = [expected.filter((item) => !actual.includes(item)), actual.filter((item) => !expected.includes(item))];
  if (missing.length + more.length === 0 || expected.length === actual.length) return undefined;
  return `missing ${JSON.stringify(missing).slice(0, MAX_SHOWN)}, more ${JSON.stringify(more).slice(0, MAX_SHOWN)}`;
}

function collect(expected: Json | undefined, actual: Json | undefined, place: string, found: string[]): void {
  if (found.length >= MAX_DIFFERENCES || expected === actual) return;
  if (!isTree(expected) || !isTree(actual) || Array.isArray(expected) !== Array.isArray(actual)) {
    found.push(`${place}:${show(expected, actual)}`);
    return;
  }
  const listed = differingLists(expected, actual);
  if (listed !== undefined) {
    found.push(`${place}: ${listed}`);
    return;
  }
  const [left, right] = [entriesOf(expected), entriesOf(actual)];
  for (const key of new Set([...left.keys(), ...right.keys()])) collect(left.get(key), right.get(key), `${place}/${key}`, found);
  // Order of keys is order of loading, of definition or of assignment.
  const [order, got] = [[...left.keys()].join(), [...right.keys()].join()];
  if (order !== got && left.size === right.size && found.length === 0) found.push(`${place}: order of keys\n    expected ${order}\n    got      ${got}`);
}

export function differences(expected: Json, actual: Json): string[] {
  const found: string[] = [];
  collect(expected, actual, '', found);
  return found;
}
