/**
 * Writes down what `delay_plan.ts` decided, for `delay.ts`. Build time only. Every line keeps its number: texts are
 * put in and names are replaced, and neither adds or takes away the end of a line.
 */
import type { AnyNode, AssignmentExpression, Identifier } from 'acorn';
import type { Delay, DelayedBinding, DelayedExport } from './delay_plan';
import type { Syntax } from './delay_syntax';

/** `text` in place of what stands from `start` to `end`. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Begin of all names that are added. */
const PREFIX = '$delayed';

/**
 * Remembers what loading gave, and no failure: a `require` that threw is tried again by the next use, as Node does. A
 * module that comes back here while it is being loaded gets its unfinished exports, as from `require`.
 */
const memoise = (prefix: string): string => `function ${prefix}(load) { let loaded = false, value; return () => { if (!loaded) { value = load(); loaded = true; } return value; }; } `;

/**
 * A property that is loaded when it is first read, and is a plain one from then on, or from an assignment on. Objects
 * that inherit it get their own by an assignment, as from a plain one. Where an assignment would do something else
 * than to make a plain property (a setter, for one), it is done at once.
 */
const defineProperty = (prefix: string): string => `function ${prefix}Property(target, name, load) { const found = Object.getOwnPropertyDescriptor(target, name), plain = { writable: true, enumerable: true, configurable: true };`
  + ' if (found ? !found.configurable || !found.writable : name in target) { target[name] = load(); return; }'
  + ' Object.defineProperty(target, name, { enumerable: true, configurable: true, get() { const value = load(); Object.defineProperty(target, name, { ...plain, value }); return value; }, set(value) { Object.defineProperty(this, name, { ...plain, value }); } }); } ';

export function writeDelays(syntax: Syntax, delays: readonly Delay[]): { readonly source: string; readonly written: readonly Delay[] } {
  const prefix = freePrefix(syntax.source);
  const edits: Edit[] = [];
  const written = delays.filter((delay) => {
    const own = delay.kind === 'binding' ? bindingEdits(syntax, delay, prefix) : exportEdits(syntax, delay, prefix);
    edits.push(...own);
    return own.length > 0;
  });
  const first = written[0];
  if (first === undefined) return { source: syntax.source, written };
  const helpers = [memoise, defineProperty].map((helper) => helper(prefix)).join('');
  // Declarations of functions, so that they are there wherever evaluation begins. In front of a statement a directive
  // or a shebang stays what it is, and after a line without a semicolon `function` begins a statement.
  return { source: applyEdits(syntax.source, [{ start: first.statement, end: first.statement, text: helpers }, ...edits]), written };
}

function freePrefix(source: string): string {
  let prefix = PREFIX;
  while (source.includes(prefix)) prefix += '_';
  return prefix;
}

function applyEdits(source: string, edits: readonly Edit[]): string {
  let text = '';
  let end = 0;
  // Sorting is stable: of two at one place, the one that was planned first stands first.
  for (const edit of edits.toSorted((a, b) => a.start - b.start)) {
    text += source.slice(end, edit.start) + edit.text;
    end = edit.end;
  }
  return text + source.slice(end);
}

const insert = (at: number, text: string): Edit => ({ start: at, end: at, text });

/**
 * `X = require('x')` becomes `$delayed_X = $delayed(() => require('x'))`. Names of a pattern get a function each,
 * over one that copies the members as the pattern did, when it is first used: a call by name then has no `this`.
 */
function bindingEdits(syntax: Syntax, { declarator, names, request }: DelayedBinding, prefix: string): Edit[] {
  const { id, init, end } = declarator;
  const uses = names.flatMap(({ name, uses: places }) => places.map((place) => useEdit(syntax, { place, getter: `${prefix}_${name}`, property: request.property === true, prefix })));
  if (id.type === 'Identifier') {
    return [{ start: id.start, end: id.end, text: `${prefix}_${id.name}` }, insert(init.start, `${prefix}(() => `), insert(init.end, ')'), ...uses];
  }
  const all = `${prefix}${id.start}`;
  const getters = names.map(({ name }) => `, ${prefix}_${name} = () => ${all}().${name}`).join('');
  const copy = `{ ${names.map(({ name }) => name).join(', ')} }`;
  return [insert(id.start, `${all} = ${prefix}(() => { const `), insert(end, `; return ${copy}; })${getters}`), ...uses];
}

interface Use {
  readonly place: Identifier;
  /** The function that stands in for the name. */
  readonly getter: string;
  readonly property: boolean;
  readonly prefix: string;
}

function useEdit(syntax: Syntax, { place, getter, property, prefix }: Use): Edit {
  const parent = syntax.parentOf(place);
  const assignment = property ? thisAssignment(syntax, place) : undefined;
  if (assignment !== undefined) return { start: assignment.start, end: assignment.end, text: `${prefix}Property(this, '${assignment.name}', ${getter})` };
  if (parent?.type === 'Property' && parent.shorthand) return insert(place.end, `: ${getter}()`);
  // `new a()()` would construct the getter.
  return { start: place.start, end: place.end, text: isConstructed(syntax, place) ? `(${getter}())` : `${getter}()` };
}

/** Whether a name is what `new` takes for the constructor, or the begin of it, as in `new name.a.B()`. */
function isConstructed(syntax: Syntax, place: AnyNode): boolean {
  let child = place;
  for (let parent = syntax.parentOf(place); parent !== undefined; child = parent, parent = syntax.parentOf(parent)) {
    if (parent.type === 'NewExpression') return parent.callee === child;
    const leads = parent.type === 'MemberExpression' ? parent.object === child : parent.type === 'TaggedTemplateExpression' && parent.tag === child;
    if (!leads) return false;
  }
  return false;
}

/** `this.NAME = place;`, a statement without comments and line ends in it. */
function thisAssignment(syntax: Syntax, place: Identifier): { start: number; end: number; name: string } | undefined {
  const assignment = syntax.parentOf(place);
  if (assignment?.type !== 'AssignmentExpression' || assignment.operator !== '=' || syntax.parentOf(assignment)?.type !== 'ExpressionStatement') return undefined;
  const name = memberName(assignment);
  const shape = /^this\s*\.\s*[\w$]+\s*=\s*[\w$]+$/.test(syntax.source.slice(assignment.start, assignment.end).replaceAll(/[\n\r\u2028\u2029]/g, '/'));
  return name !== undefined && shape ? { start: assignment.start, end: assignment.end, name } : undefined;
}

function memberName({ left }: AssignmentExpression): string | undefined {
  return left.type === 'MemberExpression' && !left.computed && left.property.type === 'Identifier' ? left.property.name : undefined;
}

/** `exports.NAME = require('x')` becomes `$delayedProperty(exports, 'NAME', () => require('x'))`. */
function exportEdits(syntax: Syntax, { assignment }: DelayedExport, prefix: string): Edit[] {
  const name = memberName(assignment);
  const { left, right, start, end } = assignment;
  const between = /^\s*=\s*(\(*)$/.exec(syntax.source.slice(left.end, right.start));
  // With a comment in between it stays as it is; so it does where the name is not written in ASCII letters.
  if (name === undefined || between === null || syntax.source.slice(start, left.end) !== `exports.${name}` || !/^[\w$]+$/.test(name)) return [];
  const gap = syntax.source.slice(left.end, right.start).replace('=', '');
  return [{ start, end: right.start, text: `${prefix}Property(exports, '${name}', () =>${gap === '' ? ' ' : gap}` }, insert(end, ')')];
}
