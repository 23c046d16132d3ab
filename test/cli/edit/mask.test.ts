/**
 * Masking of source text: what is code stays, what is not is gone, and nothing moves.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { closeOf, maskSource, topLevel } from '../../../lib/cli/edit/mask';

describe('maskSource', () => {
  for (const [source, masked] of [
    ['a // {\nb', 'a     \nb'],
    ['a /* "{" */ b', 'a           b'],
    ["x = 'it\\'s }';", 'x = "_______";'],
    ['a / b / c', 'a / b / c'],
    ['return /[/}]+/g;', 'return "______";'],
    ['(a) / 2; /}/.test(b)', '(a) / 2; "_".test(b)'],
    ['`a ${ { b: `}` } } c`;', '"_____________________";'.slice(0, 22)],
  ] as const) {
    it(`reads ${JSON.stringify(source)}`, () => {
      const found = maskSource(source);
      assert.equal(found?.length, source.length);
      if (!source.startsWith('`')) assert.equal(found, masked);
      else assert.match(found, /^"_+";$/);
    });
  }

  for (const source of ["'open", '`open', '`${open`', "a = 'line\nend'"]) {
    it(`is not sure of ${JSON.stringify(source)}`, () => assert.equal(maskSource(source), undefined));
  }

  it('reads every source file of this package, and finds its brackets closed', () => {
    const root = path.join(__dirname, '../../../lib');
    const files = fs.readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    for (const file of files) {
      const source = fs.readFileSync(path.join(root, file), 'utf8');
      const masked = maskSource(source);
      assert.equal(masked?.length, source.length, file);
      const open = masked.indexOf('{');
      if (open !== -1) assert.notEqual(closeOf(masked, open), undefined, file);
      assert.equal(topLevel(masked).length, source.length, file);
    }
  });
});
