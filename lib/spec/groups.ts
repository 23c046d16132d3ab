/**
 * Puts functions into groups that share instances, and settles the limits that a group has in common. Runs at boot.
 * A limit that one member gives holds for all of them; two that differ are an error, never a choice.
 */
import type { FunctionDefaults } from '../support/host_environment';
import { placeOf } from './checks';
import { byCodeUnit } from './files';
import type { Problem } from './problems';
import type { FunctionDeclaration, GroupSpec } from './types';

/** The limits that belong to instances, and so to the group, rather than to one function. */
export const SHARED_LIMITS = ['concurrency', 'minInstances', 'maxInstances', 'idleTimeoutMs'] as const satisfies readonly (keyof FunctionDefaults)[];

export interface GroupContext {
  /** The spec file, for messages. */
  readonly file: string;
  readonly defaults: FunctionDefaults;
  /** Instances on the host. */
  readonly maxInstances: number;
}

/** Key of a function's group in `Revision.groups`. A name never contains ":", so the two forms cannot meet. */
export function groupKey(name: string, declaration: FunctionDeclaration): string {
  return declaration.group === undefined ? name : `group:${declaration.group}`;
}

export function makeGroups(functions: ReadonlyMap<string, FunctionDeclaration>, context: GroupContext): { groups: readonly GroupSpec[]; problems: readonly Problem[] } {
  const members = new Map<string, string[]>();
  for (const [name, declaration] of functions) {
    const key = groupKey(name, declaration);
    members.set(key, [...(members.get(key) ?? []), name]);
  }
  const problems: Problem[] = [];
  const groups = [...members].sort(([a], [b]) => byCodeUnit(a, b)).map(([key, names]) => {
    names.sort(byCodeUnit);
    return makeGroup({ key, names, functions, context, problems });
  });
  const kept = groups.reduce((sum, group) => sum + group.minInstances, 0);
  if (kept > context.maxInstances) {
    const expected = `minInstances of all groups together to be at most carton.maxInstances, which is ${context.maxInstances}`;
    problems.push({ code: 'CARTON_SPEC_INVALID', place: context.file, expected, got: `${kept}` });
  }
  return { groups, problems };
}

interface Making {
  readonly key: string;
  readonly names: readonly string[];
  readonly functions: ReadonlyMap<string, FunctionDeclaration>;
  readonly context: GroupContext;
  readonly problems: Problem[];
}

function makeGroup(making: Making): GroupSpec {
  const { key, names, context, problems } = making;
  const settled = Object.fromEntries(SHARED_LIMITS.map((limit) => [limit, settle(limit, making)])) as Record<(typeof SHARED_LIMITS)[number], Settled>;
  const { minInstances, maxInstances } = settled;
  if (minInstances.value > maxInstances.value) {
    const [by, limit, expected] = minInstances.by === undefined
      ? [maxInstances.by, 'maxInstances', `at least minInstances, which is ${minInstances.value}`]
      : [minInstances.by, 'minInstances', `at most maxInstances, which is ${maxInstances.value}${maxInstances.by === undefined ? ' by default' : ''}`];
    const got = `${limit === 'minInstances' ? minInstances.value : maxInstances.value}`;
    problems.push({ code: 'CARTON_SPEC_INVALID', place: placeOf({ file: context.file, root: 'functions', keys: [by ?? names[0], limit] }), expected, got });
  }
  return {
    key,
    functions: names,
    concurrency: settled.concurrency.value,
    minInstances: minInstances.value,
    maxInstances: maxInstances.value,
    idleTimeoutMs: settled.idleTimeoutMs.value,
    ...clientsOf(making),
  };
}

/** One process has one set of them, so its functions do. */
function clientsOf({ names, functions, context, problems }: Making): Pick<GroupSpec, 'clients'> {
  let settled: { readonly by: string; readonly clients: readonly string[] } | undefined;
  for (const name of names) {
    const clients = functions.get(name)?.clients;
    if (clients === undefined) continue;
    settled ??= { by: name, clients };
    const [expected, got] = [settled.clients, clients].map((list) => JSON.stringify([...list].sort(byCodeUnit)));
    if (expected === got) continue;
    const other = placeOf({ root: 'functions', keys: [settled.by, 'clients'] });
    const place = placeOf({ file: context.file, root: 'functions', keys: [name, 'clients'] });
    problems.push({ code: 'CARTON_SPEC_GROUP_DISAGREES', place, expected: `${expected}, as ${other} of the same group`, got: `${got}` });
  }
  return settled === undefined ? {} : { clients: settled.clients };
}

interface Settled {
  readonly value: number;
  /** The function that gave the value; undefined for the default. */
  readonly by: string | undefined;
}

function settle(limit: (typeof SHARED_LIMITS)[number], { names, functions, context, problems }: Making): Settled {
  let settled: Settled | undefined;
  for (const name of names) {
    const value = functions.get(name)?.[limit];
    if (value === undefined) continue;
    settled ??= { value, by: name };
    if (value === settled.value) continue;
    const other = placeOf({ root: 'functions', keys: [settled.by, limit] });
    const place = placeOf({ file: context.file, root: 'functions', keys: [name, limit] });
    problems.push({ code: 'CARTON_SPEC_GROUP_DISAGREES', place, expected: `${settled.value}, as ${other} of the same group`, got: `${value}` });
  }
  return settled ?? { value: context.defaults[limit], by: undefined };
}
