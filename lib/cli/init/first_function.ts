/**
 * The first function of an application that has none. Runs in the command line only.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { FileChange } from '../edit/write_all';
import type { ApplicationFiles, Language } from './application';

const DIRECTORY = 'app/function';
const CODE = /\.(?:[cm]?js|ts)$/;

const DESCRIPTION = '/** Answers `POST /oneapi/hello` with a JSON array of arguments as its body, such as ["world"]. */\n';
const BODY = "  ctx.logger.info('hello %s', name);\n  return `Hello, ${name}!`;\n}";

const SOURCES: Readonly<Record<Language, string>> = {
  typescript: `import type { FunctionContext } from 'egg-carton';\n\n${DESCRIPTION}export default async function hello(ctx: FunctionContext, name = 'world'): Promise<string> {\n${BODY}\n`,
  commonjs: `'use strict';\n\n${DESCRIPTION}module.exports = async function hello(ctx, name = 'world') {\n${BODY};\n`,
  esm: `${DESCRIPTION}export default async function hello(ctx, name = 'world') {\n${BODY}\n`,
};

/** The new file, or undefined where the application has functions. */
export function firstFunction({ baseDir, language }: ApplicationFiles): FileChange | undefined {
  if (hasCode(path.join(baseDir, DIRECTORY))) return undefined;
  const extension = language === 'typescript' ? 'ts' : 'js';
  return { path: path.join(baseDir, DIRECTORY, `hello.${extension}`), before: undefined, after: SOURCES[language] };
}

function hasCode(directory: string): boolean {
  if (!fs.existsSync(directory)) return false;
  return fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }).some((name) => CODE.test(name) && !name.endsWith('.d.ts'));
}
