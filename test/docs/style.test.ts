/**
 * The house's style, as far as a test can hold it: what every source file opens with, the words of messages, and what
 * documents must not say.
 */
import assert from 'node:assert/strict';
import { documents, ROOT, sources } from './files';
import fs from 'node:fs';
import path from 'node:path';

const SHIPPED = ['lib', 'bin', 'app', 'config', 'plugin-sidecar'];

/** Words that a glossary entry of the project replaces. In messages only: code may need them for other things. */
const SYNONYMS = /\b(?:lambdas?|handlers?|function handler|faas|invok(?:e|ing) (?:an? )?(?:lambda|handler)|containers? instance|runner|worker process(?:es)?|execution of an? invocation)\b/i;

/** Text of string and template literals, roughly: good enough to look for words in. */
function messages(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  return [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g)].map((match) => match[1] ?? match[2] ?? '').filter((message) => message.includes(' '));
}

describe('every source file', () => {
  for (const { name, text } of sources(...SHIPPED)) {
    it(`${name} opens with a paragraph that says what it is`, () => {
      const opening = /^(?:#!.*\n)?\/\*\*\n \* ([\s\S]*?)\n \*\//.exec(text)?.[1];
      assert.ok(opening !== undefined, 'no comment at the top');
      assert.ok(opening.length >= 40, 'the comment says too little');
      assert.match(opening, /[.:;)]$|\n/);
    });
  }

  it('uses the words of the glossary in its messages', () => {
    for (const { name, text } of sources(...SHIPPED)) {
      for (const message of messages(text)) assert.doesNotMatch(message, SYNONYMS, `${name}: ${message}`);
    }
  });

  it('leaves nothing to be done', () => {
    const mark = new RegExp(['TO', 'DO'].join('') + '|' + ['FIX', 'ME'].join(''));
    for (const { name, text } of sources(...SHIPPED, 'test', 'benchmark', 'scripts')) {
      if (name !== 'test/docs/style.test.ts') assert.doesNotMatch(text, mark, name);
    }
  });
});

describe('the documents', () => {
  it('link to files and headings that exist', () => {
    for (const { name, text } of documents()) {
      for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [file = '', heading] = target.split('#');
        const absolute = file === '' ? path.join(ROOT, name) : path.resolve(path.dirname(path.join(ROOT, name)), file);
        assert.ok(fs.existsSync(absolute), `${name}: ${target}`);
        if (heading !== undefined) assert.ok(headings(fs.readFileSync(absolute, 'utf8')).includes(heading), `${name}: ${target}`);
      }
    }
  });

  it('name files of this package that exist', () => {
    for (const { name, text } of documents()) {
      for (const [, file = ''] of text.matchAll(/`((?:lib|test|bin|benchmark|scripts)\/[\w./-]+\.(?:ts|c))`/g)) {
        assert.ok(fs.existsSync(path.join(ROOT, file)), `${name}: ${file}`);
      }
    }
  });

  it('name no path of a machine', () => {
    for (const { name, text } of documents()) assert.doesNotMatch(text, /(?:^|[\s`"'(])\/(?:work|home|root|Users)\//m, name);
  });
});

/** As GitHub makes anchors of them. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase().replace(/[^\p{L}\p{N}\- ]/gu, '').replaceAll(' ', '-'));
}
