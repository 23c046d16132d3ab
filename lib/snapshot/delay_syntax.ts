/**
 * The syntax tree of a CommonJS file with its scopes, for `delay.ts`. Build time only. Positions are offsets into the
 * text that was parsed; nothing here changes it.
 */
import { parse, type AnyNode, type Identifier, type Program } from 'acorn';

/** What is used of eslint-scope, which brings no types. */
export interface Reference {
  readonly identifier: Identifier;
  /** The assignment that a declaration makes. */
  readonly init?: boolean;
  isWrite(): boolean;
}
export interface Variable {
  readonly defs: readonly { readonly type: string; readonly node: AnyNode }[];
  readonly references: readonly Reference[];
}
interface Scope {
  readonly set: ReadonlyMap<string, Variable>;
  readonly through: readonly Reference[];
  readonly childScopes: readonly Scope[];
}
interface EslintScope {
  analyze(program: Program, options: { ecmaVersion: number; sourceType: 'commonjs' }): { readonly globalScope: Scope };
}

export interface Syntax {
  readonly source: string;
  readonly program: Program;
  /** What the file declares at its top, parameters of Node's wrapper not among it. */
  readonly variables: ReadonlyMap<string, Variable>;
  /** Names that the file takes from outside, and whether it assigns to them. */
  readonly outside: ReadonlyMap<string, { readonly assigned: boolean }>;
  parentOf(node: AnyNode): AnyNode | undefined;
}

const { analyze } = require('eslint-scope') as EslintScope;

/** Any value from 6 on means the same to eslint-scope. */
const SCOPE_VERSION = 2022;

function isNode(value: unknown): value is AnyNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

/** Parents of all nodes; undefined where a construct lets names mean what the text does not tell. */
function readParents(program: Program): Map<AnyNode, AnyNode> | undefined {
  const parents = new Map<AnyNode, AnyNode>();
  // A stack of its own: the expressions of generated files are deeper than the engine's.
  const open: AnyNode[] = [program];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.type === 'WithStatement') return undefined;
    if (node.type === 'CallExpression' && node.callee.type === 'Identifier' && node.callee.name === 'eval') return undefined;
    for (const child of Object.values(node as object).flat()) {
      if (!isNode(child)) continue;
      parents.set(child, node);
      open.push(child);
    }
  }
  return parents;
}

function tryParse(source: string): Program | undefined {
  try {
    // eslint-scope compares `range`, not `start`.
    return parse(source, { ecmaVersion: 'latest', sourceType: 'commonjs', allowHashBang: true, ranges: true });
  } catch {
    // Newer syntax than acorn knows, or a mistake: Node tells it when it compiles the file as it is.
    return undefined;
  }
}

/** Undefined where the text does not parse, or has `with` or a direct `eval`. */
export function readSyntax(source: string): Syntax | undefined {
  const program = tryParse(source);
  const parents = program && readParents(program);
  if (program === undefined || parents === undefined) return undefined;
  const { globalScope } = analyze(program, { ecmaVersion: SCOPE_VERSION, sourceType: 'commonjs' });
  const outside = new Map<string, { assigned: boolean }>();
  for (const reference of globalScope.through) {
    const { name } = reference.identifier;
    outside.set(name, { assigned: reference.isWrite() || outside.get(name)?.assigned === true });
  }
  const variables = globalScope.childScopes[0]?.set ?? new Map<string, Variable>();
  return { source, program, variables, outside, parentOf: (node) => parents.get(node) };
}
