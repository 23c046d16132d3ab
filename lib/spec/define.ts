/**
 * `defineFunctions`, with which config/function.ts declares specs. Runs in every process that loads that file, so it
 * imports types only: the lexers and schemas that check the result stay in the agent.
 */
import type { FunctionDeclaration } from './types';

/** Declarations by the functions' names: `dir/file`, or `dir/file.export` for a named export. */
export type FunctionDeclarations = Readonly<Record<string, FunctionDeclaration>>;

/**
 * Returns what it is given; it exists for the types, so that an editor completes keys and marks slips. What the types
 * cannot know (ranges, names of files, groups that agree) is checked when the host boots.
 */
export function defineFunctions(declarations: FunctionDeclarations): FunctionDeclarations {
  return declarations;
}
