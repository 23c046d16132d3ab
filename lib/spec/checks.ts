/**
 * Building blocks for the schemas of specs and configuration, over valibot. Runs at boot. Each schema's message is
 * the phrase that follows "expected", and objects tell every unknown and every missing key rather than the first.
 */
import * as v from 'valibot';
import type { ErrorCode } from '../support/errors';
import { didYouMean } from '../support/nearest';
import { keyPath, show, type Problem } from './problems';

/** What the reference says of a key; `docs/reference/config.md` is tested against it. */
export interface KeyDoc {
  readonly [key: string]: unknown;
  readonly description: string;
  /** '' where the value has none. */
  readonly unit: string;
  readonly default: unknown;
  /** What happens at the limit, or when the value does not fit. */
  readonly effect: string;
}

export type Entries = Readonly<Record<string, v.GenericSchema>>;

/** What `exactObject` of these entries yields. */
export type OutputOf<E extends Entries> = v.InferOutput<v.StrictObjectSchema<E, undefined>>;

/** Marks an issue about a key that is not known; valibot leaves `expected` to whoever adds the issue. */
const UNKNOWN_KEY = 'a known key';

export function documented<S extends v.GenericSchema>(schema: S, doc: KeyDoc) {
  return v.pipe(schema, v.metadata(doc));
}

/** One key as `docs/reference/config.md` has it. */
export interface KeyRow extends KeyDoc {
  /** Such as `ingress.oneapiPath`. */
  readonly path: string;
  /** The phrase that messages use after "expected". */
  readonly range: string;
}

/** The rows of entries that are all `documented`. */
export function describeKeys(prefix: string, entries: Entries): KeyRow[] {
  return Object.entries(entries).map(([key, schema]) => ({ ...(v.getMetadata(schema) as KeyDoc), path: prefix + key, range: phraseOf(schema) }));
}

/** The phrase after "expected" of a schema made here; a nullable schema speaks through the schema inside it. */
export function phraseOf(schema: v.GenericSchema): string {
  const { message, wrapped } = schema as { message?: unknown; wrapped?: v.GenericSchema };
  if (typeof message === 'string') return message;
  return wrapped === undefined ? 'a value' : phraseOf(wrapped);
}

export function integer(min: number, max: number) {
  const phrase = `an integer from ${min} to ${max}`;
  return v.pipe(v.number(phrase), v.integer(phrase), v.minValue(min, phrase), v.maxValue(max, phrase));
}

export function boolean() {
  return v.boolean('true or false');
}

export function oneOf<const T extends readonly string[]>(values: T) {
  return v.picklist(values, values.map((value) => `"${value}"`).join(', '));
}

/** A string that `fits`. */
export function text(fits: (value: string) => boolean, phrase: string) {
  return v.pipe(v.string(phrase), v.check(fits, phrase));
}

/** At most `max` of `item`; `items` completes "an array of". */
export function list<S extends v.GenericSchema>(item: S, items: string, max: number) {
  const phrase = `an array of at most ${max} ${items}`;
  return v.pipe(v.array(item, phrase), v.maxLength(max, phrase));
}

/** An object with exactly these keys. */
export function exactObject<const E extends Entries>(entries: E, phrase: string): v.GenericSchema<unknown, OutputOf<E>> {
  const schema = v.looseObject(entries, (issue) => {
    const key = issue.path?.at(-1)?.key;
    const missing = typeof key === 'string' && Object.hasOwn(entries, key) ? entries[key] : undefined;
    return missing === undefined ? phrase : phraseOf(missing);
  });
  const known = Object.keys(entries);
  const checked = v.pipe(
    schema,
    v.rawCheck(({ dataset, addIssue }) => {
      const value: unknown = dataset.value;
      if (typeof value !== 'object' || value === null) return;
      const input = value as Record<string, unknown>;
      for (const key of Object.keys(input)) {
        if (Object.hasOwn(entries, key)) continue;
        const hint = didYouMean(key, known) ?? `The keys are ${known.join(', ')}.`;
        addIssue({ expected: UNKNOWN_KEY, message: hint, input: key, path: [{ type: 'object', origin: 'key', input, key, value: input[key] }] });
      }
    }),
  );
  return Object.assign(checked as unknown as v.GenericSchema<unknown, OutputOf<E>>, { message: phrase });
}

/** The schema that `pick` chooses by looking at the input, so that its problems name one form and not all of them. */
export function either<T>(pick: (input: Record<string, unknown>) => v.GenericSchema<unknown, T>, phrase: string): v.GenericSchema<unknown, T> {
  const none = v.custom<T>(() => false, phrase);
  const schema = v.lazy((input) => (typeof input === 'object' && input !== null ? pick(input as Record<string, unknown>) : none));
  return Object.assign(schema as v.GenericSchema<unknown, T>, { message: phrase });
}

/** Where to say that problems are: `root` is the key path that the schema's own paths continue. */
export interface Place {
  /** Such as `config/function.ts`; undefined where keys alone are clear. */
  readonly file?: string;
  readonly root: string;
  readonly keys: readonly unknown[];
}

export function placeOf(place: Place, more: readonly unknown[] = []): string {
  const path = keyPath(place.root, [...place.keys, ...more]);
  return place.file === undefined ? path : `${place.file}: ${path}`;
}

export type Checked<T> = { readonly value: T; readonly problems: readonly [] } | { readonly value: undefined; readonly problems: readonly Problem[] };

/** Runs a schema; its issues come back as problems. */
export function check<T>(schema: v.GenericSchema<unknown, T>, input: unknown, place: Place, code: ErrorCode): Checked<T> {
  const result = v.safeParse(schema, input);
  if (result.success) return { value: result.output, problems: [] };
  return { value: undefined, problems: result.issues.map((issue) => problemOf(issue, place, code)) };
}

function problemOf(issue: v.BaseIssue<unknown>, place: Place, code: ErrorCode): Problem {
  const at = placeOf(place, (issue.path ?? []).map((item) => item.key));
  if (issue.expected === UNKNOWN_KEY) return { code, place: at, expected: UNKNOWN_KEY, got: show(issue.input), hint: issue.message };
  return { code, place: at, expected: issue.message, got: show(issue.input) };
}
