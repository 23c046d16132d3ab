/**
 * Decides which `require`s of a file can wait for their first use, for `delay.ts`. Build time only; reads the syntax
 * tree and changes nothing.
 *
 * A declaration can wait if none of its names is ever assigned again, and each use of them stands where the module's
 * evaluation does not come by, as far as the syntax tells. A function that the module calls by name while it is being
 * evaluated loads the target early, which is as right as before.
 */
import type { AnyNode, AssignmentExpression, Expression, Function, Identifier, ObjectPattern, VariableDeclarator } from 'acorn';
import type { Syntax } from './delay_syntax';
import type { DelayedRequest } from './delayed_requests';

/** `X = require(…)`, or `{ a, b: c } = require(…)`. */
export interface DelayedBinding {
  readonly kind: 'binding';
  readonly request: DelayedRequest;
  readonly declarator: VariableDeclarator & { readonly id: Identifier | ObjectPattern; readonly init: Expression };
  readonly names: readonly DelayedName[];
}
export interface DelayedName {
  readonly name: string;
  readonly uses: readonly Identifier[];
}
/** `exports.NAME = require(…)` */
export interface DelayedExport {
  readonly kind: 'export';
  readonly request: DelayedRequest;
  readonly assignment: AssignmentExpression;
}
/** In the order of the file; `statement` is the offset of the statement that it is in. */
export type Delay = (DelayedBinding | DelayedExport) & { readonly statement: number };

/** Helpers of TypeScript and Babel that make a module's exports of `require`'s result, and read no more than that. */
const INTEROP = new Set(['__importDefault', '__importStar', '_interopRequireDefault', '_interopRequireWildcard']);

export function planDelays(syntax: Syntax, requests: ReadonlyMap<string, DelayedRequest>): Delay[] {
  if (isChanged(syntax, 'require')) return [];
  return syntax.program.body.flatMap((statement): Delay[] => {
    if (statement.type === 'VariableDeclaration') {
      return statement.declarations.flatMap((declarator) => {
        const binding = planBinding(syntax, requests, declarator);
        return binding === undefined ? [] : [{ ...binding, statement: statement.start }];
      });
    }
    const delayed = statement.type === 'ExpressionStatement' ? planExport(syntax, requests, statement.expression) : undefined;
    return delayed === undefined ? [] : [{ ...delayed, statement: statement.start }];
  });
}

/** Whether a name of Node's wrapper means something else in this file. */
function isChanged(syntax: Syntax, name: string): boolean {
  return syntax.variables.has(name) || syntax.outside.get(name)?.assigned === true;
}

function planBinding(syntax: Syntax, requests: ReadonlyMap<string, DelayedRequest>, declarator: VariableDeclarator): DelayedBinding | undefined {
  const { id, init } = declarator;
  if (init === undefined || init === null || (id.type !== 'Identifier' && id.type !== 'ObjectPattern')) return undefined;
  const request = requests.get(requestOf(syntax, init) ?? '');
  const declared = id.type === 'Identifier' ? [id.name] : plainNames(id);
  if (request === undefined || declared === undefined || declared.length === 0) return undefined;
  const names: DelayedName[] = [];
  for (const name of declared) {
    const uses = delayableUses(syntax, name);
    if (uses === undefined) return undefined;
    names.push({ name, uses });
  }
  return { kind: 'binding', request, declarator: { ...declarator, id, init }, names };
}

/** `require('x')`, `require('x').member`, or either in a helper for interoperation. */
function requestOf(syntax: Syntax, value: Expression): string | undefined {
  if (value.type === 'MemberExpression') return value.computed || value.object.type === 'Super' ? undefined : requestOf(syntax, value.object);
  if (value.type !== 'CallExpression' || value.optional || value.callee.type !== 'Identifier' || value.arguments.length !== 1) return undefined;
  const argument = value.arguments[0];
  if (value.callee.name === 'require') return argument?.type === 'Literal' && typeof argument.value === 'string' ? argument.value : undefined;
  const isHelper = INTEROP.has(value.callee.name) && syntax.variables.has(value.callee.name);
  return isHelper && argument?.type === 'CallExpression' ? requestOf(syntax, argument) : undefined;
}

/** Names of a pattern in which each is given as it is: no defaults, rest, nesting or computed keys. */
function plainNames(pattern: ObjectPattern): string[] | undefined {
  const names: string[] = [];
  for (const property of pattern.properties) {
    if (property.type !== 'Property' || property.computed || property.value.type !== 'Identifier') return undefined;
    names.push(property.value.name);
  }
  return names;
}

/** Undefined where the name has to have its value when the module is evaluated. */
function delayableUses(syntax: Syntax, name: string): Identifier[] | undefined {
  const variable = syntax.variables.get(name);
  if (variable?.defs.length !== 1) return undefined;
  const uses = variable.references.filter((reference) => reference.init !== true);
  const delayable = uses.every((use) => !use.isWrite() && !isDeleted(syntax, use.identifier) && runsLater(syntax, use.identifier));
  return delayable ? uses.map((use) => use.identifier) : undefined;
}

function isDeleted(syntax: Syntax, node: AnyNode): boolean {
  const parent = syntax.parentOf(node);
  return parent?.type === 'UnaryExpression' && parent.operator === 'delete';
}

/** Whether a node stands in a function or in the initialiser of an instance's field. */
function runsLater(syntax: Syntax, node: AnyNode): boolean {
  let child = node;
  for (let parent = syntax.parentOf(node); parent !== undefined; child = parent, parent = syntax.parentOf(parent)) {
    if (isFunction(parent) && !isCalledAtOnce(syntax, parent)) return true;
    if (parent.type === 'PropertyDefinition' && !parent.static && parent.value === child) return true;
  }
  return false;
}

function isFunction(node: AnyNode): node is Function & AnyNode {
  return node.type === 'FunctionDeclaration' || node.type === 'FunctionExpression' || node.type === 'ArrowFunctionExpression';
}

/** `(() => {})()`, `(function () {}).call(this)`, `new (function () {})()`: runs where it stands. */
function isCalledAtOnce(syntax: Syntax, node: AnyNode): boolean {
  const parent = syntax.parentOf(node);
  if (parent?.type === 'CallExpression' || parent?.type === 'NewExpression') return parent.callee === node;
  if (parent?.type !== 'MemberExpression' || parent.object !== node) return false;
  const call = syntax.parentOf(parent);
  return call?.type === 'CallExpression' && call.callee === parent;
}

function planExport(syntax: Syntax, requests: ReadonlyMap<string, DelayedRequest>, expression: Expression): DelayedExport | undefined {
  if (expression.type !== 'AssignmentExpression' || expression.operator !== '=') return undefined;
  const { left, right } = expression;
  if (left.type !== 'MemberExpression' || left.computed || left.object.type !== 'Identifier' || left.object.name !== 'exports') return undefined;
  const request = requests.get(requestOf(syntax, right) ?? '');
  if (request === undefined || syntax.variables.has('exports')) return undefined;
  return { kind: 'export', request, assignment: expression };
}
