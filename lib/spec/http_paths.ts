/**
 * Checks of http triggers that a schema cannot make: what a path may consist of, where arguments can come from, and
 * that no two triggers claim the same requests. Runs at boot.
 */
import { didYouMean } from '../support/nearest';
import { placeOf, type Place } from './checks';
import { show, type Problem } from './problems';
import type { ArgumentSource, HttpTrigger, Trigger } from './types';

const PARAMETER = /^:[A-Za-z_][A-Za-z0-9_]*$/;
/** What find-my-way reads as syntax, what ends a path, and what a URL never carries undecoded. */
const SPECIAL = /[:*?#()%\\{}\s]/;
const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/** Where the path shape of each method was first claimed; one for all functions of a revision. */
export type ClaimedPaths = Map<string, string>;

export interface TriggerOptions {
  readonly file: string;
  readonly claimed: ClaimedPaths;
  /** `carton.ingress.oneapiPath`: whatever lies below it is the name of a function. Undefined: not to be checked. */
  readonly oneapiPath?: string;
}

export function triggerProblems(name: string, triggers: readonly Trigger[], options: TriggerOptions): Problem[] {
  const problems: Problem[] = [];
  const types = triggers.map((trigger) => trigger.type);
  triggers.forEach((trigger, index) => {
    const place = { file: options.file, root: 'functions', keys: [name, 'triggers', index] };
    if (trigger.type === 'http') problems.push(...httpProblems(name, trigger, { ...options, place }));
    else if (types.indexOf('oneapi') !== index) problems.push(problem(place, [], 'one oneapi trigger', 'another'));
  });
  return problems;
}

function httpProblems(name: string, trigger: HttpTrigger, { place, claimed, oneapiPath }: TriggerOptions & { place: Place }): Problem[] {
  const segments = trigger.path.split('/').slice(1);
  const wrong = trigger.path === '/' ? undefined : segments.find((segment) => !isSegment(segment));
  if (wrong !== undefined) {
    return [problem(place, ['path'], 'segments of plain text or ":name", none of them empty, "." or ".."', `${show(wrong)} in ${show(trigger.path)}`)];
  }
  if (oneapiPath !== undefined && trigger.path.startsWith(oneapiPath)) {
    return [problem(place, ['path'], `a path that is not below carton.ingress.oneapiPath (${show(oneapiPath)}), where functions are called by name`, show(trigger.path))];
  }
  const parameters = segments.filter((segment) => segment.startsWith(':')).map((segment) => segment.slice(1));
  const twice = parameters.find((parameter, index) => parameters.indexOf(parameter) !== index);
  const problems = twice === undefined ? [] : [problem(place, ['path'], 'parameters with different names', `":${twice}" twice`)];
  problems.push(...(trigger.args ?? []).flatMap((source, index) => argumentProblems(source, { trigger, parameters, place, keys: ['args', index] })));
  const shape = `${trigger.method} ${trigger.path.replace(/:[^/]+/g, ':')}`;
  const first = claimed.get(shape);
  if (first === undefined) {
    claimed.set(shape, `functions[${JSON.stringify(name)}] with ${trigger.method} ${trigger.path}`);
  } else {
    const expected = 'a method and path that no other trigger has';
    problems.push({ code: 'CARTON_SPEC_DUPLICATE_PATH', place: placeOf(place), expected, got: `${trigger.method} ${trigger.path}, already taken by ${first}` });
  }
  return problems;
}

function isSegment(segment: string): boolean {
  if (segment.startsWith(':')) return PARAMETER.test(segment);
  return segment !== '' && segment !== '.' && segment !== '..' && !SPECIAL.test(segment);
}

interface ArgumentContext {
  readonly trigger: HttpTrigger;
  readonly parameters: readonly string[];
  readonly place: Place;
  readonly keys: readonly unknown[];
}

function argumentProblems(source: ArgumentSource, { trigger, parameters, place, keys }: ArgumentContext): Problem[] {
  if (source.from === 'body') {
    return trigger.method === 'GET' ? [problem(place, [...keys, 'from'], '"path", "query" or "header" with GET', '"body"')] : [];
  }
  if (source.from === 'path' && !parameters.includes(source.name)) {
    const known = parameters.length === 0 ? `a path with ":${source.name}" in it` : `one of the path's parameters ${parameters.join(', ')}`;
    return [{ ...problem(place, [...keys, 'name'], known, show(source.name)), hint: didYouMean(source.name, parameters) }];
  }
  if (source.from === 'header' && !HEADER.test(source.name)) return [problem(place, [...keys, 'name'], 'the name of a header', show(source.name))];
  // Ingress and gateway strip these from every request, so the argument would always be undefined.
  if (source.from === 'header' && /^carton-/i.test(source.name)) return [problem(place, [...keys, 'name'], 'a header that callers may send', show(source.name))];
  return [];
}

function problem(place: Place, keys: readonly unknown[], expected: string, got: string): Problem {
  return { code: 'CARTON_SPEC_INVALID', place: placeOf(place, keys), expected, got };
}
